"""Rules of one VIP's election: what its keys come to together, and on this host."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lvsguard.config.leaf import period, show
from lvsguard.config.peer_rules import check_peers, check_source, families
from lvsguard.config.problem import KeyPath
from lvsguard.config.review import Review
from lvsguard.config.schema import VipTable
from lvsguard.config.track_rules import check_tracks
from lvsguard.config.vrrp_schema import PRIORITY_OWNER, VrrpTable
from lvsguard.core.vrrp import Version

INTERVAL_V3: Final = 4095
"""Hundredths of a second in an advert's 12 bits (RFC 9568 section 5.2.7)."""
ADDRESSES_MAX: Final = 255
"""Addresses of a family that an advert counts in 8 bits (RFC 9568 section 5.2.5)."""
INTRODUCTION: Final = 2
"""Of them, what says on a second path who speaks (``vrrp/speaker``)."""


def interface_of(sheet: Review, vip: VipTable) -> str | None:
    """The interface that carries a VIP on this director; None when a table does not say."""
    default = sheet.document.director.interface
    return sheet.pick(default if vip.interface is None else vip.interface)


def each(value: object) -> Iterator[object]:
    """A value on every director that it is written for."""
    if isinstance(value, dict):
        yield from value.values()
    elif value is not None:
        yield value


def check_vrrp(sheet: Review, index: int, vip: VipTable, vrrp: VrrpTable) -> None:
    """Every rule on one election."""
    here: KeyPath = ("vip", index, "vrrp")
    _check_interval(sheet, here, vrrp)
    _check_version(sheet, here, vip, vrrp)
    _check_count(sheet, here, vip, vrrp)
    _check_preemption(sheet, here, vrrp)
    check_peers(sheet, here, vip, vrrp)
    check_source(sheet, here, vip, vrrp)
    _check_heartbeat(sheet, here, vip, vrrp)
    _check_announce(sheet, here, vrrp)
    _check_auth(sheet, here, vrrp)
    check_tracks(sheet, here, vrrp)


def _check_interval(sheet: Review, here: KeyPath, vrrp: VrrpTable) -> None:
    path, version = (*here, "interval"), (*here, "version")
    told = period(vrrp.interval)
    if vrrp.version is Version.V2:
        if vrrp.interval < 1 or vrrp.interval != int(vrrp.interval):
            sheet.say(path, f"{told}: version 2 takes whole seconds from 1s to 255s", version)
        return
    hundredths = vrrp.interval * 100
    if hundredths > INTERVAL_V3 + 0.001 or abs(hundredths - round(hundredths)) > 0.001:
        sheet.say(path, f"{told}: version 3 takes 10ms to 40.95s in steps of 10ms", version)


def _check_version(sheet: Review, here: KeyPath, vip: VipTable, vrrp: VrrpTable) -> None:
    version = (*here, "version")
    written = vrrp.model_fields_set
    if vrrp.version is Version.V2:
        if 6 in families(vip):
            sheet.say(
                version,
                "version 2 knows IPv4 only; take 3, or give the IPv6 addresses a [[vip]] of"
                " their own with version 3 and the same sync_group",
                ("vip", here[1], "addresses"),
            )
        if "checksum" in written:
            sheet.say(
                (*here, "checksum"),
                "version 2 has one form of checksum; leave it out, or take version 3",
                version,
            )
        return
    if vrrp.password is not None:
        sheet.say(
            (*here, "password"),
            "version 3 of VRRP has no password; leave it out and use [vip.vrrp.auth], or take"
            " version 2",
            version,
        )
    if "checksum" in written and families(vip) == [6]:
        sheet.say(
            (*here, "checksum"),
            "over IPv6 there is one form of checksum; leave it out",
            ("vip", here[1], "addresses"),
        )


