"""Rules among elections: ids that must not meet, groups that move together, connection sync."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lvsguard.config.leaf import near, show
from lvsguard.config.peer_rules import families
from lvsguard.config.problem import KeyPath, spell
from lvsguard.config.review import Review
from lvsguard.config.schema import VipTable
from lvsguard.config.validate import entries
from lvsguard.config.vrrp_rules import check_interface, check_vrrp, interface_of
from lvsguard.config.vrrp_schema import VrrpTable

_TOGETHER: Final = ("priority", "interval", "preempt", "preempt_delay", "start_delay")
"""Keys in which members of a sync group agree: a group is as slow, as eager and as strong as
each of its members, or two directors wait for each other."""


def check_elections(sheet: Review) -> None:
    """Every rule on every election, one by one and together."""
    for index, vip, vrrp in _elections(sheet):
        check_vrrp(sheet, index, vip, vrrp)
    _check_ids(sheet)
    _check_groups(sheet)
    _check_sync(sheet)


def _elections(sheet: Review) -> Iterator[tuple[int, VipTable, VrrpTable]]:
    for index, vip in entries(sheet.document.vip):
        if vip.vrrp is not None:
            yield index, vip, vip.vrrp


def _check_ids(sheet: Review) -> None:
    """A vrid means one VIP on each interface that it is heard on, heartbeats among them."""
    owners: dict[tuple[str, int, int], int] = {}
    for index, vip, vrrp in _elections(sheet):
        here: KeyPath = ("vip", index, "vrrp", "vrid")
        own = interface_of(sheet, vip)
        heard = [] if own is None else [own]
        heard += sheet.pick(vrrp.heartbeat) or []
        # The interface of a virtual MAC is named by family and id, wherever it stands.
        heard += ["the virtual MAC's interface"] if vrrp.virtual_mac else []
        met: set[int] = set()
        for interface in heard:
            for family in families(vip):
                first = owners.setdefault((interface, family, vrrp.vrid), index)
                if first == index or first in met:
                    continue
                met.add(first)
                sheet.say(
                    here,
                    f"{vrrp.vrid} is already that of vip[{first}] for IPv{family} on"
                    f" {interface}; take another from 1 to 255",
                    *(("vip", one, *keys) for one in (first, index) for keys in _HEARD),
                    ("director", "interface"),
                )


_HEARD: Final[tuple[KeyPath, ...]] = (
    ("addresses",),
    ("interface",),
    ("vrrp", "vrid"),
    ("vrrp", "heartbeat"),
    ("vrrp", "virtual_mac"),
)


def _check_groups(sheet: Review) -> None:
    members: dict[str, list[tuple[int, VrrpTable]]] = {}
    for index, _, vrrp in _elections(sheet):
        if vrrp.sync_group is not None:
            members.setdefault(vrrp.sync_group, []).append((index, vrrp))
    for name, group in members.items():
        first, model = group[0]
        if len(group) == 1:
            guess = near(name, [other for other in members if other != name])
            hint = f"; did you mean {show(guess)}?" if guess else ""
            sheet.say(
                ("vip", first, "vrrp", "sync_group"),
                f"no other VIP names {show(name)}; name it there too, or leave it out{hint}",
                ("vip",),
            )
        for index, vrrp in group[1:]:
            for key in _TOGETHER:
                if getattr(vrrp, key) == getattr(model, key):
                    continue
                path: KeyPath = ("vip", index, "vrrp", key)
                other: KeyPath = ("vip", first, "vrrp", key)
                written = key in vrrp.model_fields_set
                sheet.say(
                    path if written else ("vip", index, "vrrp", "sync_group"),
                    f"{key} differs from {spell(other)}, and VIPs of sync group {show(name)} move"
                    " together; write the same in both",
                    path,
                    other,
                )


def _check_sync(sheet: Review) -> None:
    sync = sheet.document.sync
    if sync is None:
        return
    if not any(True for _ in _elections(sheet)):
        sheet.say(
            ("sync",),
            "no VIP has an election, so no director would be master of the sync; write a"
            " [vip.vrrp], or leave [sync] out",
            ("vip",),
        )
    if sync.interface is not None:
        name = sheet.pick(sync.interface)
        if name is not None:
            check_interface(sheet, ("sync", "interface"), name)
    if sync.period and sync.threshold >= sync.period:
        sheet.say(
            ("sync", "threshold"),
            f"{sync.threshold} is not less than period ({sync.period}), which the kernel refuses;"
            " make it less, or period 0",
            ("sync", "period"),
        )
