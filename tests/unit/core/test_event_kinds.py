"""Every kind of event has an id that never changes, and stands in the reference."""

from __future__ import annotations

from pathlib import Path

from lvsguard.core.event_kinds import by_kind, message_id, reference

PAGE = Path(__file__).resolve().parents[3] / "docs/reference/events.md"


def test_the_reference_page_is_current() -> None:
    """Otherwise: python -m tests.support.reference"""
    assert PAGE.read_text() == reference()


def test_ids_are_what_they_were() -> None:
    """journalctl is asked for them in scripts of others."""
    assert message_id("health") == "26a38d9924575bc18f693d4aa051ab33"
    assert message_id("override-set") == "5aa8d95c8af559b7ba17d5ccd0745a0a"
    assert message_id("role") == "ae8d547c0ea852c5b78fa453b025f4ad"


def test_ids_differ() -> None:
    ids = {message_id(kind) for kind in by_kind()}
    assert len(ids) == len(by_kind()) > 40


def test_every_kind_says_what_it_is() -> None:
    assert all(event.__doc__ and event.__doc__.endswith(".") for event in by_kind().values())
