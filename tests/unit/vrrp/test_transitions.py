"""The table of transitions: sound in itself, and the page that is made from it is current."""

from __future__ import annotations

import pytest

from lvsguard.vrrp.diagram import mermaid, page
from lvsguard.vrrp.transitions import HOLDING, TABLE, Effect, State, Transition, Trigger
from tests.support.documents import CHECKOUT
from tests.support.golden import Golden

ROWS = [pytest.param(before, row, id=f"{before}: {why}") for (before, why), row in TABLE.items()]


def test_the_page_shows_the_table_that_the_program_runs_on(
    request: pytest.FixtureRequest,
) -> None:
    update = bool(request.config.getoption("--update-golden"))
    Golden(update, CHECKOUT / "docs/reference").check("vrrp-states.md", page())


def test_every_cause_is_used() -> None:
    assert {cause for _, cause in TABLE} == set(Trigger)


def test_every_state_can_be_left_and_reached() -> None:
    assert {before for before, _ in TABLE} == set(State)
    assert {row.after for row in TABLE.values()} == set(State)


def test_every_state_can_be_stopped() -> None:
    for state in State:
        assert state in (State.INIT, State.STOPPING) or (state, Trigger.STOPPED) in TABLE


@pytest.mark.parametrize(("before", "row"), ROWS)
def test_addresses_come_and_go_exactly_with_the_states_that_hold_them(
    before: State, row: Transition
) -> None:
    held, holds = before in HOLDING, row.after in HOLDING
    removes = {Effect.REMOVE, Effect.REMOVE_UNLESS_KEPT} & set(row.effects)
    assert (Effect.ADD in row.effects) is (holds and not held)
    assert bool(removes) is (held and not holds)


def test_addresses_are_there_before_they_are_announced_and_the_old_master_lets_go() -> None:
    takeovers = [row.effects for row in TABLE.values() if Effect.ADD in row.effects]
    assert set(takeovers) == {(Effect.ADD, Effect.ANNOUNCE, Effect.SEND)}


@pytest.mark.parametrize(("before", "row"), ROWS)
def test_a_backup_always_listens_anew(before: State, row: Transition) -> None:
    listens = bool({Effect.LISTEN, Effect.LISTEN_BRIEFLY} & set(row.effects))
    assert listens is (row.after is State.BACKUP)


def test_the_diagram_names_every_cause() -> None:
    assert all(cause in mermaid() for cause in Trigger)
