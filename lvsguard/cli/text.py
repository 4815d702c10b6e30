"""Text for terminals: safe characters, colours only where wanted, times as people say them."""

from __future__ import annotations

import os
import sys
import time
from typing import IO

from lvsguard.core.moment import span as span

_COLOURS = {"red": 31, "green": 32, "yellow": 33, "bold": 1, "dim": 2}


def printable(text: str) -> str:
    """Text in which realservers and other strangers cannot hide control sequences."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def coloured(stream: IO[str] | None = None) -> bool:
    """Whether colours are wanted: a terminal that has them, and no NO_COLOR (no-color.org)."""
    target = stream or sys.stdout
    return target.isatty() and not os.environ.get("NO_COLOR") and not monochrome()


def monochrome() -> bool:
    """Whether the terminal, by its name, has no colours; one that nobody knows has them."""
    name = os.environ.get("TERM", "")
    if name == "dumb":
        return True
    try:
        import curses
    except ImportError:  # a Python without it
        return False
    try:
        curses.setupterm(name, 1)
        return curses.tigetnum("colors") <= 0
    except curses.error:
        return False


def paint(text: str, colour: str, wanted: bool) -> str:
    """Text in a colour, if colours are wanted."""
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if wanted and text else text


def say(*lines: str) -> None:
    """Print lines to standard output."""
    for line in lines:
        print(line)
    sys.stdout.flush()  # what cannot be written is found here, not at the end


def complain(*lines: str) -> None:
    """Print lines to standard error, the first with the program's name."""
    for number, line in enumerate(lines):
        print(line if number else f"lvsguard: {line}", file=sys.stderr)


def ago(stamp: str | None, now: float | None = None) -> str:
    """How long since an RFC 3339 time, in two units at most: ``3h12m``; ``-`` for never."""
    from datetime import datetime

    if stamp is None:
        return "-"
    moment = datetime.fromisoformat(stamp).timestamp()
    return span((time.time() if now is None else now) - moment)


def count(number: int, noun: str) -> str:
    """``1 service``, ``2 services``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
