"""Panels drawn as Grafana would draw them, roughly: numbers, courses, states, tables, with their
units, thresholds, words and legends, in its dark theme."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, cast

from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tests.support.canvas import (
    CARD,
    COLORS,
    COLUMN,
    EDGE,
    FAINT,
    GAP,
    GRID,
    INK,
    LINE,
    PALETTE,
    Box,
    Canvas,
)
from tests.support.units import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from tests.support.backfilled import Series
    from tests.support.dashboards import Panel

_TICKS = (300, 600, 900, 1800, 3600, 7200, 10800)
"""Seconds between two times below a panel."""

Labelled = tuple[str, "Series"]
"""What a series is called, and it."""


@dataclass(frozen=True, slots=True)
class Mark:
    """An annotation: a moment, or a span, with its color."""

    begin: float
    end: float
    color: str


def on_grid(panel: Panel, top: float = 0) -> Box:
    """Where a panel of a dashboard is."""
    x, y, w, h = panel.place
    return Box(x * COLUMN + GAP, y * LINE + GAP + top, w * COLUMN - GAP, h * LINE - GAP)


def heading(canvas: Canvas, panel: Panel, box: Box) -> None:
    """A row's title."""
    canvas.text(box.left + 4, box.top + box.height / 2, f"⌄  {panel.title}", 10.5, weight="bold")


def number(canvas: Canvas, panel: Panel, box: Box, series: Sequence[Labelled]) -> None:
    """One value on a coloured ground."""
    value = series[0][1].points[-1][1] if series else math.nan
    word, color = panel.word(value)
    plain = not color
    canvas.card(box, CARD if plain else COLORS[color], EDGE if plain else "none")
    canvas.text(box.left + 10, box.top + 15, panel.title, 8, INK if plain else "white")
    text = word or shown(value, str(panel.defaults.get("unit", "none")))
    ink = "#6e9fff" if plain else "white"
    size = 24 if len(text) < 8 else 17
    middle = box.left + box.width / 2
    canvas.text(middle, box.top + box.height * 0.6, text, size, ink, ha="center", weight="bold")


def course(
    canvas: Canvas,
    panel: Panel,
    box: Box,
    series: Sequence[Labelled],
    span: tuple[float, float],
    marks: Sequence[Mark] = (),
) -> None:
    """Lines, stacked areas or bars over time."""
    _frame(canvas, panel, box)
    names = [name for name, _ in series]
    below = _legend(canvas, box, names, [PALETTE[i % len(PALETTE)] for i in range(len(names))])
    axes = canvas.axes(box.inside(58, 32, 22, 26 + below))
    custom = cast(Mapping[str, object], panel.defaults.get("custom") or {})
    stacked = cast(Mapping[str, str], custom.get("stacking") or {}).get("mode") == "normal"
    bars = custom.get("drawStyle") == "bars"
    for mark in marks:
        _mark(axes, mark)
    _curves(axes, series, stacked=stacked, bars=bars)
    _scale(axes, panel, series, custom, stacked=stacked)
    _times(axes, span)


def _curves(axes: Axes, series: Sequence[Labelled], *, stacked: bool, bars: bool) -> None:
    under: dict[float, float] = {}
    for at, (_, one) in enumerate(series):
        color = PALETTE[at % len(PALETTE)]
        times, values = _with_gaps(one)
        if not stacked:
            axes.plot(times, values, color=color, lw=1.1, zorder=3)
            axes.fill_between(times, values, 0, color=color, alpha=0.06, lw=0)
            continue
        floor = [under.get(time, 0.0) for time in times]
        tops = [a if math.isnan(b) else a + b for a, b in zip(floor, values, strict=True)]
        under |= dict(zip(times, tops, strict=True))
        shape = [math.nan if math.isnan(b) else a for a, b in zip(tops, values, strict=True)]
        if bars:
            width = _spacing(times)
            heights = [0.0 if math.isnan(b) else b for b in values]
            axes.bar(times, heights, width, floor, color=color, alpha=0.9, lw=0, zorder=3)
            continue
        axes.fill_between(times, shape, floor, color=color, alpha=0.28, lw=0, zorder=2)
        axes.plot(times, shape, color=color, lw=1, zorder=3)


def _scale(
    axes: Axes,
    panel: Panel,
    series: Sequence[Labelled],
    custom: Mapping[str, object],
    *,
    stacked: bool,
) -> None:
    unit = str(panel.defaults.get("unit", "none"))
    scale = cast(Mapping[str, str], custom.get("scaleDistribution") or {}).get("type")
    values = [v for _, one in series for _, v in one.points if math.isfinite(v)]
    highest = max(values, default=1.0)
    if scale == "log" and values:
        axes.set_yscale("log")
        positive = [v for v in values if v > 0] or [1.0]
        axes.set_ylim(min(positive) * 0.5, max(positive) * 3)
        axes.minorticks_off()
    else:
        top = panel.defaults.get("max") or (axes.get_ylim()[1] if stacked else highest * 1.12)
        axes.set_ylim(0, float(cast(float, top)) or 1)
        whole = unit == "none" and highest < 20
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=whole))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value, unit)))
    for value, color in panel.steps:
        if axes.get_ylim()[0] < value < axes.get_ylim()[1]:
            axes.axhline(value, color=COLORS[color], lw=1, ls=(0, (5, 4)), zorder=4)


