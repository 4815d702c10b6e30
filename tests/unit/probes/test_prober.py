"""When checks are probed and what is reported, under a clock that the test sets."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from lvsguard.core.config import ArpSpec, Check, CheckKind, CheckSpec
from lvsguard.core.health import PACE, FailureClass, Health, Hint, Result, Timing, Verdict
from lvsguard.core.tally import BUCKETS
from lvsguard.probes.connection import Done
from lvsguard.probes.engine import Engine
from lvsguard.probes.prober import Prober
from tests.unit.probes.test_engine import Clock

OK = Result(True, "L7OK", "200 OK", 0.002)
WRONG = Result(False, "L7STS", "503 Service Unavailable", 0.002, FailureClass.WRONG)
REFUSED = Result(False, "L4CON", "connection refused", 0.0, FailureClass.REFUSED)
LOCAL = Result(False, "SOCKERR", "too many open files", 0.0, FailureClass.LOCAL)
HANGS = None


class Asked:
    """A kind of check whose answers the test decides; ``HANGS`` answers nothing, ever."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.answer: Callable[[Check], Result | Later | None] = lambda _: OK
        self.starts: dict[Check, list[float]] = {}
        self.under_way = 0
        self.most_under_way = 0

    def ready(self, check: Check, engine: Engine) -> Callable[[Done], Waiting]:
        def start(done: Done) -> Waiting:
            self.starts.setdefault(check, []).append(self.clock.now)
            waiting = Waiting(self, check, done)
            answer = self.answer(check)
            if isinstance(answer, Result):
                waiting.finish(answer)
            elif answer is not None:
                waiting.later(engine, answer)
            return waiting

        return start


class Later:
    """An answer that takes its time (seconds)."""

    def __init__(self, result: Result, after: float) -> None:
        self.result = result
        self.after = after


class Waiting:
    """One such probe under way."""

    def __init__(self, asked: Asked, check: Check, done: Done) -> None:
        self.deadline = asked.clock.now + check.spec.timing.timeout
        self.alarm = 0
        self._asked = asked
        self._done = done
        self._later: Later | None = None
        asked.under_way += 1
        asked.most_under_way = max(asked.most_under_way, asked.under_way)

    def later(self, engine: Engine, answer: Later) -> None:
        self._later = answer
        engine.wake(engine.now + answer.after, self)

    def ring(self, due: float) -> None:
        assert self._later is not None
        self.finish(self._later.result)

    def finish(self, result: Result) -> None:
        self._asked.under_way -= 1
        self._done(result)

    @property
    def reached(self) -> bool:
        return False

    def expire(self, lateness: float) -> None:
        self.finish(Result(False, "L7TOUT", "nothing", 1.0, FailureClass.TIMEOUT))

    def cancel(self) -> None:
        self._asked.under_way -= 1


class Bench:
    """A prober under a clock that the test moves."""

    def __init__(self, limit: int = 1000) -> None:
        self.clock = Clock()
        self.engine = Engine(self.clock)
        self.asked = Asked(self.clock)
        self.reports: list[tuple[float, int, Health]] = []
        self.prober = Prober(
            self.engine, self._report, limit=limit, kinds={CheckKind.HTTP: self.asked.ready}
        )

    def _report(self, number: int, health: Health) -> None:
        self.reports.append((self.clock.now, number, health))

    def pass_time(self, seconds: float, step: float = 0.005) -> None:
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.clock.now = min(self.clock.now + step, end)
            self.engine.select(0)

    def now(self) -> None:
        self.engine.select(0)

    def starts(self, check: Check) -> list[float]:
        return self.asked.starts.get(check, [])


@pytest.fixture
def bench() -> Iterator[Bench]:
    random.seed(1)  # phases are chosen by chance: one in two hundred falls into a moment looked at
    bench = Bench()
    yield bench
    bench.prober.close()
    bench.engine.close()


