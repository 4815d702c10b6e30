"""What the kernel refused, for what is not in it as decided. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lvsguard.admin.entry import Entry
from lvsguard.core.event import StepRefused
from lvsguard.core.moment import when


def of(history: Sequence[Entry], now: float, service: str, realserver: str = "") -> str | None:
    """The latest step of a service, or of a realserver in it, that was refused, as a sentence;
    None: the history has none. ``history``: oldest first; ``now``: wall clock."""

    def about(entry: Entry) -> bool:
        data = entry.data
        return data.get("service") == service and data.get("realserver", "") == realserver

    return latest(history, now, about)


def latest(history: Sequence[Entry], now: float, about: Callable[[Entry], bool]) -> str | None:
    """The latest step that was refused among those that matter, as a sentence."""
    refused = (e for e in reversed(history) if e.kind == StepRefused.kind and about(e))
    entry = next(refused, None)
    if entry is None:
        return None
    said = str(entry.data.get("message", "")).rstrip(".")
    return f"The kernel refused '{entry.data.get('command')}' at {when(entry.at, now)}: {said}."
