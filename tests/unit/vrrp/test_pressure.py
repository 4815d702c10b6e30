"""How a flood is bounded, and when it is over."""

from __future__ import annotations

from lvsguard.vrrp.pressure import BUDGET, BUDGET_PER_VRID, CALM, SLICE, Pressure

ROOM = BUDGET + BUDGET_PER_VRID


def test_there_is_no_pressure_within_the_budget() -> None:
    pressure = Pressure(1)
    for step in range(50):
        assert pressure.room(step * (SLICE + 0.001)) == ROOM
        pressure.note(ROOM - 1, ROOM - 1)
    assert not pressure.pressed
    assert pressure.resume() is None


def test_more_than_the_budget_presses_and_then_pauses() -> None:
    pressure = Pressure(1)
    pressure.room(0.0)
    pressure.note(ROOM, ROOM)
    assert pressure.pressed
    assert pressure.room(0.01) == ROOM  # what waits in the buffer came before the filter
    pressure.note(ROOM, ROOM)
    assert pressure.room(0.02) == 0
    assert pressure.resume() == SLICE
    assert pressure.room(SLICE) == ROOM
    assert pressure.resume() is None


def test_in_an_endless_flood_a_second_costs_a_bounded_number() -> None:
    pressure, read, now = Pressure(1), 0, 0.0
    while now < 10.0:
        room = min(pressure.room(now), 64)
        pressure.note(room, room)
        read += room
        now = pressure.resume() or now + 0.0001
    assert read <= ROOM * (10.0 / SLICE + 2)


def test_pressure_stays_while_the_flood_is_only_seen_as_a_sample() -> None:
    pressure = Pressure(1)
    pressure.room(0.0)
    pressure.note(ROOM, ROOM)
    for step in range(1, 50):
        pressure.room(step * SLICE + 0.001)
        pressure.note(156, 156 * 64)
    assert pressure.pressed


def test_pressure_ends_after_a_calm_second() -> None:
    pressure = Pressure(1)
    pressure.room(0.0)
    pressure.note(ROOM, ROOM)
    steps = [step for step in range(1, 50) if _calm_turn(pressure, step)]
    assert steps[0] == CALM + 1


def _calm_turn(pressure: Pressure, step: int) -> bool:
    pressure.room(step * SLICE + step * 0.001)
    pressure.note(1, 1)
    return not pressure.pressed


def test_a_slice_that_nobody_looked_at_was_calm() -> None:
    pressure = Pressure(1)
    pressure.room(0.0)
    pressure.note(ROOM, ROOM)
    pressure.room(3.0)
    assert not pressure.pressed
