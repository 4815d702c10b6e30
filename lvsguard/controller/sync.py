"""The kernel's connection sync between directors, held in place.

Both of its daemons run on every director all the time: whoever forwards nothing sends nothing, and
a change of role then needs no change here. What cannot be done is told and never stops a pass.
"""

from __future__ import annotations

from collections.abc import Awaitable
from errno import EEXIST, ESRCH

from lvsguard.core.config import Config
from lvsguard.core.vrrp import ConnectionSync
from lvsguard.kernel.port import Ipvs, KernelError, SyncDaemon, SyncRole
from lvsguard.kernel.sysctl import SettingValue, Sysctl

SIZE = 1
"""Of the master's messages: one connection each. The kernel else keeps them until a message is full
or 2 s old, and a director that dies takes those with it."""
GROUP = "224.0.0.81"
_THRESHOLD = "net/ipv4/vs/sync_threshold"


def wanted_sync(config: Config) -> ConnectionSync | None:
    """What the config asks for; with an election and no word about it, over the director's
    interface. The id then is the first election's, the same on all its directors."""
    elected = [vip.vrrp for vip in config.vips if vip.vrrp is not None]
    if not elected:
        return None
    return config.sync or ConnectionSync(config.interface, sync_id=elected[0].vrid)


class Sync:
    """Starts what is missing, replaces what differs, each time it is asked to look."""

    def __init__(self, wanted: ConnectionSync | None, sysctl: Sysctl | None = None) -> None:
        """Nothing is written before the first ``hold``."""
        self._wanted = wanted
        self._held = False
        self._sysctl = sysctl or Sysctl()

    def configure(self, wanted: ConnectionSync | None) -> None:
        """Hold something else from now on."""
        self._wanted = wanted

    async def hold(self, ipvs: Ipvs) -> tuple[list[str], list[str]]:
        """What was changed, and what went wrong."""
        if self._wanted is None and not self._held:
            return [], []
        changes: list[str] = []
        troubles: list[str] = []
        running = {daemon.role: daemon for daemon in await ipvs.sync_daemons()}
        for role in SyncRole:
            try:
                changes += await self._hold_role(ipvs, role, running.get(role))
            except KernelError as error:
                troubles.append(str(error))
        self._held = self._wanted is not None
        if self._wanted is not None:
            value = f"{self._wanted.threshold}\t{self._wanted.period}"
            try:
                changes += map(str, self._sysctl.set([SettingValue(_THRESHOLD, value)]))
            except KernelError as error:
                troubles.append(str(error))
        return changes, troubles

    async def _hold_role(self, ipvs: Ipvs, role: SyncRole, running: SyncDaemon | None) -> list[str]:
        goal = None if self._wanted is None else _daemon(self._wanted, role)
        if (running is None and goal is None) or (
            running is not None and goal is not None and _agree(running, goal)
        ):
            return []
        done: list[str] = []
        if running is not None:
            await _ignoring(ESRCH, ipvs.stop_sync(role))
            done.append(f"sync daemon ({role}) stopped")
        if goal is not None:
            await _ignoring(EEXIST, ipvs.start_sync(goal))
            done.append(f"sync daemon ({role}) on {goal.interface}, id {goal.sync_id}")
        return done


async def _ignoring(errno: int, asked: Awaitable[None]) -> None:
    try:
        await asked
    except KernelError as error:
        if error.errno != errno:
            raise


def _daemon(wanted: ConnectionSync, role: SyncRole) -> SyncDaemon:
    return SyncDaemon(
        role,
        wanted.interface,
        wanted.sync_id,
        max_length=SIZE if role is SyncRole.MASTER else 0,
        group=str(wanted.group) if wanted.group else GROUP,
        port=wanted.port,
    )


def _agree(running: SyncDaemon, goal: SyncDaemon) -> bool:
    """Whether a daemon is as wanted. The kernel makes its own of lengths and TTLs."""
    return (running.interface, running.sync_id, running.group, running.port) == (
        goal.interface,
        goal.sync_id,
        goal.group,
        goal.port,
    )
