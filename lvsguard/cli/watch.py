"""``status --watch`` on a terminal: one thread draws and takes keys, another asks the daemon."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from types import FrameType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live

from lvsguard.cli.watch_ask import Asker
from lvsguard.cli.watch_draw import draw
from lvsguard.cli.watch_keys import Keys, is_foreground, keys_one_by_one
from lvsguard.cli.watch_screen import Quit, Screen

if TYPE_CHECKING:
    from lvsguard.admin.client import Client

TICK_S = 1.0
"""Times that are shown go on, whether or not there is news."""
LEAST_WIDTH, LEAST_HEIGHT = 40, 8
_TYPED_MAX = 1024


def watch(client: Client, interval: float) -> None:
    """Show the screen until ``q`` or Ctrl-C; ``interval``: seconds between two looks."""
    console = Console(highlight=False)
    terminal = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else -1
    takes_keys = terminal >= 0 and is_foreground(terminal)
    with (
        _bell() as (heard, ring),
        keys_one_by_one(terminal) if takes_keys else nullcontext(),
        Live(console=console, screen=True, auto_refresh=False) as live,
    ):
        asker = Asker(client, interval, ring)
        asker.start()
        try:
            _run(Screen(), asker, live, heard, terminal if takes_keys else None)
        finally:
            asker.stop()


def _run(screen: Screen, asker: Asker, live: Live, heard: int, terminal: int | None) -> None:
    keys = Keys()
    sources = [heard] if terminal is None else [heard, terminal]
    while True:
        asker.take(screen)
        size = live.console.size
        width, height = max(size.width, LEAST_WIDTH), max(size.height, LEAST_HEIGHT)
        live.update(draw(screen, width, height, time.time()), refresh=True)
        ready, _, _ = select.select(sources, [], [], TICK_S)
        if heard in ready:
            with suppress(BlockingIOError):
                os.read(heard, _TYPED_MAX)
        if terminal is None or terminal not in ready:
            continue
        if not _typed(screen, asker, keys, os.read(terminal, _TYPED_MAX)):
            return


def _typed(screen: Screen, asker: Asker, keys: Keys, typed: bytes) -> bool:
    """Do what keys say; False: it is the end."""
    if not typed:  # the terminal is gone
        return False
    for key in keys.split(typed):
        wish = screen.press(key, time.time())
        if isinstance(wish, Quit):
            return False
        if wish is not None and not asker.ask(wish):
            screen.say("the daemon has not answered yet: a moment", time.time())
    return True


@contextmanager
def _bell() -> Iterator[tuple[int, Callable[[], None]]]:
    """What wakes the loop: the asking thread, and a terminal that has another size."""
    ours, theirs = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def ring() -> None:
        with suppress(BlockingIOError, OSError):
            os.write(theirs, b"!")

    def resized(_number: int, _frame: FrameType | None) -> None:
        ring()

    before = signal.signal(signal.SIGWINCH, resized)
    try:
        yield ours, ring
    finally:
        signal.signal(signal.SIGWINCH, before)
        os.close(ours)
        os.close(theirs)
