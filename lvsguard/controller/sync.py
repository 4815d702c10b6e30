"""The kernel's connection sync between directors, held in place.

Both of its daemons run on every director all the time: whoever forwards nothing sends nothing, and
a change of role then needs no change here. What cannot be done is told and never stops a pass.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from errno import EEXIST, EINVAL, ESRCH

from lvsguard.core.config import Config
from lvsguard.core.snapshot import SyncStatus, TransferStatus
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
    interface. The id then is the lowest VRID, the same on all directors of the same elections.

    Without a word about it there is none where a realserver is of another family than its service:
    the kernel has either that or sync daemons (ip_vs_ctl.c, __ip_vs_add_dest_check)."""
    elected = [vip.vrrp.vrid for vip in config.vips if vip.vrrp is not None]
    if not elected:
        return None
    mixed = any(
        realserver.key.address.version != service.key.family
        for service in config.services
        for realserver in service.realservers
    )
    if config.sync is None and mixed:
        return None
    return config.sync or ConnectionSync(config.interface, sync_id=min(elected))


def index_of(interface: str) -> int:
    """The interface's index; 0: there is none."""
    try:
        return socket.if_nametoindex(interface)
    except OSError:
        return 0


@dataclass(frozen=True, slots=True)
class _Left:
    """A daemon as it was left behind."""

    goal: SyncDaemon
    running: SyncDaemon
    """As the kernel tells it: it makes its own of lengths and TTLs."""
    index: int
    """Of its interface: on another one of the same name it hears nothing."""


class Sync:
    """Starts what is missing, replaces what differs, each time it is asked to look."""

    def __init__(
        self,
        wanted: ConnectionSync | None,
        sysctl: Sysctl | None = None,
        index: Callable[[str], int] = index_of,
    ) -> None:
        """Nothing is written before the first ``hold``."""
        self._wanted = wanted
        self._held = False
        self._sysctl = sysctl or Sysctl()
        self._index = index
        self._left: dict[SyncRole, _Left] = {}
        self.running: Mapping[SyncRole, SyncDaemon] = {}
        """What was found or left at the last look."""

    @property
    def wanted(self) -> ConnectionSync | None:
        """What is held; None: no daemon."""
        return self._wanted

    def status(self, transfer: TransferStatus | None) -> SyncStatus | None:
        """What is published; ``transfer``: the last of the whole table. None: nothing is held."""
        wanted = self._wanted
        if wanted is None:
            return None
        goals = (_daemon(wanted, role) for role in SyncRole)
        there = tuple(
            str(goal.role)
            for goal in goals
            if (running := self.running.get(goal.role)) is not None
            and _essence(running, length=False) == _essence(goal, length=False)
        )
        group = str(wanted.group) if wanted.group else GROUP
        return SyncStatus(wanted.interface, wanted.sync_id, group, wanted.port, there, transfer)

    def configure(self, wanted: ConnectionSync | None) -> None:
        """Hold something else from now on."""
        self._wanted = wanted

    async def hold(self, ipvs: Ipvs) -> tuple[list[str], list[str]]:
        """What was changed, and what went wrong."""
        if self._wanted is None and not self._held:
            return [], []
        self._held = True
        changes: list[str] = []
        troubles: list[str] = []
        try:
            self.running = {daemon.role: daemon for daemon in await ipvs.sync_daemons()}
            for role in SyncRole:
                await self._hold_role(ipvs, role, changes, troubles)
            if changes:
                self.running = {daemon.role: daemon for daemon in await ipvs.sync_daemons()}
        except KernelError as error:
            troubles.append(str(error))
            return changes, troubles
        if self._wanted is None:
            self._left.clear()
            self._held = bool(self.running)
        else:
            self._remember(self._wanted)
            self._hold_threshold(self._wanted, changes, troubles)
        return changes, troubles

    async def _hold_role(
        self, ipvs: Ipvs, role: SyncRole, changes: list[str], troubles: list[str]
    ) -> None:
        running = self.running.get(role)
        goal = None if self._wanted is None else _daemon(self._wanted, role)
        if running == goal or (running and goal and self._agree(running, goal)):
            return
        try:
            if running is not None:
                await _stop(ipvs, role)
                changes.append(f"sync daemon ({role}) stopped")
            if goal is not None:
                await _start(ipvs, goal)
                changes.append(f"sync daemon ({role}) on {goal.interface}, id {goal.sync_id}")
        except KernelError as error:
            troubles.append(str(error))

    def _agree(self, running: SyncDaemon, goal: SyncDaemon) -> bool:
        """Whether a daemon is as wanted, and hears what it should."""
        index = self._index(goal.interface)
        left = self._left.get(goal.role)
        if left is not None and left.goal == goal:
            return running == left.running and index in (0, left.index)
        master = goal.role is SyncRole.MASTER
        return _essence(running, length=master) == _essence(goal, length=master)

    def _remember(self, wanted: ConnectionSync) -> None:
        """Take what runs now for what was asked for: a kernel without short messages has others."""
        before, self._left = self._left, {}
        for role, running in self.running.items():
            goal = _daemon(wanted, role)
            if _essence(running, length=False) != _essence(goal, length=False):
                continue
            old = before.get(role)
            unseen = self._index(goal.interface)
            kept = old is not None and old.goal == goal and not unseen
            self._left[role] = _Left(goal, running, old.index if old and kept else unseen)

    def _hold_threshold(
        self, wanted: ConnectionSync, changes: list[str], troubles: list[str]
    ) -> None:
        value = f"{wanted.threshold} {wanted.period}"
        try:
            changes += map(str, self._sysctl.set([SettingValue(_THRESHOLD, value)]))
        except KernelError as error:
            troubles.append(str(error))


async def _stop(ipvs: Ipvs, role: SyncRole) -> None:
    try:
        await ipvs.stop_sync(role)
    except KernelError as error:
        if error.errno != ESRCH:
            raise


async def _start(ipvs: Ipvs, goal: SyncDaemon) -> None:
    try:
        await ipvs.start_sync(goal)
    except KernelError as error:
        if error.errno == EEXIST:
            return  # somebody was quicker; the next look compares
        if error.errno != EINVAL or not goal.max_length:
            raise
        # Perhaps a kernel that has no messages so short: a crash then costs up to 2 s of news.
        await ipvs.start_sync(replace(goal, max_length=0))


def _daemon(wanted: ConnectionSync, role: SyncRole) -> SyncDaemon:
    return SyncDaemon(
        role,
        wanted.interface,
        wanted.sync_id,
        max_length=SIZE if role is SyncRole.MASTER else 0,
        group=str(wanted.group) if wanted.group else GROUP,
        port=wanted.port,
    )


def _essence(daemon: SyncDaemon, *, length: bool) -> tuple[object, ...]:
    """What two daemons must have in common to be the same."""
    same = (daemon.interface, daemon.sync_id, daemon.group, daemon.port)
    return (*same, daemon.max_length if length else 0)
