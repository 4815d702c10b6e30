"""Every leaf of every table takes a value or says in a ValueError what is wrong with it."""

from __future__ import annotations

from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st

from lvsguard.config.document import leaves
from lvsguard.config.leaf import LEAF_MESSAGE_MAX, Leaf
from lvsguard.config.validate import TABLES
from tests.property.config.patience import PATIENT
from tests.property.config.test_load import VALUES
from tests.support.examples import examples

LEAVES: dict[str, Leaf] = {
    f"{table.__name__}.{name}": leaf
    for table in TABLES.values()
    for name, field in table.model_fields.items()
    for leaf in leaves(field)
}
TEXTS = st.sampled_from(
    [
        "10.0.0.8",
        "10.0.0.8/24",
        "[::1]:80",
        "::1/64",
        "1s",
        "999999999999.999999999d",
        "١s",
        "/",
        "200-299",
        "\x00",
        "a\nb",
        "255.255.0.0",
        "127.0.0.1:1",
        "x" * 100_000,
    ]
)
ANYTHING = (
    VALUES
    | TEXTS
    | st.lists(TEXTS, max_size=3)
    | st.dates()
    | st.datetimes()
    | st.times()
    | st.sampled_from([10**400, -(10**400), date.min])
)


def test_there_are_leaves() -> None:
    assert len(LEAVES) > 60


@settings(PATIENT, max_examples=examples(800))
@given(st.sampled_from(sorted(LEAVES)), ANYTHING)
def test_any_value_is_taken_or_told(name: str, value: object) -> None:
    problem = "none"
    try:
        LEAVES[name].parse(value)
    except ValueError as error:
        problem = str(error)
    assert 0 < len(problem) <= LEAF_MESSAGE_MAX
