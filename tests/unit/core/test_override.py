"""What an override covers, which one wins, what weight results, when it ends."""

from __future__ import annotations

from ipaddress import ip_address
from itertools import permutations

import pytest

from lvsguard.core.model import WEIGHT_MAX, IPAddress, RealserverKey
from lvsguard.core.override import (
    Admin,
    Override,
    OverrideKind,
    Target,
    Weight,
    admin_state,
    deciding_weight,
    wanted_weight,
)
from tests.unit.core.sample import ONE, TWO

ADDRESS: IPAddress = ONE.address
EVERYWHERE = Target(ADDRESS)
IN_WEB = Target(ADDRESS, service="web")
PORT = Target(ADDRESS, 80)
PORT_IN_WEB = Target(ADDRESS, 80, "web")


def override(
    kind: OverrideKind,
    target: Target = EVERYWHERE,
    weight: Weight | None = None,
    since: float = 0.0,
) -> Override:
    return Override(target, kind, "alice", since, weight=weight)


def weighted(target: Target, value: int, since: float = 0.0) -> Override:
    return override(OverrideKind.WEIGHT, target, Weight(value), since)


# -- matching ----------------------------------------------------------------------------------


def test_an_address_covers_every_port_and_service() -> None:
    assert EVERYWHERE.matches("web", ONE)
    assert EVERYWHERE.matches("mail", RealserverKey(ADDRESS, 25))
    assert not EVERYWHERE.matches("web", TWO)


def test_a_port_covers_that_port_in_every_service() -> None:
    assert PORT.matches("web", ONE)
    assert PORT.matches("mail", ONE)
    assert not PORT.matches("web", RealserverKey(ADDRESS, 8080))


def test_port_0_is_a_port_and_not_every_port() -> None:
    assert not Target(ADDRESS, 0).matches("web", ONE)
    assert Target(ADDRESS, 0).matches("mark", RealserverKey(ADDRESS, 0))


def test_a_service_covers_only_itself() -> None:
    assert IN_WEB.matches("web", ONE)
    assert not IN_WEB.matches("mail", ONE)
    assert not PORT_IN_WEB.matches("web", RealserverKey(ADDRESS, 8080))


@pytest.mark.parametrize(
    ("one", "other", "meets"),
    [
        (EVERYWHERE, EVERYWHERE, True),
        (EVERYWHERE, PORT_IN_WEB, True),
        (IN_WEB, PORT, True),
        (PORT, Target(ADDRESS, 81), False),
        (IN_WEB, Target(ADDRESS, 80, "mail"), False),
        (Target(ADDRESS, 0), PORT, False),
        (EVERYWHERE, Target(TWO.address), False),
    ],
)
def test_targets_meet_where_a_realserver_can_be_of_both(
    one: Target, other: Target, meets: bool
) -> None:
    assert one.meets(other) is meets
    assert other.meets(one) is meets


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (EVERYWHERE, "10.0.0.42"),
        (PORT, "10.0.0.42:80"),
        (IN_WEB, "10.0.0.42 in web"),
        (PORT_IN_WEB, "10.0.0.42:80 in web"),
        (Target(ip_address("2001:db8::42"), 80), "[2001:db8::42]:80"),
    ],
)
def test_a_target_prints_as_the_operator_writes_it(target: Target, text: str) -> None:
    assert str(target) == text


# -- admin state -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kinds", "admin"),
    [
        ([], Admin.READY),
        ([OverrideKind.WEIGHT], Admin.READY),
        ([OverrideKind.DRAIN], Admin.DRAIN),
        ([OverrideKind.DRAIN, OverrideKind.WEIGHT], Admin.DRAIN),
        ([OverrideKind.DISABLE], Admin.DISABLED),
        ([OverrideKind.DRAIN, OverrideKind.DISABLE, OverrideKind.WEIGHT], Admin.DISABLED),
    ],
)
def test_the_severest_admin_state_wins(kinds: list[OverrideKind], admin: Admin) -> None:
    for order in permutations(kinds):
        assert admin_state(map(override, order), "web", ONE) is admin


