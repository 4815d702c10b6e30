"""The journal's entries in the words of the hooks."""

from __future__ import annotations

from lvsguard.admin.entry import Entry
from lvsguard.core.hook import Occurrence


def occurrence(director: str, entry: Entry) -> Occurrence:
    """An entry of the journal as hooks are told it."""
    return Occurrence(director, entry.id, entry.at, entry.kind, entry.level, entry.text, entry.data)
