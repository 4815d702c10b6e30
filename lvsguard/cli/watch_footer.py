"""The last lines of ``status --watch``: what can be pressed, what is being typed, an answer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from lvsguard.cli.text import printable
from lvsguard.cli.watch_screen import Mode, Screen

if TYPE_CHECKING:
    from lvsguard.admin.protocol import OverrideReply

REASON_MAX = 60
"""Characters of a reason in a question."""
ANSWER_MAX = 4
"""Lines of an answer; a refusal says in its last words what to do."""
_KEYS = "q quit  arrows choose  d drain  u undrain  w why  / filter  t trouble  ? help"


def footer(screen: Screen, width: int, now: float) -> Sequence[Text]:
    """One line, or a few where one is too short; they may be wider than ``width``."""
    match screen.mode:
        case Mode.FILTER:
            return _typed("filter: ", screen.line, "enter: keep, escape: done", width)
        case Mode.DRAIN:
            row = None if screen.subject is None else screen.subject.row
            about = "" if row is None else f"{row.endpoint} of {row.service.name}"
            held = ", ".join(one.actor for one in _drains(screen))
            about += f", which is drained by {held}" if held else ""
            question = f"drain {printable(about)}; why? "
            return _typed(question, screen.line, "enter: drain, escape: no", width)
        case Mode.UNDRAIN:
            by = ", ".join(f"{one.target} by {one.actor}{_why(one)}" for one in _drains(screen))
            asked = f"end the drain of {printable(by)}?   enter: yes, escape: no"
            return _few(asked, width, "bold")
        case Mode.WHY:
            return [Text("up, down: scroll   any other key: back", "bold")]
        case Mode.HELP:
            return [Text("any key: back", "bold")]
        case Mode.TABLE:
            if screen.message and now < screen.message_until:
                return _few(screen.message, width, "bold yellow")
            narrowed = f"[{screen.filter}] " if screen.filter else ""
            narrowed += "[only trouble] " if screen.only else ""
            return [Text.assemble((printable(narrowed), "bold yellow"), (_KEYS, "dim"))]


def _drains(screen: Screen) -> Sequence[OverrideReply]:
    """Those that hold the one that a question is about."""
    return () if screen.subject is None else screen.subject.drains


def _why(override: OverrideReply) -> str:
    """Its reason, short enough for the keys to be seen, too."""
    reason = override.reason
    short = reason if len(reason) <= REASON_MAX else f"{reason[: REASON_MAX - 1]}…"
    return f": {short}" if short else ""


def wrapped(text: str, width: int, style: str = "") -> list[Text]:
    """Its lines, all with the indent of the first."""
    from textwrap import wrap

    indent = " " * (len(text) - len(text.lstrip()))
    lines = wrap(printable(text), width, subsequent_indent=indent) or [""]
    return [Text(line, style) for line in lines]


def _few(text: str, width: int, style: str) -> list[Text]:
    if cell_len(text) <= width:
        return [Text(text, style)]
    return list(islice(wrapped(text, width, style), ANSWER_MAX))


def _typed(question: str, line: str, keys: str, width: int) -> list[Text]:
    """A question and what is typed, whose end is in sight."""
    typed = f"{printable(line)}_"
    for whole in (f"{question}{typed}   {keys}", f"{question}{typed}"):
        if cell_len(whole) <= width:
            return [Text(whole, "bold")]
    while cell_len(typed) > width:
        typed = f"…{typed[2:]}"
    return [Text(f"{question}  {keys}", "bold"), Text(typed, "bold")]