def _check_count(sheet: Review, here: KeyPath, vip: VipTable, vrrp: VrrpTable) -> None:
    most = ADDRESSES_MAX - (INTRODUCTION if vrrp.heartbeat else 0)
    over = " with heartbeat" if vrrp.heartbeat else ""
    for family in families(vip):
        count = sum(prefixed.address.version == family for prefixed in vip.addresses)
        if count > most:
            sheet.say(
                ("vip", here[1], "addresses"),
                f"{count} IPv{family} addresses; an advert{over} has at most {most} of a"
                " family: give the others a [[vip]] with a vrid of its own and the same"
                " sync_group",
                here,
            )


def _check_preemption(sheet: Review, here: KeyPath, vrrp: VrrpTable) -> None:
    priorities = list(each(vrrp.priority))
    path = (*here, "priority")
    if isinstance(vrrp.priority, dict) and priorities.count(PRIORITY_OWNER) > 1:
        sheet.say(
            path,
            f"priority {PRIORITY_OWNER} owns the addresses and is for one director at most; give"
            " the others 1 to 254",
        )
    if vrrp.preempt:
        return
    if PRIORITY_OWNER in priorities:
        sheet.say(
            (*here, "preempt"),
            f"priority {PRIORITY_OWNER} owns the addresses and always preempts; leave preempt out,"
            " or give 1 to 254",
            path,
        )
    if any(each(vrrp.preempt_delay)):
        sheet.say(
            (*here, "preempt_delay"),
            "nothing to delay: preempt is false; leave one of them out",
            (*here, "preempt"),
        )


def _check_heartbeat(sheet: Review, here: KeyPath, vip: VipTable, vrrp: VrrpTable) -> None:
    own = interface_of(sheet, vip)
    by_director = isinstance(vrrp.heartbeat, dict)
    path = (*here, "heartbeat", sheet.director) if by_director else (*here, "heartbeat")
    seen: set[str] = set()
    for place, name in enumerate(sheet.pick(vrrp.heartbeat) or []):
        where = (*path, place)
        if name == own:
            sheet.say(
                where,
                f"{show(name)} carries the VIP and its adverts already; name another interface",
                ("vip", here[1], "interface"),
                ("director", "interface"),
            )
        elif name in seen:
            sheet.say(where, f"{show(name)} is there twice; name each interface once")
        else:
            check_interface(sheet, where, name)
        seen.add(name)


def check_interface(sheet: Review, where: KeyPath, name: str) -> None:
    """An interface that a rule looks at exists on this host."""
    if sheet.interfaces is not None and name not in sheet.interfaces:
        there = ", ".join(sorted(sheet.interfaces)) or "none at all"
        sheet.say(where, f"no interface {show(name)} on this host; it has {there}")


def _check_announce(sheet: Review, here: KeyPath, vrrp: VrrpTable) -> None:
    if 0 < vrrp.announce.refresh < 1:
        sheet.say(
            (*here, "announce", "refresh"),
            f"{period(vrrp.announce.refresh)} would flood the network; 1s or more, or 0 for none",
        )
    if vrrp.virtual_mac and not vrrp.announce.refresh:
        sheet.say(
            (*here, "announce", "refresh"),
            "0 lets switches forget where the virtual MAC is, and send what is for the VIP"
            " everywhere; less than they remember, such as 1m, or leave virtual_mac out",
            (*here, "virtual_mac"),
        )


def _check_auth(sheet: Review, here: KeyPath, vrrp: VrrpTable) -> None:
    if vrrp.auth is None:
        return
    path = (*here, "auth")
    numbers = sorted(key.number for key in vrrp.auth.keys)
    known = ", ".join(map(str, numbers))
    if vrrp.auth.send_key is None:
        if len(numbers) > 1:
            sheet.say(path, f"several keys ({known}) and no send_key; name the one to sign with")
    elif vrrp.auth.send_key not in numbers:
        sheet.say(
            (*path, "send_key"),
            f"{vrrp.auth.send_key} is no key of this table, which has {known}; add it or correct"
            " it",
            (*path, "keys"),
        )
    if vrrp.password is not None and vrrp.version is Version.V2:
        sheet.say(
            (*here, "password"),
            "beside [vip.vrrp.auth] a password adds nothing; leave one of them out",
            path,
        )
