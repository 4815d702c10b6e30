"""The live view: asks lvsguard and the client's records a few times a second, and draws both."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from lvsguard.admin.client import Refused, Unreachable
from lvsguard.cli import render
from tests.lab.demo.show import across, view_of
from tests.lab.demo.stage import PER_SECOND, now

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tests.lab.demo.show import Show
    from tests.lab.demo.stage import Stage
    from tests.support.topology_load import Request

ASK_EVERY_S = 0.5
BUCKET_S = 0.25
BUCKETS = 56
BLOCKS = "▁▂▃▄▅▆▇█"
NOBODY = "·"
STYLES = {"rs1": "cyan", "rs2": "bright_blue", "failed": "red"}


class LiveView:
    """Draws the stage; `draw` is called from a thread of its own."""

    def __init__(self, show: Show, stage: Stage) -> None:
        self._show = show
        self._stage = stage
        self._asked = 0.0
        self._status: RenderableType = Text("lvsguard is not running yet", style="dim")
        self._said = ""
        self._begun = time.time()

    def draw(self) -> RenderableType:
        """The whole view."""
        if now() - self._asked > ASK_EVERY_S:
            self._ask()
            self._asked = now()
        title = across(
            Text.assemble("── ", ("live", "bold"), " "), Text(f" {self._show.elapsed_s:.0f} s")
        )
        said = Text.assemble(("› ", "dim"), (self._said, "yellow")) if self._said else Text()
        return view_of(title, self._status, self._answers(), said)

    def _ask(self) -> None:
        client = self._stage.director.client
        try:
            self._status = render.table(client.status(), client.health(), time.time())
            for event in client.events(self._begun, limit=1):
                self._said = event.text
        except (Unreachable, Refused, OSError):
            if self._said:
                self._status = Text(
                    "lvsguard does not answer; the kernel forwards with what it has",
                    style="bold red",
                )

    def _answers(self) -> RenderableType:
        bars = Table.grid(padding=(0, 1))
        if self._stage.answers is None:
            return bars
        # The newest bucket is the one whose requests have had time to end.
        end = now() - BUCKET_S
        requests = self._stage.answers.since(end - BUCKETS * BUCKET_S)
        for name, style in STYLES.items():
            counts = _count([r for r in requests if _who(r) == name], end)
            rate = sum(counts[-4:])
            bars.add_row(Text(name, style=style), Text(_blocks(counts), style=style), f"{rate}/s")
        return bars


def _who(request: Request) -> str:
    return "failed" if request.failed else request.body


def _count(requests: list[Request], end: float) -> list[int]:
    """Requests in each stretch of BUCKET_S up to `end`, the oldest first."""
    counts = [0] * BUCKETS
    for request in requests:
        age = int((end - request.at) / BUCKET_S)
        if 0 <= age < BUCKETS and request.at <= end:
            counts[BUCKETS - 1 - age] += 1
    return counts


def _blocks(counts: list[int]) -> str:
    """A bar for each count; the highest stands for all requests of its time."""
    most = PER_SECOND * BUCKET_S
    return "".join(
        BLOCKS[min(int(count / most * len(BLOCKS)), len(BLOCKS) - 1)] if count else NOBODY
        for count in counts
    )
