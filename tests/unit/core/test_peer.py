"""How what two directors see compares."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lvsguard.core.peer import DOWN_MAX, Comparison, ServiceHealth, compare, shortened


def health(healthy: int, total: int = 2, unknown: int = 0) -> ServiceHealth:
    return ServiceHealth(healthy, unknown, total, healthy)


def test_healthy_realservers_are_counted_on_both_sides() -> None:
    mine = {"web": health(1), "mail": health(2)}
    theirs = {"web": health(2), "mail": health(2)}
    told = ("web: 2 of 2 healthy there, 1 here",)
    assert compare(mine, theirs) == Comparison(3, 4, told)
    fewer = ("web: 1 of 2 healthy there, 2 here",)
    assert compare(theirs, mine) == Comparison(4, 3, fewer, fewer)
    assert compare(mine, theirs, ["mail"]) == Comparison(2, 2)


def down(*names: str) -> dict[str, ServiceHealth]:
    return {"web": ServiceHealth(20 - len(names), 0, 20, 0, names)}


def test_realservers_that_are_seen_otherwise_are_named() -> None:
    assert compare(down("rs1"), down()).differs == (
        "web: 20 of 20 healthy there, 19 here (rs1 down here)",
    )
    found = compare(down("rs1"), down("rs2", "rs3"))
    assert found.differs == found.worse
    assert found.worse == (
        "web: 18 of 20 healthy there, 19 here (rs2 down there; rs3 down there; rs1 down here)",
    )


def test_as_many_but_others_are_worse_for_what_is_up_here() -> None:
    found = compare(down("rs1"), down("rs2"))
    assert found.differs == (
        "web: 19 of 20 healthy there, 19 here (rs2 down there; rs1 down here)",
    )
    assert found.worse == found.differs
    assert compare(down("rs1", "rs2"), down("rs3")).worse, "more are up there, and one is not"
    assert compare(down("rs1", "rs2"), down("rs1")).worse == ()


def test_what_may_be_down_here_too_is_not_worse_there() -> None:
    many = [f"rs{n}" for n in range(DOWN_MAX)]
    assert compare(down(*many), down("rs99")).worse == ()
    assert compare(down("rs99"), down(*many)).worse
    one, other = health(1, unknown=1), ServiceHealth(1, 0, 2, 1, ("rs1",))
    assert compare({"web": one}, {"web": other}).worse == ()


def test_where_not_all_are_named_none_is() -> None:
    many = [f"rs{n}" for n in range(DOWN_MAX)]
    assert compare(down(*many), down("rs99")).differs == ("web: 19 of 20 healthy there, 4 here",)


def test_what_only_one_knows_says_nothing() -> None:
    assert compare({"web": health(0)}, {}) == Comparison()
    assert compare({}, {"web": health(2)}) == Comparison()
    assert compare({}, {"web": health(2)}, ["web"]) == Comparison()


def test_a_service_of_another_size_says_nothing() -> None:
    """Then their configurations differ, as in the midst of a rollout."""
    assert compare({"web": health(2, 2)}, {"web": health(3, 3)}) == Comparison()


def test_lacking_verdicts_are_told() -> None:
    assert compare({"web": health(0, unknown=2)}, {"web": health(2)}).unknown
    assert compare({"web": health(2)}, {"web": health(0, unknown=2)}).unknown
    assert not compare({"web": health(2)}, {"web": health(0)}).unknown


PICTURES = st.dictionaries(
    st.sampled_from("abc"), st.builds(health, st.integers(0, 3), st.integers(2, 3))
)


@given(PICTURES, PICTURES)
def test_of_two_directors_at_most_one_sees_fewer(
    one: dict[str, ServiceHealth], other: dict[str, ServiceHealth]
) -> None:
    here, there = compare(one, other), compare(other, one)
    assert (here.mine, here.theirs) == (there.theirs, there.mine)


def test_a_long_list_is_cut_short() -> None:
    assert shortened(["a", "b"]) == "a; b"
    assert shortened([str(n) for n in range(8)]) == "0; 1; 2; 3; 4; and 3 more"