def check_of(number: int, timing: Timing = Timing()) -> Check:
    spec = CheckSpec(CheckKind.HTTP, timing)
    return Check(IPv4Address(0x0A000000 + number), 80, spec)


def test_all_first_probes_are_made_at_once(bench: Bench) -> None:
    for number in range(50):
        bench.prober.add(number, check_of(number))
    bench.now()
    assert len(bench.asked.starts) == 50
    assert {number for _, number, _ in bench.reports} == set(range(50))
    assert {health.verdict for _, _, health in bench.reports} == {Verdict.UP}


def test_after_the_first_probes_checks_are_spread_over_the_interval(bench: Bench) -> None:
    checks = [check_of(number) for number in range(400)]
    for number, check in enumerate(checks):
        bench.prober.add(number, check)
    bench.pass_time(3.0)
    second = [bench.starts(check)[1] % 1.0 for check in checks]
    by_quarter = [sum(q <= phase * 4 < q + 1 for phase in second) for q in range(4)]
    assert min(by_quarter) > 50


@pytest.mark.parametrize("interval", [0.05, 0.3, 1.0, 7.0])
@pytest.mark.parametrize("after", [0.0, 0.02])
def test_no_pause_is_longer_than_the_interval(bench: Bench, interval: float, after: float) -> None:
    bench.asked.answer = lambda _: Later(OK, after)
    timing = Timing(interval=interval, fast_interval=interval, timeout=interval)
    checks = [check_of(number, timing) for number in range(200)]
    for number, check in enumerate(checks):
        bench.prober.add(number, check)
    bench.pass_time(4 * interval, step=0.001)
    for check in checks:
        pauses = [later - one for one, later in itertools.pairwise(bench.starts(check))]
        assert len(pauses) >= 2
        assert max(pauses) <= interval + 0.0021


def test_a_check_stays_on_its_phase_without_drift(bench: Bench) -> None:
    check = check_of(1)
    bench.prober.add(1, check)
    bench.pass_time(60.0, step=0.003)
    starts = bench.starts(check)[1:]
    assert len(starts) in (61, 62)
    first = starts[0]
    assert all(abs(start - first - k * PACE) < 0.004 for k, start in enumerate(starts))


def test_checks_share_their_phases_so_that_wake_ups_are_shared(bench: Bench) -> None:
    checks = [check_of(number) for number in range(200)]
    for number, check in enumerate(checks):
        bench.prober.add(number, check)
    bench.pass_time(4.0, step=0.001)
    assert len({round(bench.starts(check)[2] % PACE, 2) for check in checks}) <= 17


def test_an_interval_per_state_of_health(bench: Bench) -> None:
    timing = Timing(interval=2.0, fast_interval=0.2, down_interval=5.0, rise=3, fall=3)
    check = check_of(1, timing)
    bench.prober.add(1, check)
    bench.pass_time(6.0)
    up = bench.starts(check)[:]
    assert up[-1] - up[-2] == pytest.approx(2.0 * PACE, abs=0.011)
    bench.asked.answer = lambda _: WRONG
    bench.pass_time(4.0)
    failing = bench.starts(check)[len(up) :]
    assert [round(b - a, 1) for a, b in itertools.pairwise(failing)] == [0.2, 0.2]
    assert bench.reports[-1][2].verdict is Verdict.DOWN
    bench.pass_time(12.0)
    down = bench.starts(check)
    assert round(down[-1] - down[-2], 1) == 5.0


@pytest.mark.parametrize("timeout", [0.1, 0.5, 1.0, 2.0, 3.0])
def test_the_interval_holds_whatever_the_timeout(bench: Bench, timeout: float) -> None:
    check = check_of(1, Timing(interval=1.0, timeout=timeout))
    bench.asked.answer = lambda _: Later(OK, 0.03)
    bench.prober.add(1, check)
    bench.pass_time(20.0)
    pauses = [b - a for a, b in itertools.pairwise(bench.starts(check)[1:])]
    assert pauses == pytest.approx([PACE] * len(pauses), abs=0.011)
    assert len(pauses) in (19, 20)


