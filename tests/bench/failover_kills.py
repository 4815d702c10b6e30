"""Many deaths of a director in a row: the distribution of the outage, and who held the VIP.

One client asks all the time. In each round director1 dies, director2 takes over, director1 comes
back with nothing, and preempts.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from tests.bench.failover_plays import PER_SECOND, TIMEOUT_S, outage
from tests.bench.failover_systems import SERVICE
from tests.bench.failover_watch import Span, longest, spans
from tests.support.topology_load import failures, start_load

if TYPE_CHECKING:
    from tests.bench.failover_stage import Stage
    from tests.support.stillness import Stillness


@dataclass(frozen=True, slots=True)
class Kills:
    """What some deaths did. All in seconds but `failed_at_returns`."""

    interval: float
    outages: list[float]
    """Of new connections, one for each death."""
    missing: list[float]
    """The VIP on no living director, one for each death."""
    missing_else: float
    """The same at any other time, the longest."""
    missing_else_still: float
    """For how much of that the guest itself stood still."""
    doubled: float
    """The VIP on two living directors that hear each other, the longest."""
    doubled_still: float
    """For how much of that the guest itself stood still."""
    still: float
    """The longest that the guest stood still at once."""
    failed_at_returns: int
    """Requests that failed while director1 came back and preempted."""
    late_s: float
    """How late the client was at worst."""


def kills(
    stage: Stage, still: Stillness, interval: float, count: int, longest_s: float = inf
) -> Kills:
    """Play so many deaths, or as many as begin within a time."""
    stage.begin(interval, sync=True)
    clock = time.time() - time.monotonic()
    begin = time.time()
    load = start_load(stage.network.client, SERVICE, PER_SECOND, timeout_s=TIMEOUT_S)
    rounds = []
    for number in range(count):
        if time.time() - begin > longest_s:
            break
        stage.wait_a_while(interval)
        died_at = stage.kill(stage.one)
        stage.wait_for_holder(stage.two)
        time.sleep(0.5)
        rounds.append((died_at, time.time()))
        stage.boot(stage.one)
        stage.wait_for_holder(stage.one)
        print(f"  {number + 1} of {count}", end="\r", flush=True)
    time.sleep(1.5)
    requests = load.stop()
    held = spans(stage.watch.changes(), begin, time.time())
    assert len(held) > 2 * len(rounds) > 0, "the VIP did not move at each death"

    outages, missing, in_rounds = [], [], 0
    for died_at, over_at in rounds:
        within = [r for r in requests if died_at - 1 <= r.at + clock <= over_at]
        seen = outage(within)
        assert seen.failed, "director1 died and nobody noticed"
        in_rounds += seen.failed
        outages.append(seen.seconds)
        missing.append(max(s.took_s for s in held if s.begin == died_at and not s.holders))
    deaths = {died_at for died_at, _ in rounds}
    nobody = longest((s for s in held if s.begin not in deaths), 0)
    both = longest(held, 2)

    def stood_still(span: Span | None) -> float:
        return still.within_s(span.begin - clock, span.end - clock) if span else 0.0

    return Kills(
        interval=interval,
        outages=outages,
        missing=missing,
        missing_else=nobody.took_s if nobody else 0.0,
        missing_else_still=stood_still(nobody),
        doubled=both.took_s if both else 0.0,
        doubled_still=stood_still(both),
        still=still.longest_s(begin - clock),
        failed_at_returns=len(failures(requests)) - in_rounds,
        late_s=max(request.late_s for request in requests),
    )
