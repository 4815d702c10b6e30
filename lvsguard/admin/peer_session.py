"""What two directors say to each other on one connection, once both have said hello."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from lvsguard.admin import peer_message, peer_records
from lvsguard.admin.peer_link import Link, LinkError, Refused
from lvsguard.admin.peer_message import (
    KEYS_MAX,
    SERVICES_MAX,
    Beat,
    Digests,
    Hello,
    Message,
    Overrides,
    Services,
)
from lvsguard.core.clock import ClockMeter
from lvsguard.core.config_keys import Path
from lvsguard.core.ledger import Record
from lvsguard.core.peer import Account, ServiceHealth, VipPart
from lvsguard.core.turns import Turns

BEAT_S: Final = 1.0
ALL_AGAIN_S: Final = 10.0
"""At least so long between two times that all overrides are told."""
DOUBT: Final = 2
"""Beats in a row that tell of other overrides before all are told again: one may have crossed with
what was told."""


class Shared(Protocol):
    """The overrides that directors share."""

    @property
    def fingerprint(self) -> str:
        """Equal exactly when two directors hold the same."""

    @property
    def records(self) -> tuple[Record, ...]:
        """All that is known of overrides."""

    def take(self, peer: str, records: Iterable[Record]) -> str:
        """Another director's word. Why something of it was not taken; empty: all is well."""

    def agrees(self, peer: str) -> None:
        """Another director holds the same."""


@dataclass(slots=True)
class Peer:
    """Another director, as far as it is known."""

    name: str
    address: str
    heard: float | None = None
    """When (monotonic) it said something last; None: never."""
    silent: bool = True
    since: float = field(default_factory=time.time)
    """Wall clock: it is heard, or silent, since then."""
    last: float = 0.0
    """Wall clock of its last word; 0: none."""
    problem: str = ""
    """Why there is no connection now."""
    beat: Beat | None = None
    services: dict[str, ServiceHealth] = field(default_factory=dict)
    keys: dict[Path, str] = field(default_factory=dict)
    """Digests of its configuration's keys, as told last."""
    keys_of: str = ""
    """Digest of the configuration that they are of; empty: not all were told."""
    refused: str = ""
    """Why overrides that it told were not taken; empty: they were."""
    clock: ClockMeter = field(default_factory=ClockMeter)

    @property
    def account(self) -> Account | None:
        """What it tells of itself but for services and keys; None while it is not heard."""
        return None if self.silent or self.beat is None else peer_message.account(self.beat)

    @property
    def vips(self) -> tuple[VipPart, ...]:
        """Its part in the VIP groups."""
        return () if self.beat is None else peer_message.vips(self.beat)


class Telling:
    """What of overrides is to be told to one director, and what it told that was refused. Pure."""

    def __init__(self, peer: Peer, shared: Shared) -> None:
        self._peer = peer
        self._shared = shared
        self._records: list[Record] = []
        self._all = False
        self._all_told: float | None = None
        self._doubts = DOUBT - 1  # the first beat decides alone: they may have been apart

    def news(self, records: Iterable[Record]) -> None:
        """Tell it these."""
        self._records += records

    def due(self) -> Iterable[Record]:
        """What to tell now, before the beat that has the fingerprint of it."""
        records: Iterable[Record] = self._records
        self._records = []
        if self._all:
            self._all, records = False, self._shared.records
        return records

    def take(self, records: Iterable[Record]) -> None:
        """It has told these: some of all, so that all is well again tells the fingerprint."""
        refused = self._shared.take(self._peer.name, records)
        self._peer.refused = refused or self._peer.refused

    def doubt(self, fingerprint: str, now: float) -> bool:
        """It holds what has this fingerprint; ``now``: monotonic. Whether everything is to be told
        to it, for it goes on holding other overrides."""
        if fingerprint == self._shared.fingerprint:
            self._doubts, self._peer.refused = 0, ""
            self._shared.agrees(self._peer.name)
            return False
        self._doubts += 1
        waited = self._all_told is None or now - self._all_told >= ALL_AGAIN_S
        if self._doubts < DOUBT or not waited:
            return False
        self._doubts, self._all_told, self._all = 0, now, True
        return True