def test_a_change_of_verdict_is_reported_at_once_and_only_once(bench: Bench) -> None:
    bench.prober.add(1, check_of(1))
    bench.pass_time(5.0)
    assert [health.verdict for _, _, health in bench.reports] == [Verdict.UP]
    bench.asked.answer = lambda _: REFUSED
    bench.pass_time(5.0)
    assert [health.verdict for _, _, health in bench.reports] == [Verdict.UP, Verdict.DOWN]
    assert bench.reports[-1][2].result == REFUSED
    bench.asked.answer = lambda _: OK
    bench.pass_time(5.0)
    assert [health.verdict for _, _, health in bench.reports][2:] == [Verdict.UP]


def test_a_down_realserver_that_now_refuses_is_reported_at_once(bench: Bench) -> None:
    bench.asked.answer = lambda _: WRONG
    bench.prober.add(1, check_of(1))
    bench.pass_time(3.0)
    assert len(bench.reports) == 1
    bench.asked.answer = lambda _: REFUSED
    bench.pass_time(3.0)
    assert [health.cause for _, _, health in bench.reports] == [WRONG, REFUSED]


def test_a_new_reason_under_the_same_verdict_is_told_when_asked(bench: Bench) -> None:
    other = Result(False, "L7RSP", "nonsense", 0.0, FailureClass.WRONG)
    bench.asked.answer = lambda _: WRONG
    bench.prober.add(1, check_of(1))
    bench.pass_time(3.0)
    assert list(bench.prober.reasons()) == []
    bench.asked.answer = lambda _: other
    bench.pass_time(3.0)
    told = list(bench.prober.reasons())
    assert [(number, health.result) for number, health in told] == [(1, other)]
    assert list(bench.prober.reasons()) == []


def test_a_reason_that_came_and_went_is_not_told(bench: Bench) -> None:
    bench.prober.add(1, check_of(1))
    bench.pass_time(2.0)
    bench.asked.answer = lambda _: WRONG
    bench.prober.probe_now([1], [0.0])
    bench.now()
    bench.asked.answer = lambda _: OK
    bench.pass_time(1.0)
    assert list(bench.prober.reasons()) == []


def test_a_failure_of_the_directors_own_changes_no_verdict_and_is_counted(bench: Bench) -> None:
    bench.prober.add(1, check_of(1))
    bench.pass_time(2.0)
    bench.asked.answer = lambda _: LOCAL
    bench.pass_time(5.0 * PACE)
    assert [health.verdict for _, _, health in bench.reports] == [Verdict.UP]
    load = bench.prober.load()
    assert load.local == 5
    assert load.trouble == "http 10.0.0.1:80: too many open files"
    assert bench.prober.load().local == 0


@pytest.mark.parametrize("before", [OK, None], ids=["up", "never asked"])
def test_who_cannot_be_asked_for_long_is_told_beside_the_verdict_until_it_can(
    bench: Bench, before: Result | None
) -> None:
    bench.asked.answer = lambda _: before or LOCAL
    bench.prober.add(1, check_of(1))
    bench.now()
    bench.asked.answer = lambda _: LOCAL
    bench.pass_time(5.0)
    ((number, health),) = bench.prober.reasons()
    verdict = Verdict.UNKNOWN if before is None else Verdict.UP
    assert (number, health.verdict) == (1, verdict)
    assert health.note == "it cannot be asked: too many open files"
    bench.pass_time(5.0)
    assert list(bench.prober.reasons()) == []
    bench.asked.answer = lambda _: replace(LOCAL, reason="no route")
    bench.pass_time(2.0)
    assert [h.note for _, h in bench.prober.reasons()] == ["it cannot be asked: no route"]
    bench.asked.answer = lambda _: OK
    bench.pass_time(2.0)
    told = [h for _, h in bench.prober.reasons()] or [h for _, _, h in bench.reports]
    assert (told[-1].verdict, told[-1].note) == (Verdict.UP, "")


