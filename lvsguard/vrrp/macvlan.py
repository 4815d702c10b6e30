"""The virtual MAC address of RFC 9568 section 7.3, as an interface that VIPs can live on.

Optional: with it a failover changes no neighbour's ARP cache, only the switches' tables. Without
it VIPs live on the interface itself and announcements move them, as with keepalived's default.

Adverts leave with the interface's own MAC address, which that section has otherwise: a rival whose
macvlan is in private mode (keepalived's) would not get ours where it listens, for the kernel hands
frames that come from the MAC address of such a one to it alone. Ours is in bridge mode, so that
those who do speak from it are heard. Switches learn where the virtual MAC is from announcements
instead, which are repeated while master.

What writes to the kernel is imported where it is used: most directors have no virtual MAC, and the
library below it is a third of what the VRRP process would import before its first advert.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from lvsguard.kernel.sysctl import SettingValue, Sysctl, SysctlError, SysctlFault, conf


@dataclass(frozen=True, slots=True)
class VirtualMac:
    """A virtual MAC interface: its name, the one below it, and what it answers for.

    While it is down it takes no frames. A backup keeps it down: it must not take those for the
    master.
    """

    name: str
    parent: str
    vrid: int
    family: Literal[4, 6]

    @property
    def mac(self) -> bytes:
        """00:00:5e:00:01:VRID for IPv4, 00:00:5e:00:02:VRID for IPv6."""
        return bytes((0, 0, 0x5E, 0, 1 if self.family == 4 else 2, self.vrid))


def default_name(vrid: int, family: Literal[4, 6]) -> str:
    """The name of the interface where the config gives none."""
    return f"vrrp{'' if family == 4 else '6'}.{vrid}"


def own_settings(name: str, *, filtered_everywhere: bool) -> tuple[SettingValue, ...]:
    """What the virtual interface needs, as keepalived's use_vmac has it.

    arp_ignore: answer for its own addresses only. accept_local: hear another director whose
    adverts come from an address that is ours too. rp_filter: packets for the VIP come from
    networks that are routed elsewhere; where ``all`` filters, the larger of the two values counts
    and loose (2) is as open as can be.
    """
    return (
        SettingValue(conf("ipv4", name, "arp_ignore"), "1"),
        SettingValue(conf("ipv4", name, "accept_local"), "1"),
        SettingValue(conf("ipv4", name, "rp_filter"), "2" if filtered_everywhere else "0"),
        SettingValue(conf("ipv4", name, "promote_secondaries"), "1"),
    )


def own_settings_v6(name: str) -> tuple[SettingValue, ...]:
    """No link-local address of the virtual MAC (both directors would have it, RFC 9568 section
    7.4), and no duplicate detection that would find the other director's."""
    return (
        SettingValue(conf("ipv6", name, "addr_gen_mode"), "1"),
        SettingValue(conf("ipv6", name, "accept_dad"), "0"),
        SettingValue(conf("ipv6", name, "accept_ra"), "0"),
    )


def parent_settings(parent: str) -> tuple[SettingValue, ...]:
    """What the interface below needs: not to teach its own MAC address for the VIPs.

    arp_ignore and arp_filter as keepalived: it does not answer for them. arp_announce: what it asks
    when the director answers a client from the VIP must not name the VIP as the asker.
    """
    return (
        SettingValue(conf("ipv4", parent, "arp_ignore"), "1"),
        SettingValue(conf("ipv4", parent, "arp_filter"), "1"),
        SettingValue(conf("ipv4", parent, "arp_announce"), "2"),
    )


async def create(virtual: VirtualMac, sysctl: Sysctl) -> tuple[SettingValue, ...]:
    """Make it, down, with all its settings; idempotent. Returns the values that the interface below
    had before, for ``remove``. Raises KernelError."""
    from lvsguard.kernel.macvlan import add_macvlan, delete_macvlan

    made = await add_macvlan(virtual.name, virtual.parent, virtual.mac.hex(":"))
    try:
        everywhere = sysctl.read_int(conf("ipv4", "all", "rp_filter")) > 0
        sysctl.set(own_settings(virtual.name, filtered_everywhere=everywhere))
        for setting in own_settings_v6(virtual.name):
            _set_if_there(sysctl, setting)
        if virtual.family == 6:
            return ()
        before = sysctl.remember(one.name for one in parent_settings(virtual.parent))
        sysctl.set(parent_settings(virtual.parent))
    except BaseException:
        if made:
            await delete_macvlan(virtual.name)
        raise
    return before


async def set_up(virtual: VirtualMac, *, up: bool) -> None:
    """Raise it before the VIPs are added to it, lower it after they are gone. Raises
    KernelError."""
    from lvsguard.kernel.macvlan import raise_macvlan

    await raise_macvlan(virtual.name, up=up)


async def remove(virtual: VirtualMac, sysctl: Sysctl, before: Iterable[SettingValue] = ()) -> bool:
    """Delete it and give the interface below its settings back. False: it was gone. The last
    virtual interface on a parent gives back what ``create`` returned to the first. Raises
    KernelError."""
    from lvsguard.kernel.macvlan import delete_macvlan

    gone = await delete_macvlan(virtual.name)
    for setting in before:
        _set_if_there(sysctl, setting)
    return gone


def _set_if_there(sysctl: Sysctl, setting: SettingValue) -> None:
    """Write a setting; a host without IPv6, or without the interface any more, has none."""
    try:
        sysctl.set((setting,))
    except SysctlError as error:
        if error.fault is not SysctlFault.MISSING:
            raise
