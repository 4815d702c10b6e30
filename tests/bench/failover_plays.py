"""The plays of DESIGN §8 about directors and long-lived connections, the same for every system.

Each returns what a client and the kernels saw, or fails when the play did not happen.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench.failover_systems import SERVICE
from tests.support.topology_load import failures, start_load
from tests.support.topology_pings import start_pings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.bench.failover_stage import Stage
    from tests.support.topology_load import Request
    from tests.support.topology_pings import Connection

PER_SECOND = 50
TIMEOUT_S = 0.9
"""Of a request: below the first retransmission of a SYN, so that each tells of its own moment."""
CONNECTIONS = 50
QUIET_S = 30.0


@dataclass(frozen=True, slots=True)
class Outage:
    """What new connections saw."""

    requests: int
    failed: int
    seconds: float
    """From the first that failed to the first that did not, by their beginnings."""
    late_s: float
    """How late the client was at worst: the noise of the measurement."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What long-lived connections saw."""

    count: int
    kept: int
    stall_s: float
    """The longest that one which lived waited for an answer."""


def outage(requests: Iterable[Request]) -> Outage:
    """Of all requests of a play with one outage."""
    ended = sorted(requests, key=lambda request: request.at)
    failed = failures(ended)
    late_s = max(request.late_s for request in ended)
    if not failed:
        return Outage(len(ended), 0, 0.0, late_s)
    well = [request.at for request in ended if not request.failed and request.at > failed[-1].at]
    assert well, "nobody answered any more"
    return Outage(len(ended), len(failed), well[0] - failed[0].at, late_s)


def kept(connections: list[Connection], stopped_at: float) -> Kept:
    """What became of them. One that waits for an answer since 5 s is not kept."""
    assert all(connection.pings > 1 for connection in connections), "they never began"
    lives = [c for c in connections if not c.broken and not _hangs(c, stopped_at)]
    return Kept(len(connections), len(lives), max((c.worst_s for c in lives), default=0.0))


def _hangs(connection: Connection, stopped_at: float) -> bool:
    """Whether its worst wait was its last, and still is."""
    return connection.worst_s > 5 and connection.worst_at + connection.worst_s >= stopped_at


def dies(stage: Stage, interval: float) -> Outage:
    """director1 dies."""
    stage.begin(interval, sync=False)
    load = start_load(stage.network.client, SERVICE, PER_SECOND, timeout_s=TIMEOUT_S)
    stage.wait_a_while(interval)
    stage.kill(stage.one)
    stage.wait_for_holder(stage.two)
    time.sleep(1.5)
    seen = outage(load.stop())
    assert seen.failed, "director1 died and nobody noticed"
    return seen


def stops(stage: Stage) -> Outage:
    """director1 is stopped as planned, at adverts of 1 s."""
    stage.begin(1, sync=False)
    load = start_load(stage.network.client, SERVICE, PER_SECOND, timeout_s=TIMEOUT_S)
    stage.wait_a_while(1)
    stage.system.stop(stage.one)
    stage.wait_for_holder(stage.two)
    time.sleep(2)
    return outage(load.stop())


def connections_stop(stage: Stage, *, sync: bool) -> Kept:
    """director1 is stopped as planned while connections are open."""
    return _connections(stage, sync=sync, planned=True)


def connections_die(stage: Stage, *, sync: bool) -> Kept:
    """director1 dies while connections are open."""
    return _connections(stage, sync=sync, planned=False)


def _connections(stage: Stage, *, sync: bool, planned: bool) -> Kept:
    stage.begin(1, sync=sync)
    pings = start_pings(stage.network.client, SERVICE, CONNECTIONS, every_s=0.1)
    time.sleep(2)  # the kernel's own sync daemon may keep what it has for that long
    stage.wait_a_while(1)
    if planned:
        stage.system.stop(stage.one)
    else:
        stage.kill(stage.one)
    stage.wait_for_holder(stage.two)
    time.sleep(6)  # TCP asks again after 0.2, 0.6, 1.4, 3.0 and 6.2 s
    stopped_at = time.monotonic()
    return kept(pings.stop(), stopped_at)


def returns(stage: Stage, count: int, every_s: float) -> Kept:
    """director1 was away, comes back, and preempts: it never saw these connections."""
    stage.begin(1, sync=True)
    stage.system.stop(stage.one)
    stage.wait_for_holder(stage.two)
    stage.reboot(stage.one)
    pings = start_pings(stage.network.client, SERVICE, count, every_s=every_s)
    time.sleep(3)
    stage.system.launch(stage.one)
    stage.wait_for_holder(stage.one)
    time.sleep(3 + 2 * every_s)
    stopped_at = time.monotonic()
    return kept(pings.stop(), stopped_at)


@dataclass(frozen=True, slots=True)
class Rest:
    """What came of nothing."""

    changes: int
    """How often the VIP came to a director or left one."""
    noise_ms: float
    """How late an idle real-time timer was at worst meanwhile: the kernel's own doing."""


def rests(stage: Stage, interval: float) -> Rest:
    """Nothing happens for 30 s."""
    stage.begin(interval, sync=False)
    time.sleep(3)
    since = time.time()
    command = (sys.executable, "-m", "tests.bench.timer_noise", str(QUIET_S))
    noise = stage.network.client.start(f"noise{stage.chance.random()}", *command)
    time.sleep(QUIET_S)
    assert noise.wait(10) == 0, noise.text()
    changes = sum(change.at >= since for change in stage.watch.changes())
    return Rest(changes, json.loads(noise.text())["max"])
