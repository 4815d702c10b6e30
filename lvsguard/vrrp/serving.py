"""A master that is asked for its connection table: who waits for it, and when it is sent.

Whoever asks is told at once that the table comes, and again when it was sent; who asks again
meanwhile hears again that it comes, and waits on. To whom a transfer failed it is promised no more:
it is tried again, and whoever asks may give up. However many ask, the table is sent at most once in
``SERVE_S`` seconds; whoever asks while it is being sent waits for the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lvsguard.vrrp.sending import Sending
from lvsguard.vrrp.table_request import Answer, Request
from lvsguard.vrrp.table_socket import Place
from lvsguard.vrrp.transfer_message import Begin, Failed, Sent

SERVE_S: Final = 2.0
"""Between two transfers to directors that ask."""
WAITING_MAX: Final = 16
"""Requests that wait, and that are remembered as answered."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and on behalf of which instance it is answered."""

    member: str
    place: Place


class Serving:
    """Requests to this director. Times are monotonic."""

    def __init__(
        self,
        sending: Sending,
        *,
        begin: Callable[[], Begin | None],
        reply: Callable[[Asker, Answer], None],
        sent: Callable[[Asker, Sent], None],
        failed: Callable[[str, Failed], None],
    ) -> None:
        """``begin`` says what is to be sent now, if anything; ``reply`` answers a request; ``sent``
        and ``failed`` (instance) are told how a transfer ended."""
        self._sending = sending
        self._begin = begin
        self._reply = reply
        self._sent = sent
        self._failed = failed
        self._waiting: dict[Request, Asker] = {}
        self._served: dict[Request, Asker] = {}
        """Part of the transfer that is under way."""
        self._done: dict[Request, int] = {}
        self._failed_once: dict[Request, None] = {}
        """To these nothing is promised; the latest last."""
        self._next = float("-inf")

    def timer(self) -> float | None:
        """When to call ``expire``."""
        return self._next if self._waiting and not self._served else None

    def asked(self, request: Request, asker: Asker, now: float) -> None:
        """Somebody asks, perhaps again."""
        entries = self._done.get(request)
        if entries is None and request not in self._served:
            if request not in self._waiting and len(self._waiting) >= WAITING_MAX:
                return  # it asks again
            self._waiting[request] = asker
        if entries is not None or request not in self._failed_once:
            self._reply(asker, Answer(request, entries))
        self.expire(now)

    def expire(self, now: float) -> None:
        """Send the table to all who wait, when it is time."""
        if not self._waiting or self._served or now < self._next:
            return
        begin = self._begin()
        if begin is None:
            self._waiting.clear()
            return
        self._next = now + SERVE_S
        self._served, self._waiting = self._waiting, {}
        self._sending.whole(begin, self._once, now)

    def _once(self, first: Sent | Failed, now: float) -> None:
        if isinstance(first, Failed):
            self._over(first, now)
            return
        # A read misses entries while others leave the table: once more finds them.
        self._sending.again(lambda second, later: self._twice(first, second, later), now)

    def _twice(self, first: Sent, second: Sent | Failed, now: float) -> None:
        if isinstance(second, Sent):
            entries = second.entries if second.whole else first.entries + second.entries
            seconds = first.seconds + second.seconds
            second = Sent(
                entries=max(entries, first.entries), messages=0, seconds=seconds, whole=True
            )
        self._over(second, now)

    def _over(self, outcome: Sent | Failed, now: float) -> None:
        served, self._served = self._served, {}
        for number, (request, asker) in enumerate(served.items()):
            if isinstance(outcome, Failed):
                if not number:
                    self._failed(asker.member, outcome)
                self._failed_once[request] = None
                continue  # it asks again
            self._done[request] = outcome.entries
            self._reply(asker, Answer(request, outcome.entries))
            if not number:
                self._sent(asker, outcome)
        for known in (self._done, self._failed_once):
            while len(known) > WAITING_MAX:
                del known[next(iter(known))]
        self.expire(now)