def test_why_a_host_is_not_asked_is_told_to_each_of_its_checks_whenever_it_comes(
    bench: Bench,
) -> None:
    spec = CheckSpec(CheckKind.HTTP, arp=ArpSpec(interface="lo", source=IPv4Address("127.0.0.1")))
    for number in (1, 2):
        bench.prober.add(number, Check(IPv4Address("10.0.0.1"), 80 + number, spec))
        bench.pass_time(2.0)
        assert bench.prober.health(number).note.startswith("not asked by ARP: lo")


def test_a_stall_is_not_told_beside_the_verdict(bench: Bench) -> None:
    bench.prober.add(1, check_of(1))
    bench.pass_time(2.0)
    list(bench.prober.reasons())
    bench.asked.answer = lambda _: LOCAL
    bench.pass_time(2.0)
    bench.asked.answer = lambda _: OK
    bench.pass_time(2.0)
    assert list(bench.prober.reasons()) == []


def test_a_check_that_another_process_takes_over_forgets_what_its_detectors_said(
    bench: Bench,
) -> None:
    bench.prober.add(1, check_of(1), Health(Verdict.UP, result=OK, note="no canary for now"))
    bench.pass_time(2.0)
    assert [(n, h.note) for n, h in bench.prober.reasons()] == [(1, "")]


def test_a_hung_target_delays_nobody_and_is_probed_each_interval(bench: Bench) -> None:
    hung, good = check_of(1), check_of(2)
    bench.asked.answer = lambda check: HANGS if check == hung else OK
    bench.prober.add(1, hung)
    bench.prober.add(2, good)
    bench.pass_time(20.0)
    assert len(bench.starts(good)) in (21, 22)
    assert 18 <= len(bench.starts(hung)) <= 21
    assert bench.asked.most_under_way <= 2
    down = next(when for when, number, _ in bench.reports if number == 1)
    assert down - 1000.0 < 2.3


def test_a_timeout_longer_than_the_interval_holds(bench: Bench) -> None:
    check = check_of(1, Timing(interval=1.0, timeout=2.5, down_interval=1.0))
    bench.asked.answer = lambda _: HANGS
    bench.prober.add(1, check)
    bench.pass_time(10.0)
    starts = bench.starts(check)
    assert all(2.4 < b - a < 3.6 for a, b in itertools.pairwise(starts))
    assert bench.asked.most_under_way == 1


def test_a_timeout_shorter_than_the_interval_holds(bench: Bench) -> None:
    check = check_of(1, Timing(timeout=0.5, fast_interval=2.0, fall=5))
    bench.asked.answer = lambda _: HANGS
    bench.prober.add(1, check)
    bench.pass_time(3.5)
    assert bench.asked.under_way == 0
    assert bench.starts(check) == pytest.approx([1000.005, 1002.005], abs=0.01)


def test_a_hint_makes_a_burst_besides_the_usual_times(bench: Bench) -> None:
    check = check_of(1, Timing(interval=10.0))
    bench.prober.add(1, check)
    bench.pass_time(12.0)
    before = bench.starts(check)[:]
    at = bench.clock.now
    bench.prober.probe_now([1, 99])
    bench.now()
    bench.pass_time(0.1, step=0.001)
    burst = [start - at for start in bench.starts(check)[len(before) :]]
    assert burst == pytest.approx([0.0, 0.01, 0.05], abs=0.0015)
    bench.pass_time(10.0)
    after = bench.starts(check)[len(before) + 3 :]
    assert (after[0] - before[-1]) % (10.0 * PACE) == pytest.approx(0.0, abs=0.011)


def test_a_burst_confirms_a_death_within_its_own_times(bench: Bench) -> None:
    bench.prober.add(1, check_of(1, Timing(interval=10.0, fall=2)))
    bench.pass_time(12.0)
    bench.asked.answer = lambda _: WRONG
    at = bench.clock.now
    bench.prober.probe_now([1])
    bench.now()
    bench.pass_time(0.1, step=0.001)
    when, _, health = bench.reports[-1]
    assert health.verdict is Verdict.DOWN
    assert when - at < 0.012


