"""A real headless Chromium (Debian's), driven by selenium, that speaks to this host alone."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

SECONDS = 15.0
"""For anything that a page is to show."""
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


def missing() -> str:
    """What is not installed; empty when a browser can be had."""
    for command in ("chromium", "chromedriver"):
        if shutil.which(command) is None:
            return f"{command} is not installed: make deps"
    return ""


@contextmanager
def browser(folder: Path, *, width: int = 1280, height: int = 900) -> Iterator[Chrome]:
    """A browser with a profile of its own in ``folder``; its console is kept."""
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in (
        *FLAGS,
        f"--user-data-dir={folder / 'profile'}",
        f"--window-size={width},{height}",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options, Service(shutil.which("chromedriver") or ""))
    try:
        yield driver
    finally:
        driver.quit()


def size(driver: Chrome, width: int, height: int, *, scale: float = 1) -> None:
    """Show the page as on a screen of this size (CSS pixels), a phone's included."""
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600},
    )


def prefers(driver: Chrome, scheme: str) -> None:
    """Prefer ``dark`` or ``light``."""
    feature = {"name": "prefers-color-scheme", "value": scheme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def until(condition: Callable[[], bool], what: str, seconds: float = SECONDS) -> float:
    """Wait until it holds; the seconds that it took."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.02)
    return time.monotonic() - begun


def logged(driver: Chrome, kind: str) -> list[dict[str, str]]:
    """What was logged since it was asked last: ``browser`` (the console) or ``performance``."""
    lines: list[dict[str, str]] = driver.get_log(kind)  # type: ignore[no-untyped-call]
    return lines
