"""A picture of the status page has the page's own colours, for they say what is well."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

from PIL import Image, ImageColor, ImageDraw

from tests.support.documents import CHECKOUT
from tests.support.page_pictures import save

CSS = (CHECKOUT / "lvsguard" / "telemetry" / "static" / "page.css").read_text()
LIGHT = CSS.partition("@media")[0]
OFF_MAX = 8
"""Of 255: what nobody sees."""

Colour = tuple[int, int, int]


def colours() -> dict[str, Colour]:
    """Of the light scheme, by name."""
    found = re.findall(r"--([a-z-]+): (#[0-9a-f]{3}(?:[0-9a-f]{3})?);", LIGHT)
    return {name: ImageColor.getrgb(value)[:3] for name, value in found}


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """As the edge of a letter is."""
    red, green, blue = (round(a * share + b * (1 - share)) for a, b in zip(one, other, strict=True))
    return red, green, blue


def test_each_colour_of_the_page_is_itself_however_little_there_is_of_it(tmp_path: Path) -> None:
    known = colours()
    assert {"ink", "up", "down", "drain", "ground"} <= known.keys()
    page = Image.new("RGB", (900, 600), known["ground"])
    draw = ImageDraw.Draw(page)
    draw.rectangle((20, 60, 880, 580), known["card"])
    edges = [
        mixed(ink, ground, share / 64)
        for ink, ground in product(
            (known["ink"], known["quiet"], known["up"]), (known["ground"], known["card"])
        )
        for share in range(64)
    ]
    for at, edge in enumerate(edges):
        draw.rectangle(
            (at % 90 * 9 + 30, at // 90 * 9 + 200, at % 90 * 9 + 38, at // 90 * 9 + 208), edge
        )
    places = {name: (30 + 20 * at, 100) for at, name in enumerate(known)}
    for name, (x, y) in places.items():
        draw.rectangle((x, y, x + 8, y + 4), known[name])
    save(page, tmp_path / "page.png")
    with Image.open(tmp_path / "page.png") as saved:
        drawn = saved.convert("RGB")
    for name, place in places.items():
        pixel = drawn.getpixel(place)
        assert isinstance(pixel, tuple)
        off = max(abs(a - b) for a, b in zip(pixel, known[name], strict=True))
        assert off < OFF_MAX, f"--{name} is drawn as {pixel}, not {known[name]}"
