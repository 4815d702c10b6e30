"""How a wait looks: a bar on a terminal, elsewhere a line for each step."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from lvsguard.cli.text import count, printable, say, span

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from lvsguard.admin.waiting import Left, Progress

STEP_S = 1.0
"""Between two lines, when something changes."""
PULSE_S = 15.0
"""Between two lines, when nothing does: whoever reads along sees that it goes on."""
NAMED = 3
"""Realservers that are named one by one."""


class Display(Protocol):
    """Shows how far a wait is."""

    def show(self, progress: Progress, elapsed: float) -> None:
        """After each look; seconds since the beginning."""

    def trouble(self, text: str, elapsed: float) -> None:
        """There is no progress to show, and why."""

    def close(self) -> None:
        """Nothing more comes."""


def display(limit: float, *, quiet: bool) -> Display:
    """What suits standard output; ``limit``: seconds until the deadline."""
    if quiet:
        return Silent()
    return Bar(limit) if sys.stdout.isatty() else Lines()


class Silent:
    """Shows nothing: somebody reads JSON."""

    def show(self, progress: Progress, elapsed: float) -> None:
        """Nothing."""

    def trouble(self, text: str, elapsed: float) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Lines:
    """A line for each step, at most one a second."""

    def __init__(self, tell: Callable[[str], None] = say) -> None:
        self._tell = tell
        self._said: object = None
        self._at = -PULSE_S
        self._notes: set[str] = set()

    def show(self, progress: Progress, elapsed: float) -> None:
        """Tell what has changed."""
        for note in progress.notes:
            if note not in self._notes:
                self._notes.add(note)
                self._tell(printable(f"note: {note}"))
        said = progress.connections, tuple((one.place, one.why) for one in progress.left)
        self._step(said, describe(progress), elapsed)

    def trouble(self, text: str, elapsed: float) -> None:
        """Tell it once in a while."""
        self._step(text, text, elapsed)

    def _step(self, said: object, text: str, elapsed: float) -> None:
        since = elapsed - self._at
        if since >= PULSE_S or (said != self._said and since >= STEP_S):
            self._tell(printable(f"{span(elapsed):>5}  {text}"))
            sys.stdout.flush()
            self._said, self._at = said, elapsed

    def close(self) -> None:
        """Nothing is open."""


class Bar:
    """A bar that fills as connections end, redrawn in place."""

    def __init__(self, limit: float, console: Console | None = None) -> None:
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Drawn

        self._limit = limit
        text = TextColumn("{task.description}", markup=False)
        self._drawn = Drawn(BarColumn(20), text, console=console, transient=True)
        self._task = self._drawn.add_task("", total=1)
        self._drawn.start()

    def show(self, progress: Progress, elapsed: float) -> None:
        """Draw it anew."""
        total = progress.most or 1
        done = progress.most - progress.connections
        self._draw(describe(progress), elapsed, total, done)

    def trouble(self, text: str, elapsed: float) -> None:
        """Draw that instead."""
        self._draw(text, elapsed, None, None)

    def _draw(self, text: str, elapsed: float, total: int | None, done: int | None) -> None:
        line = printable(f"{text}  {span(elapsed)} of {span(self._limit)}")
        self._drawn.update(self._task, description=line, total=total, completed=done)

    @property
    def drawing(self) -> RenderableType:
        """As it is drawn."""
        return self._drawn.get_renderable()

    def close(self) -> None:
        """Take it away; what comes of the wait is told in words."""
        self._drawn.stop()


def describe(progress: Progress) -> str:
    """How far it is, in one line."""
    words = []
    if progress.connections or any(not one.why for one in progress.left):
        words.append(f"{count(progress.connections, 'connection')} left")
        if progress.rate >= 0.05:
            words.append(f"{progress.rate:.1f} end a second")
    waiting = [one for one in progress.left if one.why]
    words += [f"{one.place}: {one.why}" for one in waiting[:NAMED]]
    if len(waiting) > NAMED:
        words.append(f"and {count(len(waiting) - NAMED, 'more realserver')}")
    return ", ".join(words) or "nothing is left"


def details(left: tuple[Left, ...]) -> list[str]:
    """Who is waited for, a line each."""
    lines = []
    for one in left[:20]:
        if one.why:
            what = one.why
        else:
            idle = f", no packet for {span(one.idle_s)}" if one.idle_s >= 1 else ""
            what = f"{count(one.connections, 'connection')}{idle}"
        lines.append(printable(f"  {one.place}: {what}"))
    if len(left) > 20:
        lines.append(f"  and {count(len(left) - 20, 'more realserver')}")
    return lines
