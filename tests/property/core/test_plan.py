"""Plans arrive, and by a safe way: complete, stopped anywhere, or with steps that fail."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from lvsguard.core.model import KernelState, Realserver, VirtualService
from lvsguard.core.plan import applied, held_back, in_phases, owned_part, plan
from lvsguard.core.step import Phase, Step, phase, subject
from tests.property.core.passes import (
    after,
    broken,
    fits,
    part,
    run_pass,
    states_on_the_way,
    subjects,
)
from tests.support.examples import examples
from tests.support.strategies import kernel_states, transitions

Transition = tuple[KernelState, KernelState]


def equal_copy(state: KernelState) -> KernelState:
    """The same value in other objects, as a second read of the kernel gives it."""

    def entry(realserver: Realserver) -> Realserver:
        return replace(realserver)

    def service(one: VirtualService) -> VirtualService:
        return replace(one, realservers={k: entry(r) for k, r in one.realservers.items()})

    return KernelState({k: service(s) for k, s in state.services.items()}, state.addresses)


@settings(deadline=None, max_examples=examples(200))
@given(transitions())
def test_applying_a_plan_reaches_desired(transition: Transition) -> None:
    desired, observed = transition
    steps = plan(desired, observed)
    *_, arrived = states_on_the_way(observed, steps)
    assert arrived == desired
    assert applied(observed, steps) == desired


@settings(deadline=None, max_examples=examples(50))
@given(kernel_states())
def test_nothing_to_do_makes_no_steps(state: KernelState) -> None:
    assert plan(state, state) == ()
    assert plan(equal_copy(state), state) == ()


@settings(deadline=None, max_examples=examples(100))
@given(transitions())
def test_an_address_that_is_as_wanted_gets_no_steps(transition: Transition) -> None:
    desired, observed = transition
    touched = {subject(step) for step in plan(desired, observed)}
    different = {s for s in subjects(*transition) if part(desired, s) != part(observed, s)}
    assert touched == different


@settings(deadline=None, max_examples=examples(100))
@given(transitions())
def test_no_step_is_made_twice_and_phases_come_in_order(transition: Transition) -> None:
    steps = plan(*transition)
    assert all(one != other for i, one in enumerate(steps) for other in steps[:i])
    assert [phase(s) for s in steps] == sorted(phase(s) for s in steps)
    phases = in_phases(steps)
    assert list(phases) == sorted(phases)
    assert tuple(s for many in phases.values() for s in many) == steps


@settings(deadline=None, max_examples=examples(300))
@given(transitions())
def test_every_prefix_is_safe(transition: Transition) -> None:
    desired, observed = transition
    for state in states_on_the_way(observed, plan(desired, observed)):
        assert broken(state, observed, desired) == []


@settings(deadline=None, max_examples=examples(150))
@given(transitions(), st.randoms(use_true_random=False))
def test_the_order_inside_a_phase_is_free(transition: Transition, random: Random) -> None:
    desired, observed = transition
    shuffled: list[Step] = []
    for steps in in_phases(plan(desired, observed)).values():
        shuffled.extend(random.sample(steps, len(steps)))
    state = observed
    for state in states_on_the_way(observed, shuffled):
        assert broken(state, observed, desired) == []
    assert state == desired


@settings(deadline=None, max_examples=examples(150))
@given(transitions())
def test_a_plan_made_anew_after_any_prefix_arrives_safely(transition: Transition) -> None:
    desired, observed = transition
    for halfway in states_on_the_way(observed, plan(desired, observed)):
        state = halfway
        for state in states_on_the_way(halfway, plan(desired, halfway)):
            assert broken(state, observed, desired) == []
        assert state == desired


@settings(deadline=None, max_examples=examples(100))
@given(transitions())
def test_services_planned_one_by_one_take_the_same_steps(transition: Transition) -> None:
    desired, observed = transition
    whole = plan(desired, observed)
    pieces: list[Step] = list(
        plan(
            KernelState(addresses=desired.addresses),
            KernelState(addresses=observed.addresses),
        )
    )
    for key in desired.services.keys() | observed.services.keys():
        own = [owned_part(state.services, [key]) for state in transition]
        pieces.extend(plan(KernelState(own[0]), KernelState(own[1])))
    assert len(pieces) == len(whole)
    assert all(step in pieces for step in whole)


# -- failing steps -----------------------------------------------------------------------------


def some_of(data: st.DataObject, steps: tuple[Step, ...]) -> list[Step]:
    """A few steps, every step of some addresses, or every step of one phase."""
    if not steps:
        return []
    match data.draw(st.sampled_from(("few", "addresses", "phase"))):
        case "few":
            return data.draw(st.lists(st.sampled_from(steps), min_size=1, max_size=4))
        case "addresses":
            whose = sorted({subject(s) for s in steps}, key=str)
            bad = data.draw(st.sets(st.sampled_from(whose), min_size=1, max_size=2))
            return [s for s in steps if subject(s) in bad]
        case _:
            of = data.draw(st.sampled_from(sorted({phase(s) for s in steps})))
            return [s for s in steps if phase(s) is of]


@settings(deadline=None, max_examples=examples(300))
@given(transitions(), st.data())
def test_a_failed_step_harms_only_its_own_address(
    transition: Transition, data: st.DataObject
) -> None:
    desired, observed = transition
    failing = some_of(data, plan(desired, observed))
    done = run_pass(desired, observed, failing.__contains__)
    assert done.violations == []
    assert {subject(s) for s in done.held} <= done.harmed
    for own in subjects(desired, observed) - done.harmed:
        assert part(done.state, own) == part(desired, own)


@settings(deadline=None, max_examples=examples(150))
@given(transitions(), st.data())
def test_passes_with_failures_stay_safe_and_the_first_good_one_arrives(
    transition: Transition, data: st.DataObject
) -> None:
    desired, observed = transition
    state = observed
    for _ in range(3):
        failing = some_of(data, plan(desired, state))
        done = run_pass(desired, state, failing.__contains__, origin=observed)
        assert done.violations == []
        state = done.state
    done = run_pass(desired, state, lambda step: False, origin=observed)
    assert (done.violations, done.held, done.state) == ([], [], desired)


@settings(deadline=None, max_examples=examples(200))
@given(transitions(), st.data())
def test_no_realserver_is_held_back_but_the_last_live_one(
    transition: Transition, data: st.DataObject
) -> None:
    desired, observed = transition
    growing = tuple(s for s in plan(desired, observed) if phase(s) is Phase.GROW)
    done = run_pass(desired, observed, some_of(data, growing).__contains__)
    for step in done.held:
        if phase(step) is Phase.SHRINK and fits(done.state, step):
            assert broken(after(done.state, step), observed, desired) != []


@settings(deadline=None, max_examples=examples(150))
@given(transitions(), st.data())
def test_what_is_held_back_is_part_of_its_phase_in_its_order(
    transition: Transition, data: st.DataObject
) -> None:
    desired, observed = transition
    steps = plan(desired, observed)
    failing = some_of(data, steps)
    of = data.draw(st.sampled_from(Phase))
    mine = [s for s in steps if phase(s) is of]
    earlier = [s for s in failing if phase(s) < of]
    go, held = held_back(mine, earlier, applied(observed, (s for s in steps if phase(s) < of)))
    assert sorted([*map(mine.index, go), *map(mine.index, held)]) == list(range(len(mine)))
    assert list(go) == [s for s in mine if s in go]
    if not earlier:
        assert held == ()


# -- ownership ---------------------------------------------------------------------------------


@settings(deadline=None, max_examples=examples(50))
@given(kernel_states(), kernel_states())
def test_a_foreign_service_is_never_in_a_plan(desired: KernelState, table: KernelState) -> None:
    owned = owned_part(table.services, desired.services)
    steps = plan(desired, KernelState(owned, desired.addresses))
    foreign = table.services.keys() - desired.services.keys()
    assert not foreign & {getattr(step, "service", None) for step in steps}
    assert owned == {k: s for k, s in table.services.items() if k in desired.services}
