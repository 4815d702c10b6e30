"""What the probers of the day's directors tell, and what the daemon's processes take."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

from lvsguard.core.config import Check
from lvsguard.core.health import FailureClass
from lvsguard.core.tally import BUCKETS, Tally
from lvsguard.telemetry.processes import Machine, ProberLoad
from tests.support import day_script as script
from tests.support.day_config import TLS, check
from tests.support.day_script import MIDNIGHT, SERVICES

CLASSES: dict[str, str] = {
    "L4CON": FailureClass.REFUSED,
    "L4TOUT": FailureClass.TIMEOUT,
    "L7TOUT": FailureClass.TIMEOUT,
    "L7STS": FailureClass.WRONG,
    "L6ARP": FailureClass.HOST_DEAD,
}
PROBER = "prober0"


def tallies(t: int, step_s: int, chance: random.Random) -> Iterator[Tally]:
    """Of the step that ends then."""
    for s in SERVICES:
        load = script.traffic(s, t) / s.peak
        for host in s.hosts:
            code = script.failure(host, s.port, t) or "L7OK"
            slow = 5.0 if (host, s.port) == ("10.0.0.43", 80) and 20000 < t < 24000 else 1.0
            typical = (0.002 + 0.004 * load) * slow
            yield _tally(check(host, s.port), code, typical, t, step_s, chance)


def _tally(
    asked: Check, code: str, typical: float, t: int, step_s: int, chance: random.Random
) -> Tally:
    """The probes since the last step, one a second; a good one takes what is ``typical``."""
    buckets, seconds = [0] * (len(BUCKETS) + 1), 0.0
    for _ in range(20):
        took = typical * chance.lognormvariate(0, 0.45)
        took = 1.0 if code.endswith("TOUT") else took
        at = next((i for i, bound in enumerate(BUCKETS) if took <= bound), len(BUCKETS))
        buckets[at] += step_s // 20
        seconds += step_s / 20 * took
    last = MIDNIGHT + t - chance.random()
    failed = {CLASSES[code]: step_s} if code in CLASSES else {}
    named = f"{asked.address}:{asked.port}"
    expires = script.certificate(named, t) if asked.port == TLS else 0.0
    return Tally(asked, {code: step_s}, seconds, tuple(buckets), last, failed, expires)


def machine(director: str, t: int, chance: random.Random) -> Machine:
    """This process stands for each of the daemon's; a host that is overloaded is late."""
    late = script.one(script.LATE, t, director) is not None
    pids = dict.fromkeys(("controller", "vrrp"), os.getpid())
    if script.one(script.STALLED, t, director):
        return Machine(pids, {})
    load = ProberLoad(chance.uniform(0.0003, 0.0008) * (200 if late else 1), 2, 0)
    return Machine({**pids, PROBER: os.getpid()}, {PROBER: load})
