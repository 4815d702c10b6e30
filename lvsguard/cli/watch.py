"""``status --watch`` on a terminal: one thread draws and takes keys, another asks the daemon."""

from __future__ import annotations

import os
import select
import sys
import time
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live

from lvsguard.cli.text import monochrome
from lvsguard.cli.watch_ask import Asker
from lvsguard.cli.watch_bell import Bell, bell
from lvsguard.cli.watch_draw import draw
from lvsguard.cli.watch_keys import Keys, is_foreground, keys_one_by_one, unfinished
from lvsguard.cli.watch_screen import Quit, Screen

if TYPE_CHECKING:
    from lvsguard.admin.client import Client

TICK_S = 1.0
"""Times that are shown go on, whether or not there is news."""
REST_S = 0.1
"""How long the rest of a key may take."""
LEAST_WIDTH, LEAST_HEIGHT = 40, 8
_TYPED_MAX = 1024


def watch(client: Client, interval: float) -> None:
    """Show the screen until ``q`` or Ctrl-C; ``interval``: seconds between two looks."""
    console = Console(highlight=False, no_color=monochrome() or None)
    terminal = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else -1
    screen, takes_keys = Screen(), False
    with bell() as rung:
        asker = Asker(client, interval, rung.ring)
        asker.start()
        try:
            while True:
                # Once it has taken keys it waits, like any program, until it is in the foreground.
                takes_keys = takes_keys or (terminal >= 0 and is_foreground(terminal))
                with (
                    keys_one_by_one(terminal) if takes_keys else nullcontext(),
                    Live(console=console, screen=True, auto_refresh=False) as live,
                ):
                    _run(screen, asker, live, rung, terminal if takes_keys else None)
                if not rung.called_away or rung.ended:
                    return
                rung.obey()
        finally:
            asker.stop()


def _run(screen: Screen, asker: Asker, live: Live, rung: Bell, terminal: int | None) -> None:
    """Until a key ends it, or something else calls away."""
    keys = Keys()
    sources = [rung.heard] if terminal is None else [rung.heard, terminal]
    while not rung.called_away:
        asker.take(screen)
        size = live.console.size
        width, height = max(size.width, LEAST_WIDTH), max(size.height, LEAST_HEIGHT)
        live.update(draw(screen, width, height, time.time()), refresh=True)
        ready, _, _ = select.select(sources, [], [], TICK_S)
        if rung.heard in ready:
            rung.silence()
        if terminal is None or terminal not in ready:
            continue
        if not _typed(screen, asker, keys, _read(terminal)):
            return


def _read(terminal: int) -> bytes:
    """What was typed; nothing: the terminal is gone."""
    typed = b""
    with suppress(OSError):
        typed = os.read(terminal, _TYPED_MAX)
        while unfinished(typed) and select.select([terminal], [], [], REST_S)[0]:
            if not (rest := os.read(terminal, _TYPED_MAX)):
                break
            typed += rest
    return typed


def _typed(screen: Screen, asker: Asker, keys: Keys, typed: bytes) -> bool:
    """Do what keys say; False: it is the end."""
    if not typed:
        return False
    for key in keys.split(typed):
        wish = screen.press(key, time.time())
        if isinstance(wish, Quit):
            return False
        if wish is not None:
            waits = asker.ask(wish)
            said = "asking the daemon ..." if waits else "the daemon has not answered yet: a moment"
            screen.say(said, time.time())
    return True
