"""Whatever happens to a service: its rules empty nothing, and slow starts only rise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lvsguard.core.config import ServiceConfig, SorryServer
from lvsguard.core.desired import desired, virtual_service
from lvsguard.core.health import Health, Result, Verdict
from lvsguard.core.memory import NEW, Memory
from lvsguard.core.model import KernelState, RealserverKey, ServiceKey
from lvsguard.core.override import Admin
from lvsguard.core.placement import Facts, live_weight, placements
from lvsguard.core.plan import live, plan
from lvsguard.core.rules import decide, needed, remember
from lvsguard.core.slow_start import next_step, risen
from tests.property.core.passes import broken, states_on_the_way
from tests.support.examples import examples
from tests.support.fact_strategies import facts, health_maps, override_tuples
from tests.support.strategies import REALSERVER_KEYS

UP = Health(Verdict.UP, 1.0, 2, 0, Result(True, "L7OK", "200 OK"))


@st.composite
def ruled(draw: st.DrawFn, service: ServiceConfig) -> ServiceConfig:
    """The service with rules as a config may give them."""
    total = sum(r.weight for r in service.realservers)
    quorum = draw(st.sampled_from(sorted({1, max(total // 2, 1), max(total, 1)})))
    most = max(min(quorum - 1, total - quorum), 0)
    key = RealserverKey(REALSERVER_KEYS[service.key.family][0].address + 100, 80)
    return replace(
        service,
        quorum=quorum,
        quorum_hysteresis=draw(st.sampled_from((0, most // 2, most))),
        sorry_server=SorryServer(key) if draw(st.booleans()) else None,
        panic_below=draw(st.sampled_from((0.0, 0.3, 0.5, 1.0))),
        slow_start=draw(st.sampled_from((0.0, 10.0))),
    )


@st.composite
def ruled_facts(draw: st.DrawFn) -> Facts:
    """Facts of services with rules, as the controller has them at its first decision."""
    given = draw(facts())
    services = tuple(draw(ruled(s)) for s in given.config.services)
    return remembered(replace(given, config=replace(given.config, services=services)))


def remembered(given: Facts) -> Facts:
    """The facts once the controller has folded them into what it remembers."""
    memory = {
        s.key: remember(s, placements(s, given), given.memory.get(s.key, NEW), given.now)
        for s in given.config.services
    }
    return replace(given, memory=memory)


@st.composite
def histories(draw: st.DrawFn) -> list[Facts]:
    """What one controller sees, one after another; the config stays."""
    seen = [draw(ruled_facts())]
    for _ in range(draw(st.integers(1, 4))):
        now = replace(seen[-1], now=seen[-1].now + draw(st.sampled_from((0.05, 1.0, 4.0, 20.0))))
        what = draw(st.sampled_from(("health", "overrides", "both", "time")))
        if what in ("health", "both"):
            now = replace(now, health={**now.health, **draw(health_maps())})
        if what in ("overrides", "both"):
            now = replace(now, overrides=draw(override_tuples()))
        seen.append(remembered(now))
    return seen


@settings(deadline=None, max_examples=examples(150))
@given(histories())
def test_no_service_that_has_live_members_is_emptied(seen: list[Facts]) -> None:
    for known in seen:
        for service in known.config.services:
            own = placements(service, known)
            if any(map(live_weight, own)):
                assert live(virtual_service(service, known))


@settings(deadline=None, max_examples=examples(150))
@given(histories())
def test_what_an_operator_took_out_stays_out(seen: list[Facts]) -> None:
    for known in seen:
        for service in known.config.services:
            for placed in decide(service, placements(service, known), known).placements:
                if placed.admin is Admin.DISABLED:
                    assert placed.weight is None
                if placed.admin is Admin.DRAIN:
                    assert not placed.weight


@settings(deadline=None, max_examples=examples(150))
@given(histories())
def test_below_the_share_everyone_is_in_and_above_it_the_rules_only_lower(
    seen: list[Facts],
) -> None:
    for known in seen:
        for service in known.config.services:
            own = placements(service, known)
            decision = decide(service, own, known)
            for realserver, before, placed in zip(
                service.realservers, own, decision.placements, strict=True
            ):
                if decision.panic and placed.admin is Admin.READY:
                    assert placed.weight is not None or before.verdict is Verdict.UNKNOWN
                elif placed.verdict is not Verdict.DOWN:
                    assert (placed.weight or 0) <= (before.weight or 0)
                else:
                    found = known.adopted.get(service.key, {}).get(realserver.key, 0)
                    assert placed.weight in (before.weight, found)
            assert not (decision.panic and decision.sorry)


@settings(deadline=None, max_examples=examples(150))
@given(histories())
def test_the_sorry_server_is_in_exactly_while_the_quorum_is_lost(seen: list[Facts]) -> None:
    for known in seen:
        for service in known.config.services:
            made = virtual_service(service, known).realservers
            if service.sorry_server is None:
                continue
            lost = known.memory[service.key].lost
            assert (service.sorry_server.key in made) is bool(lost)
            if lost:
                assert [k for k, r in made.items() if r.weight] == [service.sorry_server.key]


@settings(deadline=None, max_examples=examples(150))
@given(histories())
def test_a_quorum_changes_sides_only_across_its_whole_band(seen: list[Facts]) -> None:
    for before, known in pairwise(seen):
        for service in known.config.services:
            was, lost = before.memory[service.key].lost, known.memory[service.key].lost
            have = sum(map(live_weight, placements(service, known)))
            if was is not None:
                assert lost is (have < needed(service, was))
            if service.quorum_hysteresis and was is not None and lost is not was:
                band = service.quorum_hysteresis
                assert have >= service.quorum + band if was else have < service.quorum - band


@settings(deadline=None, max_examples=examples(200))
@given(histories())
def test_every_prefix_of_every_plan_is_safe(seen: list[Facts]) -> None:
    state = KernelState()
    for known in seen:
        wanted = desired(known)
        for halfway in states_on_the_way(state, plan(wanted, state)):
            assert broken(halfway, state, wanted) == []
        state = wanted


@settings(deadline=None, max_examples=examples(150))
@given(histories())
def test_once_up_a_slow_start_is_never_at_0_and_only_rises(seen: list[Facts]) -> None:
    given = replace(seen[-1], overrides=())
    checks = {c for s in given.config.services for r in s.realservers for c in r.checks}
    given = remembered(replace(given, health=dict.fromkeys(checks, UP)))
    before: Mapping[ServiceKey, Mapping[RealserverKey, int]] = {}
    for moment in range(12):
        given = remembered(replace(given, now=given.now + (moment > 0)))
        made = {key: s.realservers for key, s in desired(given).services.items()}
        weights = {key: {r: e.weight for r, e in held.items()} for key, held in made.items()}
        for service in given.config.services:
            if given.memory[service.key].lost:  # closed on purpose
                assert not any(r.weight for r in service.realservers)
                continue
            for realserver in service.realservers:
                now = weights[service.key][realserver.key]
                assert bool(now) is bool(realserver.weight)
                assert now >= before.get(service.key, {}).get(realserver.key, 0)
                assert now == realserver.weight or moment < 10
        before = weights


@settings(deadline=None, max_examples=examples(100))
@given(histories())
def test_a_restart_that_finds_the_kernel_as_it_was_left_writes_nothing_until_the_verdicts(
    seen: list[Facts],
) -> None:
    left = desired(seen[-1])
    adopted = {
        key: {r: entry.weight for r, entry in service.realservers.items()}
        for key, service in left.services.items()
    }
    found = {
        s.key: Memory(lost=True)
        for s in seen[-1].config.services
        if s.sorry_server is not None and s.sorry_server.key in left.services[s.key].realservers
    }
    checked = all(r.checks for s in seen[-1].config.services for r in s.realservers)
    assume(checked)
    restarted = remembered(replace(seen[-1], health={}, adopted=adopted, memory=found))
    assert plan(desired(restarted), left) == ()


@given(
    st.integers(0, 65535),
    st.floats(0, 1e7),
    st.floats(1, 3600),
    st.lists(st.floats(0, 1.5), min_size=1, max_size=10).map(sorted),
)
def test_a_slow_start_is_monotonic_and_ends_at_the_whole_weight(
    full: int, began: float, duration: float, moments: list[float]
) -> None:
    found = [risen(full, began, duration, began + moment * duration) for moment in moments]
    assert found == sorted(found)
    assert all(min(full, 1) <= weight <= full for weight in found)
    assert risen(full, began, duration, began + duration) == full


@given(st.integers(2, 65535), st.floats(0, 1e7), st.floats(1, 3600), st.floats(0, 1.2))
def test_the_next_step_is_ahead_and_does_rise(
    full: int, began: float, duration: float, moment: float
) -> None:
    now = began + moment * duration
    at = next_step(full, began, duration, now)
    if at is None:
        assert risen(full, began, duration, now) == full
    else:
        assert at > now
        assert risen(full, began, duration, at) > risen(full, began, duration, now)
