"""A director that joins: whom it asks for the connection table, and how long it waits. Pure.

A VIP group that starts, whose link is back, or that may have missed another's reign (it stood
still, or lost to a master that it had not heard), does not preempt before it has the table, or
knows that it gets none: the master does not answer (it is no lvsguard), or takes too long. A large
table takes long to read, and a master that leads meanwhile serves everybody: so it is waited for as
long as it says that the table comes. VIP groups with the same master ask once, whichever path and
family they hear it on first. Times are monotonic.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

from lvsguard.core.model import IPAddress
from lvsguard.vrrp.table_request import NONCE, Answer, Family, Request

WORD_S: Final = 10.0
"""Longest that a director which joins leaves a lower priority alone without a word that the table
comes."""
JOIN_MAX_S: Final = 60.0
"""The same, however often the master says so: twice what the master gives its transfer process for
one reading (``transfer_client.ANSWER_MAX_S``), which it does twice. Some 220,000 connections where
a reading grows with the square of their number (100,000 in 6 s, before Linux 6.14)."""
TRIES, TRY_S = 3, 1.0
"""Requests to a master that says nothing at all, and seconds between any two to one master."""
ASKED_MAX: Final = 16
"""Masters asked at once; there is one, or a few."""


@dataclass(frozen=True, slots=True)
class Voice:
    """A master as an instance hears it."""

    address: IPAddress
    interface: str


@dataclass(frozen=True, slots=True)
class Member:
    """An instance that hears a master."""

    name: str
    vip: str
    vrid: int
    family: Family


@dataclass(slots=True)
class Asking:
    """What is asked of one master."""

    member: Member
    request: Request
    voice: Voice
    due: float
    """When to say it again."""
    begun: float
    """When the wait began: another master may have been asked before."""
    word: float
    """When the master last said that it will send its table; at first: when it was asked."""
    vips: set[str] = field(default_factory=set)
    tries: int = 0
    coming: bool = False
    """The master has said that it will send its table."""


class Joining:
    """Which VIP groups still wait, and what is asked for them."""

    def __init__(
        self,
        *,
        ask: Callable[[Asking], None],
        wait: Callable[[str, float], None],
        chance: Callable[[int], bytes],
    ) -> None:
        """``ask`` sends a request; ``wait`` gets a VIP group and for how many seconds it is to
        leave a lower priority alone, 0: no longer; ``chance`` gives so many octets that nobody can
        guess."""
        self._ask = ask
        self._wait = wait
        self._chance = chance
        self._done: set[str] = set()
        """VIP groups that wait for no table."""
        self._since: dict[str, float] = {}
        """When VIP groups that wait have first asked somebody, whoever is master now."""
        self._asking: dict[Voice, Asking] = {}

    @property
    def awaited(self) -> frozenset[bytes]:
        """The octets of chance of all requests."""
        return frozenset(one.request.nonce for one in self._asking.values())

    def timer(self) -> float | None:
        """When to call ``expire``."""
        return min((one.due for one in self._asking.values()), default=None)

    def keep(self, vips: Collection[str], members: Collection[str]) -> None:
        """Forget all VIP groups and instances but these."""
        self._done.intersection_update(vips)
        self._since = {vip: at for vip, at in self._since.items() if vip in vips}
        for voice, one in list(self._asking.items()):
            one.vips.intersection_update(vips)
            if one.member.name not in members:
                del self._asking[voice]  # its VIP groups ask again when they hear the master

    def begins(self, vip: str) -> None:
        """A VIP group knows no connections of before."""
        self._done.discard(vip)
        self._since.pop(vip, None)
        # What was asked before may be answered with what was sent before.
        for voice, one in list(self._asking.items()):
            one.vips.discard(vip)
            if not one.vips:
                del self._asking[voice]
        self._wait(vip, WORD_S)

    def is_master(self, vip: str) -> None:
        """A VIP group has nobody left to ask."""
        if vip not in self._done:
            # Or the wait would lapse, and be told, when it is a backup again.
            self._wait(vip, 0.0)
        self._done.add(vip)
        for one in self._asking.values():
            one.vips.discard(vip)

    def hears(self, member: Member, voice: Voice, now: float) -> None:
        """A backup has heard who is master."""
        if member.vip in self._done:
            return
        old = next((one for one in self._asking.values() if member.vip in one.vips), None)
        if old is not None:
            other = old.member.name == member.name and old.voice.interface == voice.interface
            if not other or old.voice.address == voice.address:
                return  # it is asked already, perhaps on another path
            old.vips.discard(member.vip)
        asking = self._asking.get(voice)
        if asking is not None:
            asking.vips.add(member.vip)
        elif len(self._asking) < ASKED_MAX:
            request = Request(member.vrid, member.family, self._chance(NONCE))
            begun = self._since.setdefault(member.vip, now)
            asking = Asking(member, request, voice, now, begun, now, {member.vip})
            self._asking[voice] = asking
            self._say(asking, now)

    def answered(self, answer: Answer, now: float) -> Asking | None:
        """What an answer answers, if anything; with a count of entries it is then done."""
        asked = (one for one in self._asking.values() if one.request == answer.request)
        one = next(asked, None)
        if one is None:
            return None
        one.coming, one.word = True, now
        if answer.entries is not None:
            del self._asking[one.voice]
            self._end(one)
            return one
        for vip in sorted(one.vips):
            self._wait(vip, min(WORD_S, one.begun + JOIN_MAX_S - now))
        return one

    def expire(self, now: float) -> list[Asking]:
        """Say again what is due; what is given up."""
        given_up = []
        for voice, one in list(self._asking.items()):
            if now < one.due:
                continue
            late = now - one.word >= WORD_S or now - one.begun >= JOIN_MAX_S
            if not one.vips:
                del self._asking[voice]
            elif late or (one.tries >= TRIES and not one.coming):
                del self._asking[voice]
                given_up.append(one)
                self._end(one)
            else:
                self._say(one, now)
        return given_up

    def _say(self, asking: Asking, now: float) -> None:
        asking.tries += 1
        asking.due = now + TRY_S
        self._ask(asking)

    def _end(self, asking: Asking) -> None:
        self._done.update(asking.vips)
        for vip in sorted(asking.vips):
            self._wait(vip, 0.0)
