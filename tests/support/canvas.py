"""A picture in Grafana's dark theme: boxes, cards, texts and axes, placed by pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import matplotlib as mpl

mpl.use("Agg")

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DPI = 100
COLUMN, LINE = 58, 33
"""Pixels of a cell of Grafana's grid."""
GAP = 5
GROUND, CARD, EDGE, GRID = "#08090b", "#181b1f", "#2c3037", "#2b2f36"
INK, FAINT = "#d5d6df", "#8e8f9b"
COLORS = {
    "green": "#56a64b",
    "yellow": "#e0b400",
    "orange": "#ff780a",
    "red": "#e02f44",
    "blue": "#3274d9",
    "purple": "#a352cc",
    "text": "#5a5d68",
}
PALETTE = (
    "#73bf69", "#5794f2", "#ff9830", "#f2cc0c", "#b877d9", "#f2495c", "#8ab8ff", "#ffa6b0",
    "#96d98d", "#ca95e5", "#ffcb7d", "#c0d8ff",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels, from the top left."""

    left: float
    top: float
    width: float
    height: float

    def inside(self, left: float, top: float, right: float, bottom: float) -> Box:
        """It without these margins."""
        width, height = self.width - left - right, self.height - top - bottom
        return Box(self.left + left, self.top + top, width, height)


class Canvas:
    """A picture of so many pixels."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=GROUND)

    def axes(self, box: Box) -> Axes:
        """Axes that fill a box."""
        return self.figure.add_axes(
            (
                box.left / self.width,
                1 - (box.top + box.height) / self.height,
                box.width / self.width,
                box.height / self.height,
            )
        )

    def text(
        self, left: float, top: float, text: str, size: float, color: str = INK, **more: object
    ) -> None:
        """A line of text, its middle at ``top``."""
        style: dict[str, object] = {"va": "center", "ha": "left", **more}
        self.figure.text(
            left / self.width,
            1 - top / self.height,
            text,
            fontsize=size,
            color=color,
            **style,  # type: ignore[arg-type]
        )

    def card(self, box: Box, color: str = CARD, edge: str = EDGE) -> None:
        """A panel's ground."""
        axes = self.axes(box)
        axes.set_axis_off()
        axes.set_xlim(0, box.width)
        axes.set_ylim(0, box.height)
        style = "round,pad=0,rounding_size=3"
        axes.add_patch(
            FancyBboxPatch(
                (0.5, 0.5),
                box.width - 1,
                box.height - 1,
                boxstyle=style,
                facecolor=color,
                edgecolor=edge,
                linewidth=0.8,
            )
        )