def test_a_burst_does_not_wait_for_a_probe_that_began_before_the_hint(bench: Bench) -> None:
    check = check_of(1, Timing(interval=10.0, timeout=5.0))
    bench.prober.add(1, check)
    bench.pass_time(2.0)
    bench.asked.answer = lambda _: HANGS
    while bench.asked.under_way == 0:
        bench.pass_time(0.1)
    bench.asked.answer = lambda _: REFUSED
    bench.prober.probe_now([1], [0.0])
    bench.now()
    assert bench.reports[-1][2].verdict is Verdict.DOWN
    assert bench.asked.under_way == 0


def test_passive_signs_do_not_put_off_what_a_probe_under_way_will_show(bench: Bench) -> None:
    """A server hangs; its clients show it while the second probe already waits."""
    bench.prober.add(1, check_of(1, Timing(interval=10.0, timeout=5.0, fall=1)))
    bench.pass_time(2.0)
    bench.asked.answer = lambda _: HANGS
    while bench.asked.under_way == 0:
        bench.pass_time(0.1)
    began = bench.clock.now
    bench.pass_time(3.0)
    bench.prober.hint([1], Hint("passive", "1.2 packets each", bench.clock.now))
    bench.pass_time(2.1)
    when, _, health = bench.reports[-1]
    assert health.verdict is Verdict.DOWN
    assert when - began < 5.2


def test_a_burst_does_not_pile_up_on_a_slow_target(bench: Bench) -> None:
    check = check_of(1, Timing(interval=10.0, timeout=5.0))
    bench.prober.add(1, check)
    bench.pass_time(2.0)
    count = len(bench.starts(check))
    bench.asked.answer = lambda _: HANGS
    bench.prober.probe_now([1])
    bench.now()
    bench.pass_time(0.1)
    assert len(bench.starts(check)) == count + 1
    assert bench.asked.most_under_way == 1


def test_a_removed_check_is_probed_no_more_even_if_under_way(bench: Bench) -> None:
    bench.asked.answer = lambda _: HANGS
    bench.prober.add(1, check_of(1))
    bench.now()
    assert bench.asked.under_way == 1
    bench.prober.remove(1)
    bench.prober.remove(1)
    assert bench.asked.under_way == 0
    assert len(bench.prober) == 0
    bench.pass_time(5.0)
    assert len(bench.starts(check_of(1))) == 1
    assert bench.reports == []


def test_a_check_that_is_added_disturbs_no_other(bench: Bench) -> None:
    bench.prober.add(1, check_of(1))
    bench.pass_time(3.0)
    before = bench.starts(check_of(1))[:]
    bench.prober.add(2, check_of(2))
    bench.pass_time(3.0)
    after = bench.starts(check_of(1))
    assert after[len(before)] - before[-1] == pytest.approx(PACE, abs=0.011)


def test_a_check_goes_on_with_the_health_that_it_had(bench: Bench) -> None:
    down = Health(Verdict.DOWN, 900.0, failures=2, result=WRONG, cause=WRONG)
    bench.asked.answer = lambda _: WRONG
    bench.prober.add(1, check_of(1), down)
    bench.pass_time(3.0)
    assert len(bench.starts(check_of(1))) >= 2
    assert bench.reports == []
    bench.asked.answer = lambda _: OK
    bench.pass_time(3.0)
    ((_, _, health),) = bench.reports
    assert (health.verdict, health.successes) == (Verdict.UP, 2)


