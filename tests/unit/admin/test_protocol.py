"""The API's words, and that its reference page has them all."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from lvsguard.admin import openapi, protocol
from lvsguard.admin.api import Api
from lvsguard.admin.resources import DESCRIPTION, RESOURCES, ROLES
from lvsguard.core.override import Weight
from tests.support.golden import GOLDEN
from tests.support.published import NOON, Desk

DOCS = Path(__file__).resolve().parents[3] / "docs" / "reference"


def test_the_reference_page_is_current() -> None:
    """Otherwise: python -m tests.support.reference"""
    assert (DOCS / "admin-api.md").read_text() == openapi.page()
    assert (DOCS / "admin-api.openapi.json").read_bytes() == openapi.document()


def test_every_resource_is_described_and_every_description_answered() -> None:
    described = {(one.method, one.path) for one in RESOURCES} | {DESCRIPTION}
    assert described == set(Api(Desk()).routes) == set(ROLES)


def test_the_document_describes_what_is_answered() -> None:
    document = json.loads(openapi.document())
    whole = {"$ref": "#/components/schemas/Status", "components": document["components"]}
    jsonschema.Draft202012Validator.check_schema(whole)
    status = json.loads((GOLDEN / "status" / "seed.json").read_text())
    validator = jsonschema.Draft202012Validator(whole)
    assert validator.is_valid(status)
    del status["vips"][0]["role"]
    assert not validator.is_valid(status)


def test_what_a_field_means_is_told_from_the_code() -> None:
    schemas = json.loads(openapi.document())["components"]["schemas"]
    weight = schemas["RealserverReply"]["properties"]["weight"]
    assert weight["description"] == "What the kernel holds; null: not in its table."
    assert schemas["ServiceReply"]["properties"]["why"]["description"].startswith("What panic")
    assert schemas["SetOverride"]["additionalProperties"] is False
    assert "additionalProperties" not in schemas["Status"]


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
