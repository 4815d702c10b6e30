"""Whatever the facts: weights keep their bounds, and a service depends on its own facts only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from lvsguard.core.config import RealserverConfig, ServiceConfig
from lvsguard.core.desired import desired, virtual_service
from lvsguard.core.health import Health, Result, Verdict
from lvsguard.core.model import WEIGHT_MAX, KernelState, ServiceKey
from lvsguard.core.override import Admin
from lvsguard.core.placement import Adopted, Facts, placement
from lvsguard.core.plan import plan
from tests.support.examples import examples
from tests.support.fact_strategies import adoptions, facts, health_maps, override_tuples


def members(facts: Facts) -> Iterator[tuple[ServiceConfig, RealserverConfig]]:
    for service in facts.config.services:
        for realserver in service.realservers:
            yield service, realserver


# -- one realserver ----------------------------------------------------------------------------


@settings(deadline=None, max_examples=examples(80))
@given(facts())
def test_no_weight_is_out_of_bounds_and_each_has_a_reason_of_one_line(facts: Facts) -> None:
    for service, realserver in members(facts):
        placed = placement(service, realserver, facts)
        assert placed.weight is None or 0 <= placed.weight <= WEIGHT_MAX
        assert placed.reason
        assert "\n" not in placed.reason


@settings(deadline=None, max_examples=examples(80))
@given(facts())
def test_new_connections_go_only_to_what_is_up_or_adopted_and_not_taken_out(facts: Facts) -> None:
    for service, realserver in members(facts):
        placed = placement(service, realserver, facts)
        if placed.admin is Admin.DISABLED:
            assert placed.weight is None
        if placed.weight:
            adopted = facts.adopted.get(service.key, {}).get(realserver.key)
            assert placed.admin is Admin.READY
            assert placed.verdict is Verdict.UP or placed.weight == adopted
            assert placed.verdict is not Verdict.DOWN


@settings(deadline=None, max_examples=examples(100))
@given(facts(), st.randoms(use_true_random=False))
def test_the_order_of_overrides_decides_nothing(facts: Facts, random: Random) -> None:
    # As in life: no two are set at one moment.
    distinct = tuple(replace(o, since=float(n)) for n, o in enumerate(facts.overrides))
    shuffled = tuple(random.sample(distinct, len(distinct)))
    assert desired(replace(facts, overrides=shuffled)) == desired(
        replace(facts, overrides=distinct)
    )


@settings(deadline=None, max_examples=examples(50))
@given(facts())
def test_when_all_is_up_and_nobody_interferes_the_kernel_has_what_the_config_says(
    facts: Facts,
) -> None:
    up = Health(Verdict.UP, result=Result(True, "L7OK", "200 OK"))
    checks = {c for _, realserver in members(facts) for c in realserver.checks}
    wanted = desired(replace(facts, health=dict.fromkeys(checks, up), overrides=()))
    for service in facts.config.services:
        assert {k: r.weight for k, r in wanted.services[service.key].realservers.items()} == {
            r.key: r.weight for r in service.realservers
        }


# -- whole states ------------------------------------------------------------------------------


@settings(deadline=None, max_examples=examples(100))
@given(facts())
def test_exactly_what_the_config_names_is_desired(facts: Facts) -> None:
    wanted = desired(facts)
    assert list(wanted.services) == [s.key for s in facts.config.services]
    assert wanted.addresses == facts.addresses
    for service in facts.config.services:
        made = wanted.services[service.key]
        assert made.realservers.keys() <= {r.key for r in service.realservers}
        assert made.flags >= service.flags
        if service.scheduler in ("mh", "sh"):
            assert f"{service.scheduler}-fallback" in made.flags


@settings(deadline=None, max_examples=examples(80))
@given(facts())
def test_a_restart_that_finds_the_kernel_as_it_was_left_writes_nothing(facts: Facts) -> None:
    left = desired(facts)
    adopted = {
        key: {r: entry.weight for r, entry in service.realservers.items()}
        for key, service in left.services.items()
    }
    restarted = replace(facts, health={}, adopted=adopted)
    assert plan(desired(restarted), left) == ()
    informed = replace(restarted, health=facts.health)
    assert plan(desired(informed), left) == ()


# -- the controller's way: one service at a time -----------------------------------------------


@st.composite
def changes(draw: st.DrawFn) -> tuple[Facts, Facts]:
    """Facts, and the same after something happened; the config stays."""
    before = draw(facts())
    now = before
    what = draw(st.sets(st.sampled_from(("health", "overrides", "adopted")), min_size=1))
    if "health" in what:
        now = replace(now, health={**now.health, **draw(health_maps())})
    if "overrides" in what:
        now = replace(now, overrides=draw(override_tuples()))
    if "adopted" in what:
        now = replace(now, adopted=draw(adoptions()))
    return before, now


def touched(before: Facts, now: Facts) -> set[ServiceKey]:
    """Services that a change touches: by a check, by an override's target, by adoption."""
    checks = {c for c in now.health if before.health.get(c) != now.health[c]}
    overrides = set(before.overrides) ^ set(now.overrides)

    def differs(adopted: Adopted, other: Adopted, key: ServiceKey) -> bool:
        return adopted.get(key) != other.get(key)

    return {
        service.key
        for service, realserver in members(now)
        if checks & set(realserver.checks)
        or any(o.target.matches(service.name, realserver.key) for o in overrides)
        or differs(before.adopted, now.adopted, service.key)
    }


@settings(deadline=None, max_examples=examples(120))
@given(changes())
def test_deciding_only_the_services_that_a_change_touches_is_deciding_all(
    change: tuple[Facts, Facts],
) -> None:
    before, now = change
    services = dict(desired(before).services)
    dirty = touched(before, now)
    for service in now.config.services:
        if service.key in dirty:
            services[service.key] = virtual_service(service, now)
    assert KernelState(services, now.addresses) == desired(now)
