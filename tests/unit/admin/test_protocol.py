"""The API's words, and that its reference page has them all."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from lvsguard.admin import protocol
from lvsguard.admin.api import Api
from lvsguard.core.override import Weight
from tests.support.published import NOON, Desk

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "admin-api.md"
STRUCTS = [
    value
    for value in vars(protocol).values()
    if isinstance(value, type)
    and issubclass(value, protocol.Request | protocol.Reply)
    and value not in (protocol.Request, protocol.Reply)
]


def test_the_reference_page_has_every_resource() -> None:
    page = PAGE.read_text()
    for method, path in Api(Desk()).routes:
        assert f"| `{method} {path}" in page


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_the_reference_page_has_every_field(struct: type[msgspec.Struct]) -> None:
    page = PAGE.read_text()
    for field in msgspec.structs.fields(struct):
        assert f"`{field.encode_name}`" in page, field.name


@pytest.mark.parametrize(
    ("text", "weight"),
    [
        ("0", Weight(0)),
        ("65535", Weight(65535)),
        ("100%", Weight(100, True)),
        ("0%", Weight(0, True)),
    ],
)
def test_weights_are_read(text: str, weight: Weight) -> None:
    assert protocol.parse_weight(text) == weight


@pytest.mark.parametrize("text", ["", "-1", "65536", "101%", "1.5", "٣", "5 %", "many", "1" * 50])
def test_other_weights_are_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="give 0 to 65535, or 0% to 100%"):
        protocol.parse_weight(text)


def test_times_are_rfc_3339_in_utc() -> None:
    assert protocol.rfc3339(NOON) == "2026-11-23T12:00:00.000Z"
    assert protocol.moment(0) is None
    assert protocol.moment(None) is None
