"""Draws docs/pictures: python -m tests.support.dashboard_pictures [STORAGE].

STORAGE is a folder with the day's blocks; without it the day is recorded and backfilled first,
which takes some minutes.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from tests.support import dashboards, drawing
from tests.support.backfilled import Prometheus, Series, backfill
from tests.support.canvas import COLUMN, DPI, FAINT, GAP, GROUND, LINE, Box, Canvas
from tests.support.day import record
from tests.support.day_alerts import named_after, tell_alerts
from tests.support.day_scenes import CHOSEN, SCENES, Scene
from tests.support.day_script import DAY_S, MIDNIGHT, STEP_S, at
from tests.support.documents import CHECKOUT
from tests.support.drawing import Mark
from tests.support.processes import Processes

if TYPE_CHECKING:
    from tests.support.dashboards import Panel, Target

FOLDER = CHECKOUT / "docs" / "pictures"
COLOURS = 255
"""Of a picture's palette, which keeps it small."""


class Artist:
    """Draws from what a Prometheus answers."""

    def __init__(self, prometheus: Prometheus) -> None:
        self._prometheus = prometheus

    def dashboard(self, name: str) -> Canvas:
        """A whole dashboard, with the whole day."""
        found = dashboards.rows_and_panels(name)
        low = max(panel.place[1] + panel.place[3] for panel in found)
        top = 44
        canvas = Canvas(24 * COLUMN + GAP, low * LINE + GAP + top)
        self._title(canvas, name)
        span = (MIDNIGHT, MIDNIGHT + DAY_S)
        for panel in found:
            self._panel(canvas, panel, drawing.on_grid(panel, top), span, CHOSEN)
        return canvas

    def scene(self, runbook: str, scene: Scene) -> Canvas:
        """Two panels of a failure, and below them when its alert fired."""
        width, height = 9 * COLUMN, 7 * LINE
        strip = 3 * LINE
        canvas = Canvas(2 * width + GAP, height + strip + GAP)
        span = (MIDNIGHT + at(scene.begin), MIDNIGHT + at(scene.end))
        for number, (name, title) in enumerate(scene.panels):
            box = Box(number * width + GAP, GAP, width - GAP, height - GAP)
            chosen = {**CHOSEN, **scene.chosen}
            self._panel(canvas, dashboards.panel(name, title), box, span, chosen)
        alerts = dashboards.panel("overview", "Alerts")
        wanted = named_after(runbook)
        fired = [
            (wanted, one)
            for one in self._ask(alerts.targets[0], span, CHOSEN)
            if one.labels["alertname"] == wanted
        ]
        below = Box(GAP, height + GAP, 2 * width - GAP, strip - GAP)
        drawing.states(canvas, alerts, below, fired, span)
        return canvas

    def _title(self, canvas: Canvas, name: str) -> None:
        canvas.text(14, 24, str(dashboards.dashboard(name)["title"]), 13, weight="bold")
        wanted = [one for one in dashboards.variables(name) if one in CHOSEN]
        said = "   ".join(
            f"{one}: {'All' if re.search(r'[|*]', CHOSEN[one]) else CHOSEN[one]}" for one in wanted
        )
        right = canvas.width - 14
        told = f"{said}      2026-11-23 00:00 to 24:00 UTC"
        canvas.text(right, 24, told, 8.5, FAINT, ha="right")

    def _panel(
        self,
        canvas: Canvas,
        panel: Panel,
        box: Box,
        span: tuple[float, float],
        chosen: Mapping[str, str],
    ) -> None:
        if panel.kind == "row":
            drawing.heading(canvas, panel, box)
            return
        if panel.kind == "table":
            drawing.rows(canvas, panel, box, self._ask(panel.targets[0], span, chosen))
            return
        series = [
            (_called(target, one), one)
            for target in panel.targets
            for one in self._ask(target, span, chosen)
        ]
        series.sort(key=lambda labelled: labelled[0] if panel.kind == "state-timeline" else "")
        if panel.kind == "stat":
            drawing.number(canvas, panel, box, series)
        elif panel.kind == "state-timeline":
            drawing.states(canvas, panel, box, series, span)
        else:
            marks = self._marks(panel.dashboard, span, chosen)
            drawing.course(canvas, panel, box, series, span, marks)

    def _ask(
        self, target: Target, span: tuple[float, float], chosen: Mapping[str, str]
    ) -> list[Series]:
        expr = target.filled({**chosen, "__rate_interval": f"{4 * STEP_S}s"})
        if target.instant:
            return self._prometheus.at(expr, span[1])
        return self._prometheus.between(expr, span[0], span[1], STEP_S)

    def _marks(self, name: str, span: tuple[float, float], chosen: Mapping[str, str]) -> list[Mark]:
        found = []
        for annotation in dashboards.annotations_of(name):
            target = dashboards.Target(annotation["expr"], "", instant=False)
            color = annotation["iconColor"]
            for one in self._ask(target, span, chosen):
                found += [Mark(a, b, color) for a, b in _spans(one)]
        return found


def _spans(one: Series) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for moment, _ in one.points:
        if found and moment - found[-1][1] <= STEP_S:
            found[-1] = (found[-1][0], moment)
        else:
            found.append((moment, moment))
    return found


def _called(target: Target, one: Series) -> str:
    name = re.sub(r"{{(\w+)}}", lambda found: one.labels.get(found[1], ""), target.legend)
    return name.strip()  # a cluster comes last, where there is one


def save(canvas: Canvas, path: Path) -> None:
    """Write it, with few colours."""
    canvas.figure.savefig(path, dpi=DPI, facecolor=GROUND)
    with Image.open(path) as picture:
        few = picture.convert("RGB").quantize(
            COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
        )
    few.save(path, optimize=True)


def main() -> None:
    """Draw all of them."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        storage = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else folder / "storage"
        if not storage.exists():
            asyncio.run(record()).write(folder / "day.txt")
            backfill(folder / "day.txt", storage)
            tell_alerts(folder, storage, step_s=STEP_S)
        processes = Processes(folder)
        try:
            artist = Artist(Prometheus.start(processes, folder, storage, stale_s=150))
            for each in dashboards.names():
                save(artist.dashboard(each), FOLDER / f"{each}.png")
            for each, scene in SCENES.items():
                save(artist.scene(each, scene), FOLDER / f"{each}.png")
        finally:
            processes.close()


if __name__ == "__main__":
    main()