def states(
    canvas: Canvas,
    panel: Panel,
    box: Box,
    series: Sequence[Labelled],
    span: tuple[float, float],
) -> None:
    """A line of coloured bars for each series."""
    _frame(canvas, panel, box)
    words = panel.words
    seen = {int(value) for _, one in series for _, value in one.points}
    named = [word for value, word in words.items() if value in seen]
    below = _legend(canvas, box, [word for word, _ in named], [COLORS[color] for _, color in named])
    widest = max((len(name) for name, _ in series), default=4)
    inner = box.inside(18 + widest * 5.6, 32, 22, 26 + below)
    axes = canvas.axes(inner)
    for line, (_, one) in enumerate(series):
        for begin, end, value in _stretches(one):
            word, color = words.get(int(value), (shown(value, "none"), "text"))
            axes.add_patch(
                Rectangle((begin, line - 0.4), end - begin, 0.8, color=COLORS[color], lw=0)
            )
            room = (end - begin) / (span[1] - span[0]) * inner.width
            if room > len(word) * 5.5 + 6:
                axes.text(begin, line, f"  {word}", color="white", fontsize=7, va="center")
    axes.set_ylim(len(series) - 0.4, -0.6)
    axes.set_yticks(range(len(series)), [name for name, _ in series])
    _times(axes, span, grid=False)


def rows(canvas: Canvas, panel: Panel, box: Box, series: Sequence[Series]) -> None:
    """A table of labels and values."""
    _frame(canvas, panel, box)
    columns = {
        label: name
        for label, name in panel.columns.items()
        if label != "cluster" or any(label in one.labels for one in series)
    }
    left, width = box.left + 14, (box.width - 28) / max(1, len(columns))
    words = panel.cell_words
    unit = panel.cell_unit
    top = box.top + 42
    for at, name in enumerate(columns.values()):
        canvas.text(left + at * width, top, name, 8, "#6e9fff", weight="bold")
    for one in series:
        top += 24
        if top > box.top + box.height - 12:
            canvas.text(left, top - 8, "...", 8, FAINT)
            break
        for at, label in enumerate(columns):
            here = left + at * width
            if label != "Value":
                canvas.text(here, top, one.labels.get(label, ""), 8.5)
                continue
            value = one.points[-1][1]
            word, color = words.get(int(value)) or panel.word(value)
            if color:
                canvas.card(Box(here - 6, top - 10, width - 8, 20), COLORS[color], "none")
            canvas.text(here, top, word or shown(value, unit), 8.5, "white" if color else INK)
    if not series:
        canvas.text(left, top + 26, "none", 8.5, FAINT)


def _frame(canvas: Canvas, panel: Panel, box: Box) -> None:
    canvas.card(box)
    canvas.text(box.left + 10, box.top + 15, panel.title, 9)


def _legend(canvas: Canvas, box: Box, names: Sequence[str], colors: Sequence[str]) -> float:
    """Draw it in two lines at most; return the pixels that it took beyond one."""
    places, left, line = [], 0.0, 0
    for at, name in enumerate(names):
        needs = 26 + len(name) * 5.7
        if left + needs > box.width - 24 and left:
            left, line = 0.0, line + 1
        if line > 1:
            break
        places.append((left, line, at))
        left += needs
    lines = places[-1][1] + 1 if places else 0
    for left, line, at in places:
        here = box.left + 14 + left
        top = box.top + box.height - 12 - (lines - 1 - line) * 15
        canvas.text(here, top, "▬", 8, colors[at])
        canvas.text(here + 14, top, names[at], 7.2, FAINT if line > 1 else INK)
    return max(0, lines - 1) * 15 + (12 if lines else 0)


def _times(axes: Axes, span: tuple[float, float], *, grid: bool = True) -> None:
    axes.set_facecolor(CARD)
    axes.set_xlim(*span)
    every = next(step for step in _TICKS if (span[1] - span[0]) / step <= 9)
    ticks = [at for at in range(int(span[0]), int(span[1]) + 1, 60) if at % every == 0]
    axes.set_xticks(ticks, [time.strftime("%H:%M", time.gmtime(at)) for at in ticks])
    axes.tick_params(colors=FAINT, labelsize=7, length=0, pad=4)
    for side in axes.spines.values():
        side.set_visible(False)
    if grid:
        axes.grid(color=GRID, lw=0.7, zorder=0)
    axes.set_axisbelow(True)


def _mark(axes: Axes, mark: Mark) -> None:
    color = COLORS[mark.color]
    begin, end = mark.begin, mark.end
    if mark.end - mark.begin > 600:
        axes.axvspan(begin, end, color=color, alpha=0.10, lw=0, zorder=1)
        axes.axvspan(begin, end, 0, 0.018, color=color, alpha=0.9, lw=0, zorder=5)
    else:
        axes.axvline(begin, color=color, lw=0.9, ls=(0, (3, 3)), alpha=0.8, zorder=1)
        axes.plot(
            [begin], [0.01], "^", color=color, ms=4, zorder=5, transform=axes.get_xaxis_transform()
        )


def _with_gaps(one: Series) -> tuple[list[float], list[float]]:
    times, values = [], []
    step = min((b[0] - a[0] for a, b in pairwise(one.points)), default=60)
    before = None
    for at, value in one.points:
        if before is not None and at - before > step * 1.5:
            times.append(before + step)
            values.append(math.nan)
        times.append(at)
        values.append(value)
        before = at
    return times, values


def _spacing(times: Sequence[float]) -> float:
    gaps = [b - a for a, b in pairwise(times)]
    return min(gaps, default=60.0)


def _stretches(one: Series) -> list[tuple[float, float, float]]:
    """Begin, end and value of each time that the value stayed the same and was there."""
    step = min((b[0] - a[0] for a, b in pairwise(one.points)), default=60)
    found: list[tuple[float, float, float]] = []
    for at, value in one.points:
        if found and found[-1][2] == value and at - found[-1][1] < step / 2:
            found[-1] = (found[-1][0], at + step, value)
        else:
            found.append((at, at + step, value))
    return found