def test_an_override_of_another_realserver_changes_no_admin_state() -> None:
    disable = override(OverrideKind.DISABLE, IN_WEB)
    assert admin_state([disable], "mail", ONE) is Admin.READY
    assert admin_state([disable], "web", TWO) is Admin.READY


# -- weights -----------------------------------------------------------------------------------


def test_without_a_weight_override_the_configured_weight_stands() -> None:
    assert wanted_weight([], "web", ONE, 7) == 7
    assert wanted_weight([override(OverrideKind.DRAIN)], "web", ONE, 7) == 7
    assert wanted_weight([weighted(EVERYWHERE, 3)], "web", TWO, 7) == 7


def test_the_narrowest_weight_override_wins_in_any_order() -> None:
    many = [weighted(EVERYWHERE, 1), weighted(PORT, 2), weighted(PORT_IN_WEB, 3)]
    for order in permutations(many):
        assert wanted_weight(order, "web", ONE, 7) == 3
        assert wanted_weight(order, "mail", ONE, 7) == 2
        assert wanted_weight(order, "mail", RealserverKey(ADDRESS, 25), 7) == 1


def test_of_two_that_are_as_narrow_the_later_one_wins_in_any_order() -> None:
    for order in permutations([weighted(PORT, 2, since=5.0), weighted(IN_WEB, 4, since=6.0)]):
        assert wanted_weight(order, "web", ONE, 7) == 4
    for order in permutations([weighted(PORT, 2, since=7.0), weighted(IN_WEB, 4, since=6.0)]):
        assert wanted_weight(order, "web", ONE, 7) == 2


def test_the_override_that_decides_the_weight_can_be_named() -> None:
    narrow = weighted(PORT_IN_WEB, 3)
    assert deciding_weight([weighted(EVERYWHERE, 1), narrow], "web", ONE) is narrow
    assert deciding_weight([narrow], "web", TWO) is None


@pytest.mark.parametrize(
    ("weight", "configured", "result"),
    [
        (Weight(5), 100, 5),
        (Weight(0), 100, 0),
        (Weight(50, percent=True), 100, 50),
        (Weight(100, percent=True), 7, 7),
        (Weight(150, percent=True), 10, 15),
        (Weight(0, percent=True), 100, 0),
        (Weight(50, percent=True), 0, 0),
        (Weight(200, percent=True), WEIGHT_MAX, WEIGHT_MAX),
    ],
)
def test_a_weight_is_absolute_or_a_share_of_the_configured_one(
    weight: Weight, configured: int, result: int
) -> None:
    assert weight.of(configured) == result


@pytest.mark.parametrize("percent", [1, 10, 49, 50])
def test_a_percentage_above_0_never_rounds_down_to_a_drain(percent: int) -> None:
    assert Weight(percent, percent=True).of(1) == 1


def test_a_weight_prints_as_the_operator_writes_it() -> None:
    assert str(Weight(5)) == "5"
    assert str(Weight(50, percent=True)) == "50%"


# -- identity and expiry -----------------------------------------------------------------------


def test_there_is_one_override_for_each_target_and_kind() -> None:
    assert weighted(PORT, 2).key == weighted(PORT, 3, since=9.0).key
    assert weighted(PORT, 2).key != weighted(IN_WEB, 2).key
    assert weighted(PORT, 2).key != override(OverrideKind.DRAIN, PORT).key


def test_an_override_ends_at_its_expiry_and_not_before() -> None:
    drain = Override(PORT, OverrideKind.DRAIN, "alice", 0.0, expires=100.0)
    assert not drain.expired(99.9)
    assert drain.expired(100.0)
    assert drain.expired(100.1)


def test_an_override_without_expiry_never_ends() -> None:
    assert not override(OverrideKind.DRAIN).expired(float("inf"))
