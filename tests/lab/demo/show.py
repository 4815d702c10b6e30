"""What the person before the terminal sees: scenes one below the other, and a live view under them.

Without a terminal the same scenes are plain lines and the live view is left out. This only shows;
what happens is in `stage` and `scenes`.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lvsguard.cli import render

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lvsguard.admin.status_reply import HealthReply, Status

WIDTH = 80
UNCUT = 200
"""Width where nobody's terminal would cut a line."""
FRAMES_PER_S = 4
LEAST_PRIORITY = 19


def console_for(*, plain: bool) -> Console:
    """Return the console: as wide as the scenes are written for, colours where they are wanted."""
    console = Console(highlight=False, soft_wrap=False)
    width = min(WIDTH, console.width) if console.is_terminal and not plain else UNCUT
    return Console(highlight=False, width=width)


class Show:
    """The screen. `begun` is when the demo began (wall clock, s).

    `live`: whether a live view is wanted, if this is a terminal.
    """

    def __init__(self, console: Console, begun: float, *, live: bool) -> None:
        self._console = console
        self._begun = begun
        self._live = live and console.is_terminal
        self._viewed = False
        self.still = threading.Lock()
        """Held while nothing may be drawn."""

    @property
    def elapsed_s(self) -> float:
        return time.time() - self._begun

    @contextlib.contextmanager
    def view(self, draw: Callable[[], RenderableType]) -> Iterator[None]:
        """Keep a live view below all that is written, drawn anew some times a second."""
        if not self._live:
            yield
            return
        live = Live(console=self._console, get_renderable=draw, auto_refresh=False, transient=True)
        with live:
            ended = threading.Event()
            artist = threading.Thread(target=self._keep_drawing, args=(live, ended))
            artist.start()
            self._viewed = True
            try:
                yield
            finally:
                self._viewed = False
                ended.set()
                artist.join()

    def _keep_drawing(self, live: Live, ended: threading.Event) -> None:
        # There may be one CPU, and what is measured on it must not wait for a picture.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LEAST_PRIORITY)
        while not ended.wait(1 / FRAMES_PER_S):
            with self.still:
                live.refresh()

    def put(self, *what: RenderableType) -> None:
        """Write anything, with an indent; a string as it is."""
        self._put(2, *(Text(one) if isinstance(one, str) else one for one in what))

    def _put(self, indent: int, *what: RenderableType) -> None:
        for one in what:
            self._console.print(Padding(one, (0, 0, 0, indent), expand=False))

    def blank(self) -> None:
        """Write an empty line."""
        self._console.print()

    def heading(self, title: str, *lines: str) -> None:
        """Begin a scene: its title, and a few lines that tell what happens and where to look."""
        self.blank()
        elapsed = Text(f" {self.elapsed_s:.0f} s", style="dim")
        self._console.print(across(Text.assemble("── ", (title, "bold cyan"), " "), elapsed))
        self.put(*(Text(line, style="italic") for line in lines))
        self.blank()

    def command(self, host: str, line: str, output: str = "") -> None:
        """Write a command that was run, and what it said."""
        self.put(Text.assemble((f"{host}# ", "dim"), (line, "bold")))
        said = (Text(text, no_wrap=True, overflow="ellipsis") for text in output.splitlines())
        self.put(*said)

    def good(self, text: str, figure: str = "", promised: str = "") -> None:
        """Write something that held; `figure` is what was measured."""
        line = Text.assemble(("✓ ", "bold green"), text)
        if figure:
            line.append(f" {figure}", style="bold green")
        if promised:
            line.append(f"  (promised: {promised})", style="dim")
        self.put(line)

    def bad(self, text: str) -> None:
        """Write something that did not hold."""
        first, *rest = text.splitlines() or [""]
        self.put(Text.assemble(("✗ ", "bold red"), (first, "bold red")))
        self.put(*(Text(line, style="red") for line in rest))

    def said(self, text: str) -> None:
        """Write what lvsguard said about it."""
        self._put(4, Text.assemble(("lvsguard: ", "dim"), (text, "yellow")))

    def status(self, status: Status, health: HealthReply) -> None:
        """Write the table that `lvsguard status` prints; nothing while the live view shows it."""
        if self._viewed:
            return
        self.blank()
        self.command("director1", "lvsguard status")
        now = time.time()
        if self._console.is_terminal:
            self.put(render.table(status, health, now))
        else:
            self.put(*(Text(line) for line in render.plain(status, health, now)))
        self.blank()

    def table(self, header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
        """Write a small table; the second column is what matters."""
        grid = Table(box=None, padding=(0, 3, 0, 0), pad_edge=False, header_style="dim")
        for number, name in enumerate(header):
            grid.add_column(name, style="bold green" if number == 1 else "", no_wrap=True)
        for row in rows:
            grid.add_row(*row)
        self.put(grid)


def across(left: Text, right: Text) -> Text:
    """A rule across the width, with words at both ends."""
    between = WIDTH - left.cell_len - right.cell_len
    rule = Text.assemble(left, ("─" * max(between, 1), "dim"), right)
    rule.no_wrap = True
    rule.overflow = "crop"
    return rule


def view_of(title: Text, status: RenderableType, bars: RenderableType, said: Text) -> Group:
    """The live view: status, who answered, and the last word of lvsguard."""
    said.no_wrap = True
    said.overflow = "ellipsis"
    return Group(Text(""), title, Padding(Group(status, Text(""), bars, said), (0, 0, 0, 2)))
