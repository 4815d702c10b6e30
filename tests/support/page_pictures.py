"""Draws docs/pictures/page-*.png: python -m tests.support.page_pictures [NAME ...].

Each is the status page of a real controller, in a real Chromium, while a runbook's failure lasts:
the page's own heading, and below it those sections that show it.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from tests.support.chromium import browser, prefers, size, until
from tests.support.documents import CHECKOUT
from tests.support.page_failures import FAILURES, Failure
from tests.support.page_stage import playing
from tests.support.page_town import begin, clients, stage

FOLDER = CHECKOUT / "docs" / "pictures"
SCALE = 0.8
WIDTH, HEIGHT = 900, 1800
"""Of what is taken; the page is as wide as a small screen."""
MARGIN = 10
SETTLED_S = 2.5
"""What follows from a failure, and the page's own times; a rate takes two reads of the kernel."""
EVENTS = 185
"""Pixels of the last events, which scroll."""
COLOURS = 256
"""Of a picture's palette, which keeps it small."""

Rectangle = tuple[int, int, int, int]
"""Left, top, right, bottom."""


def picture(driver: Chrome, failure: Failure, folder: Path) -> Image.Image:
    """The page while it lasts."""
    made = stage(failure.config, folder)
    made.peers = (failure.peer(),)
    with playing(made) as played:
        begin(played)
        driver.get(played.url)
        until(lambda: _ready(driver), "all of it")
        failure.play(played)
        until(lambda: failure.says in _text(driver), failure.says)
        clients(played, SETTLED_S)
        return _cut(driver, failure.parts)


def _ready(driver: Chrome) -> bool:
    return driver.find_element(By.TAG_NAME, "body").get_attribute("data-ready") == "true"


def _text(driver: Chrome) -> str:
    return driver.find_element(By.TAG_NAME, "body").text


def _cut(driver: Chrome, parts: Sequence[str]) -> Image.Image:
    """The heading and these parts, one below the other."""
    whole = Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")
    pieces = [whole.crop(_place(driver, part)) for part in ("header", *parts)]
    ground = whole.getpixel((2, HEIGHT - 2))
    height = sum(piece.height + MARGIN for piece in pieces)
    made = Image.new("RGB", (WIDTH, height), ground)
    top = 0
    for piece in pieces:
        made.paste(piece, (0, top))
        top += piece.height + MARGIN
    return made


def _place(driver: Chrome, part: str) -> Rectangle:
    script = """
      const part = arguments[0];
      const heads = [...document.querySelectorAll("details")];
      const found = heads.find((one) => one.querySelector("h3").textContent === part)
        ?? document.getElementById(part)
        ?? document.querySelector(part === "header" ? part : `.${part}`);
      const node = found.closest(".card") ?? found;
      const box = node.getBoundingClientRect();
      return [box.top, box.bottom];
    """
    top, bottom = (SCALE * at for at in driver.execute_script(script, part))
    bottom = min(bottom, top + EVENTS) if part == "events" else bottom
    return 0, int(top), WIDTH, int(bottom) + 1


def save(made: Image.Image, path: Path) -> None:
    """Write it, with few colours."""
    # By median cut, what has few pixels takes the colour of others: red text is brown, green blue.
    few = made.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


def main() -> None:
    """Draw those that are named, or all."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with browser(folder / "chromium", width=WIDTH, height=HEIGHT) as driver:
            size(driver, int(WIDTH / SCALE), int(HEIGHT / SCALE), scale=SCALE)
            prefers(driver, "light")
            for each in sys.argv[1:] or FAILURES:
                made = picture(driver, FAILURES[each], folder / each)
                save(made, FOLDER / f"page-{each}.png")


if __name__ == "__main__":
    main()
