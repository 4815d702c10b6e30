"""The kernel settings that the config names (net/ipv4/vs and the IPVS timeouts), held in place.

A setting that cannot be written is told and never stops a pass: forwarding works without it.
"""

from __future__ import annotations

from dataclasses import dataclass

from lvsguard.controller.sync import Sync
from lvsguard.core.config import IpvsSettings
from lvsguard.core.vrrp import ConnectionSync
from lvsguard.kernel.port import Ipvs, KernelError, Timeouts
from lvsguard.kernel.sysctl import SettingValue, Sysctl

ROOM = "net/ipv4/vs"

AUTOMATIC = frozenset({"drop_entry", "drop_packet", "secure_tcp"})
"""Defences that the kernel itself moves between 1 (armed) and 2 (at work), as memory goes
(net/netfilter/ipvs/ip_vs_ctl.c, update_defense_level)."""
ARMED = frozenset({"1", "2"})


@dataclass(frozen=True, slots=True)
class Held:
    """What one look at the settings did."""

    changes: tuple[str, ...] = ()
    """Such as ``net/ipv4/vs/expire_nodest_conn 0 -> 1``."""
    troubles: tuple[str, ...] = ()


class Settings:
    """Writes what differs, each time it is asked to look."""

    def __init__(
        self,
        wanted: IpvsSettings,
        sysctl: Sysctl | None = None,
        *,
        sync: ConnectionSync | None = None,
    ) -> None:
        """Nothing is written before the first ``hold``."""
        self._wanted = wanted
        self._sysctl = sysctl or Sysctl()
        self._sync = Sync(sync, self._sysctl)

    @property
    def sync(self) -> Sync:
        """The kernel's sync daemons."""
        return self._sync

    def configure(self, wanted: IpvsSettings, sync: ConnectionSync | None = None) -> None:
        """Hold other values from now on; a setting no longer named stays as it is."""
        self._wanted = wanted
        self._sync.configure(sync)

    async def hold(self, ipvs: Ipvs) -> Held:
        """Look at every setting and write what differs."""
        changes: list[str] = []
        troubles: list[str] = []
        for name, value in self._wanted.sysctls.items():
            try:
                if name in AUTOMATIC and {value, self._sysctl.read(f"{ROOM}/{name}")} <= ARMED:
                    continue
                written = self._sysctl.set([SettingValue(f"{ROOM}/{name}", value)])
            except KernelError as error:
                troubles.append(str(error))
            else:
                changes.extend(map(str, written))
        changes.extend(await self._hold_timeouts(ipvs))
        started, failed = await self._sync.hold(ipvs)
        return Held((*changes, *started), (*troubles, *failed))

    async def release(self, ipvs: Ipvs) -> tuple[str, ...]:
        """Stop the sync daemons; what went wrong. Settings stay as they are."""
        self._sync.configure(None)
        _, troubles = await self._sync.hold(ipvs)
        return tuple(troubles)

    async def _hold_timeouts(self, ipvs: Ipvs) -> list[str]:
        want = self._wanted
        if want.tcp_timeout is want.tcp_fin_timeout is want.udp_timeout is None:
            return []
        have = await ipvs.timeouts()
        goal = Timeouts(
            want.tcp_timeout or have.tcp,
            want.tcp_fin_timeout or have.tcp_fin,
            want.udp_timeout or have.udp,
        )
        if goal == have:
            return []
        await ipvs.set_timeouts(goal)
        return [
            f"timeout {name} {was}s -> {now}s"
            for name, was, now in (
                ("tcp", have.tcp, goal.tcp),
                ("tcp_fin", have.tcp_fin, goal.tcp_fin),
                ("udp", have.udp, goal.udp),
            )
            if was != now
        ]
