"""The transfers that this director makes: one at a time, and one that waits.

Many VIP groups may be handed over in the same moment and several directors may ask: the table is
one, so they wait for the same transfer. What is bounded here: one runs, one waits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lvsguard.vrrp.transfer_message import (
    Again,
    Begin,
    Failed,
    FromTransfer,
    Prepare,
    Sent,
    ToTransfer,
)

Then = Callable[[Sent | Failed, float], None]
Ask = Callable[[ToTransfer, Callable[[FromTransfer, float], None], float], None]


class Sending:
    """Whole transfers and repetitions. Times are monotonic."""

    def __init__(self, ask: Ask) -> None:
        """``ask`` has the transfer process do something and calls back with its answer, once."""
        self._ask = ask
        self._last: Begin | None = None
        self._repeatable = False
        """Whether the transfer process knows what to repeat."""
        self._running = False
        self._sending = False
        """The same, and it is no Prepare."""
        self._next: Begin | None = None
        self._waiting: list[Then] = []
        self._unprepared = False

    @property
    def busy(self) -> bool:
        """Whether something is being sent, or will be."""
        return self._sending or bool(self._waiting)

    def whole(self, begin: Begin, then: Then, now: float) -> None:
        """Send the table, all of it from when this begins. Of several that wait the last counts."""
        self._next = begin
        self._waiting.append(then)
        self._go(now)

    def again(self, then: Then, now: float) -> None:
        """Send what is new since the last transfer; the whole if that one went wrong."""
        self._waiting.append(then)
        self._go(now)

    def prepare(self, now: float) -> None:
        """Have the services known before they are needed; it waits behind what is to be sent."""
        self._unprepared = True
        self._go(now)

    def _go(self, now: float) -> None:
        while self._waiting and not self._running:
            begin = self._next
            if begin is None and not self._repeatable:
                begin = self._last
            waiting, self._waiting, self._next = self._waiting, [], None
            if begin is None and not self._repeatable:
                for then in waiting:
                    then(Failed("nothing was sent that could be sent again"), now)
                continue
            self._last = begin or self._last
            self._running = self._sending = True
            self._ask(begin or Again(), partial(self._answered, waiting), now)
        if self._unprepared and not self._running:
            self._unprepared, self._running = False, True
            self._ask(Prepare(), partial(self._answered, []), now)

    def _answered(self, waiting: list[Then], answer: FromTransfer, now: float) -> None:
        self._running = self._sending = False
        if isinstance(answer, Failed):
            self._repeatable = False
        for then in waiting:
            if isinstance(answer, Sent):
                self._repeatable = True
                then(answer, now)
            else:
                failed = answer if isinstance(answer, Failed) else Failed("it was not asked")
                then(failed, now)
        self._go(now)
