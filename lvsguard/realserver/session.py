"""One run of ``up`` or ``down`` under the lock: the steps, each recorded before it is taken.

So ``down`` restores what was there whatever interrupted ``up``. ``setup`` has the order of steps.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from lvsguard.kernel.link import Interface, Link, Links, open_links
from lvsguard.kernel.port import KernelError
from lvsguard.kernel.sysctl import Sysctl
from lvsguard.realserver import arptables, nftables
from lvsguard.realserver.arp import QUIET_ANNOUNCE, announce_is_quiet, ignore_is_quiet
from lvsguard.realserver.model import LINK_KIND, ArpMode, ArpRule, Change, RealserverSetup
from lvsguard.realserver.record import ArpKey, ArpSetting, Original, Own, Record
from lvsguard.realserver.record_file import DIRECTORY, RecordFile, locked, present_era


@dataclass(frozen=True, slots=True)
class Host:
    """Where the work is done: the kernel settings and the directory of the record."""

    sysctl: Sysctl = field(default_factory=Sysctl)
    directory: Path = DIRECTORY


@asynccontextmanager
async def open_session(host: Host) -> AsyncIterator[Session]:
    """Take the lock, open what is needed and load the record. Raises KernelError."""
    async with locked(host.directory), open_links() as links:
        boot = host.sysctl.read("kernel/random/boot_id")
        file = RecordFile(host.directory, present_era(boot))
        yield Session(host.sysctl, links, file, file.load())


@dataclass(slots=True)
class Session:
    """The record as it grows and the list of what was done."""

    sysctl: Sysctl
    links: Links
    file: RecordFile
    record: Record
    changes: list[Change] = field(default_factory=list)

    def keep(self, own: Own) -> None:
        """Record before acting."""
        self._save(self.record.with_own(own))

    def _save(self, record: Record) -> None:
        if record != self.record:
            self.file.save(record)
            self.record = record

    def _done(self, subject: str, text: str, *, left: bool = False) -> None:
        self.changes.append(Change(subject, text, left))

    async def _find(self, name: str) -> Link | None:
        return next((link for link in await self.links.read() if link.name == name), None)

    # up

    async def raise_link(self, name: str) -> None:
        """Make the link when there is none, and set it up when it is down."""
        own = self.record.owns[name]
        link = await self._find(name)
        if link is None:
            self.keep(replace(own, link_made=True, link_raised=False))
            try:
                made = await self.links.add(name, LINK_KIND)
            except KernelError:
                self.keep(own)
                raise
            if made:
                self._done(name, f"made, type {LINK_KIND}")
            else:
                self.keep(own)
        elif not link.up and not own.link_made:
            self.keep(replace(own, link_raised=True))
        if link is None or not link.up:
            await self.links.set_up(name, up=True)
            self._done(name, "set up")

    async def quiet(self, setup: RealserverSetup, before: RealserverSetup) -> None:
        """Keep ARP quiet by the setup's mode; what the one before needed stays as yet."""
        for setting in sorted(_needed(setup)):
            self._hold(setup.link, setting)
        if setup.mode is ArpMode.ARPTABLES and setup.rules:
            for rule in sorted(setup.rules - await arptables.read(), key=str):
                own = self.record.owns[setup.link]
                self.keep(replace(own, rules=own.rules | {rule}))
                await arptables.insert(rule)
                self._done("arptables", str(rule))
        if setup.mode is ArpMode.NFTABLES:
            await self._nftables(self._table_rules() | _table_rules(before))

    def _hold(self, link: str, setting: ArpSetting) -> None:
        """Make one setting quiet, unless it is, and remember what it was."""
        own = self.record.owns[link]
        own = replace(own, settings=own.settings | {setting})
        present = self.sysctl.read_int(setting.name)
        if _is_quiet(setting.key, present):
            self.keep(own)
            return
        originals = dict(self.record.originals)
        if not (own.link_made and setting.link == link):  # else it goes with the link
            originals.setdefault(setting, Original(present, _QUIET[setting.key]))
        self._save(replace(self.record.with_own(own), originals=originals))
        self.sysctl.write(setting.name, str(_QUIET[setting.key]))
        self._done(setting.name, f"{present} -> {_QUIET[setting.key]}")

    async def add_address(self, link: str, address: Interface) -> None:
        """Add a VIP that is not there yet."""
        own = self.record.owns[link]
        present = await self._find(link)
        if present is not None and present.holds(address):
            return
        self.keep(replace(own, addresses=own.addresses | {address}))
        await self.links.add_address(link, address)
        self._done(str(address), f"added to {link}")

    # down, and going over to another setup

    async def undo(self, own: Own) -> None:
        """The reverse of ``up``, in the reverse order."""
        for address in sorted(own.addresses, key=str):
            await self.delete_address(own.setup.link, address)
        nothing = replace(own.setup, mode=ArpMode.NONE)
        self.keep(replace(self.record.owns[own.setup.link], setup=nothing))
        await self.release(nothing)
        await self._lower(own)
        self._save(self.record.without(own.setup.link))

    async def delete_address(self, link: str, address: Interface) -> None:
        """Delete a VIP that ``up`` added; gone already is well."""
        if await self.links.delete_address(link, address):
            self._done(str(address), f"removed from {link}")
        own = self.record.owns[link]
        self.keep(replace(own, addresses=own.addresses - {address}))

    async def release(self, setup: RealserverSetup) -> None:
        """Restore what the record holds for a link beyond what its setup needs."""
        link = setup.link
        for rule in sorted(self.record.owns[link].rules - _needed_rules(setup), key=str):
            await self._drop_rule(link, rule)
        held = {setting for other in self.record.others(link) for setting in other.settings}
        for setting in sorted(self.record.owns[link].settings - _needed(setup)):
            if setting not in held:
                self._restore(setting)
            own = self.record.owns[link]
            self.keep(replace(own, settings=own.settings - {setting}))
        if self.record.owns[link].table:
            await self._nftables(self._table_rules())
            table = setup.mode is ArpMode.NFTABLES
            self.keep(replace(self.record.owns[link], table=table))

    async def _drop_rule(self, link: str, rule: ArpRule) -> None:
        heir = next((o for o in self.record.others(link) if rule in _needed_rules(o.setup)), None)
        if heir is not None:
            self.keep(replace(heir, rules=heir.rules | {rule}))
        elif rule in await arptables.read():
            await arptables.delete(rule)
            self._done("arptables", f"no longer: {rule}")
        own = self.record.owns[link]
        self.keep(replace(own, rules=own.rules - {rule}))

    def _restore(self, setting: ArpSetting) -> None:
        original = self.record.originals.get(setting)
        if original is None:
            return
        present = self.sysctl.find(setting.name)
        if present == str(original.ours):
            self.sysctl.write(setting.name, str(original.before))
            self._done(setting.name, f"{present} -> {original.before}")
        elif present is not None and present != str(original.before):
            text = f"left at {present}, set by somebody else; it was {original.before} before"
            self._done(setting.name, text, left=True)
        rest = {k: v for k, v in self.record.originals.items() if k != setting}
        self._save(replace(self.record, originals=rest))

    async def _lower(self, own: Own) -> None:
        link = await self._find(own.setup.link)
        if link is None:
            return
        foreign = [str(a) for a in link.addresses if not a.address.ip.is_link_local]
        if own.link_made and foreign:
            self._done(link.name, f"left: somebody else put {', '.join(foreign)} on it", left=True)
        elif own.link_made:
            await self.links.delete(link.name)
            self._done(link.name, "deleted")
        elif own.link_raised and link.up:
            await self.links.set_up(link.name, up=False)
            self._done(link.name, "set down")

    def _table_rules(self) -> frozenset[ArpRule]:
        """What the nftables table has to hold for all setups."""
        return frozenset(r for own in self.record.owns.values() for r in _table_rules(own.setup))

    async def _nftables(self, wanted: frozenset[ArpRule]) -> None:
        if (present := await nftables.read()) != wanted:
            await nftables.replace(wanted)
            for rule in sorted(wanted - present, key=str):
                self._done("nftables", str(rule))
            for rule in sorted(present - wanted, key=str):
                self._done("nftables", f"no longer: {rule}")


_QUIET: Final[dict[ArpKey, int]] = {"arp_ignore": 1, "arp_announce": QUIET_ANNOUNCE}


def _is_quiet(key: ArpKey, value: int) -> bool:
    return ignore_is_quiet(value) if key == "arp_ignore" else announce_is_quiet(value)


def _needed(setup: RealserverSetup) -> frozenset[ArpSetting]:
    """The settings that keep a setup quiet: none unless its mode is sysctl and it has IPv4."""
    if setup.mode is not ArpMode.SYSCTL or not setup.ipv4_vips:
        return frozenset()
    return frozenset(ArpSetting(name, key) for name in ("all", setup.link) for key in _QUIET)


def _needed_rules(setup: RealserverSetup) -> frozenset[ArpRule]:
    """The arptables rules that a setup needs."""
    return setup.rules if setup.mode is ArpMode.ARPTABLES else frozenset()


def _table_rules(setup: RealserverSetup) -> frozenset[ArpRule]:
    """The nftables rules that a setup needs."""
    return setup.rules if setup.mode is ArpMode.NFTABLES else frozenset()