def test_probes_beyond_the_limit_of_sockets_wait_their_turn() -> None:
    bench = Bench(limit=10)
    bench.asked.answer = lambda _: HANGS
    for number in range(35):
        bench.prober.add(number, check_of(number))
    bench.pass_time(0.1)
    assert bench.asked.under_way == 10
    assert bench.prober.load().waiting == 25
    bench.prober.remove(0)
    assert bench.asked.under_way == 10
    bench.asked.answer = lambda _: OK
    bench.pass_time(1.5)
    assert len(bench.asked.starts) == 35
    assert bench.asked.most_under_way == 10
    bench.prober.close()
    bench.engine.close()


def test_many_local_failures_in_a_row_do_not_recurse() -> None:
    bench = Bench(limit=1)
    bench.asked.answer = lambda _: HANGS
    for number in range(3000):
        bench.prober.add(number, check_of(number))
    bench.pass_time(0.5)
    bench.asked.answer = lambda _: LOCAL
    bench.pass_time(1.0)
    assert bench.prober.load().local >= 2999
    bench.prober.close()
    bench.engine.close()


def test_under_overload_turns_are_left_out_all_alike_and_lateness_is_told(bench: Bench) -> None:
    checks = [check_of(number) for number in range(100)]
    for number, check in enumerate(checks):
        bench.prober.add(number, check)
    bench.pass_time(2.0)
    bench.prober.load()
    for _ in range(10):  # a process that gets to run once in three seconds and a half
        bench.clock.now += 3.5
        for _ in range(5):
            bench.engine.select(0)
    counts = [len(bench.starts(check)) for check in checks]
    assert max(counts) - min(counts) <= 2
    assert max(counts) <= 16
    assert 2.0 < bench.prober.load().lateness < 3.6


def test_counts_are_of_what_was_done_since_the_last_time(bench: Bench) -> None:
    bench.prober.add(7, check_of(7))
    bench.pass_time(0.5)
    (count,) = bench.prober.counts()
    assert (count.number, count.codes) == (7, {"L7OK": len(bench.starts(check_of(7)))})
    assert sum(count.buckets) == count.codes["L7OK"]
    assert len(count.buckets) == len(BUCKETS) + 1
    assert count.buckets[1] == count.codes["L7OK"]  # 2 ms: above 1 ms, at most 2.5 ms
    assert list(bench.prober.counts()) == []


def test_failures_are_counted_by_class_and_the_last_certificate_is_remembered(bench: Bench) -> None:
    shown = replace(OK, expires=2e9)
    answers = iter([shown, *[Result(False, "L6RSP", "no", 0.0, FailureClass.WRONG)] * 2])
    bench.asked.answer = lambda _: next(answers, OK)
    bench.prober.add(7, check_of(7))
    bench.pass_time(2.5)
    (count,) = bench.prober.counts()
    assert (dict(count.failures), count.expires) == ({"wrong": 2}, 2e9)
    bench.pass_time(1.5)
    (count,) = bench.prober.counts()
    assert (dict(count.failures), count.expires) == ({}, 2e9)


def test_a_number_is_given_once(bench: Bench) -> None:
    bench.prober.add(1, check_of(1))
    with pytest.raises(ValueError, match="remove it first"):
        bench.prober.add(1, check_of(2))


def test_a_hint_from_elsewhere_is_a_burst_for_those_that_are_up(bench: Bench) -> None:
    slow = Timing(interval=60.0, down_interval=60.0, fall=1)
    up, down = check_of(1, slow), check_of(2, slow)
    bench.asked.answer = lambda check: OK if check is up else WRONG
    for number, check in enumerate((up, down), 1):
        bench.prober.add(number, check)
    bench.pass_time(0.1)
    before = len(bench.starts(up)), len(bench.starts(down))
    bench.asked.answer = lambda _: WRONG
    hint = Hint("passive", "1.2 packets each", bench.clock.now)
    bench.prober.hint([1, 2, 3], hint)
    bench.pass_time(0.2)
    assert len(bench.starts(up)) >= before[0] + 3
    assert len(bench.starts(down)) == before[1]
    _, number, health = bench.reports[-1]
    assert (number, health.verdict, health.hint) == (1, Verdict.DOWN, hint)
