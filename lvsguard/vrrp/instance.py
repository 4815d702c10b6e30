"""One instance on the wire: the IPv4 or the IPv6 half of a VIP group.

It makes adverts into packets for every path, and packets into adverts that are believed or counted
as dropped. Who is master is the election's business, and when to read is the station's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from ipaddress import ip_address
from typing import Final, Literal

from lvsguard.core.model import IPAddress
from lvsguard.kernel.port import KernelError
from lvsguard.vrrp import auth, packet
from lvsguard.vrrp.advert import GROUP_V4, GROUP_V6, TTL, Advert, HmacAuth, Wire
from lvsguard.vrrp.announce import Rhythm
from lvsguard.vrrp.hearing import Hearing
from lvsguard.vrrp.link import Datagram, Link
from lvsguard.vrrp.macvlan import VirtualMac, default_name
from lvsguard.vrrp.message import Put, vip_address
from lvsguard.vrrp.reception import Received, Rejected
from lvsguard.vrrp.settings import Settings
from lvsguard.vrrp.speaker import introduce

Family = Literal[4, 6]

NOWHERE: Final[Mapping[Family, IPAddress]] = {4: ip_address("0.0.0.0"), 6: ip_address("::")}
"""Speaks from here until its interface is known."""


class Instance:
    """How one instance speaks and hears, and what it counted."""

    def __init__(self, put: Put, family: Family) -> None:
        """``put`` has addresses of this family."""
        self.vip = put.name
        self.name = member(put.name, family)
        self.family: Family = family
        own = (vip_address(one) for one in put.addresses)
        listed = tuple(one for one in own if one.address.version == family)
        self.interface = listed[0].interface
        self.virtual: VirtualMac | None = None
        if put.virtual_mac:
            name = default_name(put.vrid, family)
            self.virtual = VirtualMac(name, self.interface, put.vrid, family)
        self.addresses = tuple(
            replace(one, interface=self.virtual.name) if self.virtual else one for one in listed
        )
        """Where they stand: on the virtual MAC's interface, if there is one."""
        self.paths = (self.interface, *put.heartbeat)
        """The first is the main path; by its address there a director is known on all of them."""
        peers = (ip_address(peer) for peer in put.peers)
        self._wire = Wire(
            version=put.version,
            checksum=put.checksum,
            password=put.password,
            auth=put.auth,
            peers=frozenset(peer for peer in peers if peer.version == family),
            unicast_ttl=put.unicast_ttl or (TTL if family == 4 else None),
            strict=put.strict,
        )
        # Peers are addresses of the main path; a second one is a network of the directors alone.
        self._wire_beside = replace(self._wire, peers=frozenset(), unicast_ttl=None)
        group = GROUP_V4 if family == 4 else GROUP_V6
        named = (ip_address(one) for one in (put.source, put.source6) if one)
        self.source = next((one for one in named if one.version == family), None)
        """The address to speak from that the config names, of the main path."""
        self._beside = (group,)
        self._destinations = tuple(sorted(self._wire.peers, key=int)) or self._beside
        plain = tuple(one.address for one in listed)
        self._expected = Advert(put.vrid, put.priority, put.interval, plain, put.version)
        self._replays: dict[str, auth.ReplayWindow] = {}
        """By interface: an advert goes over each path, and may come from the same address there."""
        self._sequence: int | None = None
        self._made: dict[tuple[Advert, IPAddress, IPAddress], bytes] = {}
        self.settings = Settings(
            vrid=put.vrid,
            addresses=plain,
            local=self.source or NOWHERE[family],
            priority=put.priority,
            interval=put.interval,
            version=put.version,
            preempt=put.preempt,
            preempt_delay=put.preempt_delay,
            start_delay=put.start_delay,
            unready_drop=put.unready_drop,
        )
        a = put.announcing
        self.rhythm = Rhythm(a.repeat, a.delay, a.repeat, a.refresh)
        self.sent = self.received = self.conflicts = self.claims = 0
        self.resigned = self.resignations = self.late = 0
        self.rejected: Counter[str] = Counter()
        self.hearing = Hearing(self.paths, put.version, put.interval)

    @property
    def auth(self) -> HmacAuth | None:
        """Keys of the instance, if it has any."""
        return self._wire.auth

    def inherit(self, before: Instance) -> None:
        """Go on counting, and guarding against replays, where an instance of another config was."""
        self.sent, self.received = before.sent, before.received
        self.conflicts, self.claims = before.conflicts, before.claims
        self.resigned, self.resignations = before.resigned, before.resignations
        self.late = before.late
        self.rejected = before.rejected
        self.hearing.inherit(before.hearing)
        self._replays, self._sequence = dict(before._replays), before._sequence

    @property
    def place(self) -> str:
        """What it is on the wire."""
        return f"{self.interface}/{self.family}/{self.settings.vrid}"

    @property
    def destination(self) -> IPAddress:
        """Where its adverts go on the main path, the first if there are more."""
        return self._destinations[0]

    def say(
        self, advert: Advert, speaker: IPAddress, links: Iterable[Link], wall: float
    ) -> list[str]:
        """Send an advert over every path; why it could not be, path by path. ``speaker``: the own
        address on the main path."""
        troubles: list[str] = []
        sequence = self._next_sequence(wall)
        for link in links:
            mute = len(troubles)
            main = link.interface == self.interface
            # Where the longer one does not fit, the plain one is better than none.
            forms = (advert,) if main else (introduce(advert, speaker), advert)
            for destination in self._destinations if main else self._beside:
                source = link.source_for(destination)
                # What the kernel says of a link that is down is not what is to be done.
                why = link.problem(self.family, destination)
                if source is None or why:
                    why = why or f"it has no address to {destination}"
                    troubles.append(f"no advert goes out of {link.interface}: {why}")
                    continue
                packets = (self._packet(form, source, destination, sequence) for form in forms)
                trouble = _send_one(link, packets, source, destination)
                self.sent += not trouble
                self.resigned += not trouble and advert.priority == 0
                troubles += [trouble] if trouble else []
            self.hearing.said(link.interface, next(iter(troubles[mute:]), ""))
        return troubles

    def _next_sequence(self, wall: float) -> int | None:
        signed = self._wire.auth
        if signed is None or not auth.signs(signed):
            return None
        self._sequence = auth.next_sequence(self._sequence, wall, signed.window)
        return self._sequence

    def _packet(
        self, advert: Advert, source: IPAddress, destination: IPAddress, sequence: int | None
    ) -> bytes:
        if sequence is not None:
            return packet.encode(advert, self._wire, source, destination, sequence)
        key = (advert, source, destination)
        made = self._made.get(key)
        if made is None:
            if len(self._made) > 64:
                self._made.clear()
            made = self._made[key] = packet.encode(advert, self._wire, source, destination)
        return made

    def hear(self, datagram: Datagram, wall: float) -> Received | Rejected:
        """Believe an advert or count why not."""
        wire = self._wire if datagram.interface == self.interface else self._wire_beside
        replay = self._replays.get(datagram.interface, auth.ReplayWindow())
        found = packet.decode(datagram, wire, self._expected, replay, wall)
        if isinstance(found, Rejected):
            self.rejected[str(found.reason)] += 1
            return found
        if found.sequence is not None:
            after = replay.after(datagram.source, found.sequence)
            self._replays[datagram.interface] = after
        self.received += 1
        self.resignations += found.advert.priority == 0
        return found


def _send_one(
    link: Link, packets: Iterable[bytes], source: IPAddress, destination: IPAddress
) -> str:
    """Send the first of these that can be sent; empty, or why none could."""
    trouble = ""
    for one in packets:
        try:
            link.send(one, source, destination)
        except KernelError as error:
            trouble = trouble or str(error)
        else:
            return ""
    return trouble


def families(put: Put) -> tuple[Family, ...]:
    """The families that a VIP group has addresses of."""
    versions = {vip_address(one).address.version for one in put.addresses}
    return tuple(family for family in (4, 6) if family in versions)


def member(vip: str, family: Family) -> str:
    """Name of an instance."""
    return f"{vip}/{family}"


def standing_on(put: Put) -> set[str]:
    """The interfaces that a VIP group's addresses stand on."""
    return {a.interface for family in families(put) for a in Instance(put, family).addresses}