class Session:
    """One connection, from the hello to its end."""

    def __init__(
        self,
        link: Link,
        peer: Peer,
        shared: Shared,
        turns: Turns,
        *,
        account: Callable[[], Account | None],
        heard: Callable[[Peer, Beat], None],
    ) -> None:
        """``account``: what to say of oneself; ``heard`` gets each beat."""
        self._link = link
        self._peer = peer
        self._shared = shared
        self._turns = turns
        self._telling = Telling(peer, shared)
        self._account = account
        self._heard = heard
        self._news = asyncio.Event()
        self._over = asyncio.Event()
        self._keys_told = ""
        peer.clock = ClockMeter()  # what was heard before is too long ago

    def news(self, records: Iterable[Record] = ()) -> None:
        """Something has changed: say it now, and these records."""
        self._telling.news(records)
        self._news.set()

    async def run(self) -> None:
        """Talk until it breaks. Raises LinkError, always."""
        speaking = asyncio.create_task(self._speak(), name=f"speak to {self._peer.name}")
        try:
            while True:
                self._hear(await self._link.receive())
        finally:
            speaking.cancel()
            (ended,) = await asyncio.gather(speaking, return_exceptions=True)
            if isinstance(ended, Exception) and not isinstance(ended, LinkError):
                raise ended

    async def close(self) -> None:
        """End it: there is a newer one."""
        await self._link.close()

    async def _speak(self) -> None:
        told: Mapping[str, ServiceHealth] | None = None
        try:
            while True:
                self._news.clear()
                if (account := self._account()) is not None:
                    # Records before the beat that has their fingerprint.
                    await self._link.send(self._due())
                    await self._link.send([self._beat(account)])
                    await self._link.send(peer_message.services(account.services, told))
                    told = account.services
                    await self._link.send(self._keys(account))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(BEAT_S):
                        await self._news.wait()
        finally:
            await self._link.close()  # so that who listens on it knows

    def _beat(self, account: Account) -> Beat:
        stamp = self._peer.clock.stamp(time.time())
        return peer_message.beat(account, self._shared.fingerprint, self._turns, stamp)

    def _keys(self, account: Account) -> Iterable[Digests]:
        """What the other one needs to find what differs; nothing while nothing does."""
        beat = self._peer.beat
        if beat is None or account.config in (beat.config, self._keys_told):
            return ()
        self._keys_told = account.config
        return peer_message.digests(account.config, account.keys)

    def _due(self) -> list[Overrides]:
        return [Overrides(words=piece) for piece in peer_records.pieces(self._telling.due())]

    def _hear(self, message: Message) -> None:
        match message:
            case Beat():
                self._peer.beat = message
                if (clock := peer_message.clock(message)) is not None:
                    self._peer.clock.take(clock, time.time(), time.monotonic())
                if self._telling.doubt(message.overrides, time.monotonic()):
                    self._news.set()
                self._heard(self._peer, message)
            case Services():
                self._see(message)
            case Digests():
                self._know(message)
            case Overrides(words=words):
                try:
                    records = [peer_records.record(word) for word in words]
                except ValueError as error:
                    raise Refused(f"no override: {error}") from None
                self._telling.take(records)
                self._news.set()
            case Hello():
                raise Refused("it has said hello twice")

    def _see(self, message: Services) -> None:
        seen = self._peer.services
        if message.anew:
            seen.clear()
        seen |= peer_message.healths(message)
        if len(seen) > SERVICES_MAX:
            raise Refused(f"it tells of more than {SERVICES_MAX} services")

    def _know(self, message: Digests) -> None:
        known = self._peer.keys
        if message.anew:
            known.clear()
            self._peer.keys_of = ""
        known.update((tuple(one.path), one.digest) for one in message.keys)
        if len(known) > KEYS_MAX:
            raise Refused(f"it tells of more than {KEYS_MAX} keys of its configuration")
        if message.last:
            self._peer.keys_of = message.config
