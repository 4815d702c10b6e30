"""The thread that asks the daemon for ``status --watch``, so that keys never wait for it."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lvsguard.cli import why
from lvsguard.cli.change import told
from lvsguard.cli.watch_screen import Drain, Look, Screen, Undrain, Why, Wish, where

if TYPE_CHECKING:
    from lvsguard.admin.client import Client
    from lvsguard.admin.protocol import OverrideReply

EVENTS = 40
"""Events that are asked for each time."""
SHARE = 3
"""A look that took long is followed by so many times its own time without one, so that a table of
thousands is not asked for all the time."""
WISHES_MAX = 8

Found = Callable[[Screen], None]
"""Puts what was found on the screen."""


@dataclass(frozen=True, slots=True)
class _Stop:
    pass


class Asker:
    """Looks again and again, and asks what is wished. ``wake`` is called, from its thread, when
    there is something to take."""

    def __init__(self, client: Client, interval: float, wake: Callable[[], None]) -> None:
        self._client = client
        self._interval = interval
        self._wake = wake
        self._wishes: queue.Queue[Wish | _Stop] = queue.Queue(WISHES_MAX)
        self._found: deque[Found] = deque()
        self._asked_at: float | None = None
        # Its last question must not keep a terminal from whoever has pressed q.
        self._thread = threading.Thread(target=self._run, name="asker", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask nothing more."""
        self._wish(_Stop())

    def ask(self, wish: Wish) -> bool:
        """Have something asked; False: too much waits already."""
        return self._wish(wish)

    def take(self, screen: Screen) -> None:
        """Put on the screen what was found since."""
        screen.asked_at = self._asked_at
        while self._found:
            self._found.popleft()(screen)

    def _wish(self, wish: Wish | _Stop) -> bool:
        try:
            self._wishes.put_nowait(wish)
        except queue.Full:
            return False
        return True

    def _run(self) -> None:
        while True:
            begun = time.monotonic()
            self._asked_at = time.time()
            self._tell(self._looked())
            pause = max(self._interval, SHARE * (time.monotonic() - begun))
            try:
                wish = self._wishes.get(timeout=pause)
            except queue.Empty:
                continue
            if isinstance(wish, _Stop):
                return
            self._asked_at = time.time()
            self._tell(self._asked(wish))

    def _tell(self, found: Found) -> None:
        self._asked_at = None
        self._found.append(found)
        self._wake()

    def _looked(self) -> Found:
        """All that a screen shows."""
        from lvsguard.admin.client import Refused, Unreachable

        client = self._client
        try:
            status, health = client.status(), client.health()
            overrides = client.overrides().overrides
            events = list(client.events(0.0, limit=EVENTS))
        except (Unreachable, Refused) as error:
            lines, at = str(error).splitlines(), time.time()
            return lambda screen: screen.lose(lines, at)
        look = Look(time.time(), status, health, overrides, events)
        return lambda screen: screen.take(look)

    def _asked(self, wish: Wish) -> Found:
        from lvsguard.admin.client import Refused, Unreachable

        try:
            return self._done(wish)
        except (Unreachable, Refused) as error:
            said = str(error)
            return lambda screen: screen.say(said, time.time())

    def _done(self, wish: Wish) -> Found:
        from lvsguard.admin.protocol import ClearOverride, SetOverride
        from lvsguard.core.override import OverrideKind

        kind = OverrideKind.DRAIN
        if isinstance(wish, Drain):
            row = wish.row
            asked = SetOverride(
                target=row.endpoint, kind=kind, service=row.service.name, reason=wish.reason
            )
            reply = self._client.set_override(asked)
            kept = "" if reply.durable else f"; in force, but not kept: {reply.message}"
            gone = f"; replaced: {_told(reply.replaced)}" if reply.replaced else ""
            return _say(f"{row.endpoint} of {row.service.name} is drained{gone}{kept}")
        if isinstance(wish, Undrain):
            replies = [
                self._client.clear_override(
                    ClearOverride(target=where(one), kind=kind, service=one.service)
                )
                for one in wish.drains
            ]
            named = ", ".join(name for reply in replies for name in reply.targets)
            if not named:
                return _say("there was no drain left")
            ended = _told(one for reply in replies for one in reply.ended)
            return _say(f"{named} is not drained any more{f'; ended: {ended}' if ended else ''}")
        if not isinstance(wish, Why):
            return lambda screen: None
        answer = self._client.why(wish.row.endpoint, wish.row.service.name)
        at = time.time()
        return lambda screen: screen.tell(lambda width: [*why.lines(answer, False, width)], at)


def _told(overrides: Iterable[OverrideReply]) -> str:
    now = time.time()
    return ", ".join(told(one, now) for one in overrides)


def _say(text: str) -> Found:
    return lambda screen: screen.say(text, time.time())
