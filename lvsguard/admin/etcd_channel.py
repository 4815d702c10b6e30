"""The other directors by way of etcd, for any number of them: the same words as on the channel
between two (``peer_message``), each in a key of its own.

What a director tells of itself goes under its lease, so it is gone when the director is; overrides
stay. Whatever happens to etcd, what was known last stays as it was: nothing is forgotten because
nobody can be asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from lvsguard.admin import peer_message, peer_turns
from lvsguard.admin.etcd import Entry, Etcd, EtcdError
from lvsguard.admin.etcd_overrides import EtcdOverrides
from lvsguard.admin.etcd_words import (
    BEAT,
    DIRECTORS,
    OVERRIDES,
    beat_now,
    encode,
    named,
    put_together,
    wanted,
)
from lvsguard.admin.peer_gate import Gate
from lvsguard.admin.peer_message import Beat, Digests, Message, MessageError, Services
from lvsguard.admin.peer_session import Peer, Shared
from lvsguard.core.clock import ClockMeter
from lvsguard.core.cluster import EtcdAccess
from lvsguard.core.event import Event
from lvsguard.core.ledger import Record
from lvsguard.core.peer import Account
from lvsguard.core.peer_event import ClusterBack, ClusterLost, PeerHeard, PeerSilent
from lvsguard.core.turns import Turns

AGAIN_S: Final = 0.5
"""Pause before the next try to reach etcd."""
LEAVE_S: Final = 1.0
"""For the lease to be ended when this director stops."""
PEERS_MAX: Final = 64
CLOCK_S: Final = 60.0
"""Longest time between two beats, by which clocks are measured. Each is a revision in etcd."""
CLOCK_AGE_S: Final = 180.0
FORGET_S: Final = 86400.0
"""A director that is gone for so long is no director any more."""


class EtcdChannel:
    """All other directors, as etcd has them. In the place of ``peer_channel.PeerChannel``."""

    def __init__(
        self,
        director: str,
        shared: Shared,
        emit: Callable[[Event], None],
        access: EtcdAccess,
    ) -> None:
        """``shared``: the overrides that all of them have."""
        self._director = director
        self._shared = shared
        self._emit = emit
        self._access = access
        self._lease = access.lease
        self._account: Account | None = None
        self._peers: dict[str, Peer] = {}
        self._pieces: dict[str, dict[str, Services | Digests]] = {}
        self._overrides = EtcdOverrides(director, shared)
        self._reconciled = 0.0
        """When (monotonic) overrides were held side by side last."""
        self._changed = asyncio.Event()
        self._beat_at = float("-inf")
        """When (monotonic) the beat was written last."""
        self._gate = Gate(emit)
        self.turns = Turns(director)
        """Whose turn it is; ``news`` tells of a change."""
        self._gone_since: dict[str, float] = {}
        """When (monotonic) others were found gone."""
        self._leaves = False
        """Whether it stops. A session that breaks does not end its lease: others would take that
        for the end of this director; the next session takes over what is under it."""
        self._since: float | None = None
        """When (monotonic) etcd was lost; None: it was not, or never reached."""
        self.trouble = "etcd was not reached yet"
        """Why etcd cannot be asked now; empty: it can."""

    @property
    def peers(self) -> Mapping[str, Peer]:
        """The other directors by name."""
        return self._peers

    def tell(self, account: Account) -> None:
        """Say this of oneself from now on."""
        if account != self._account:
            self._account = account
            self._changed.set()

    def news(self, records: Iterable[Record] = ()) -> None:
        """Tell what has changed now, and these records."""
        self._overrides.decided(records)
        self._changed.set()

    async def run(self) -> None:
        """Keep in touch until cancelled."""
        turn = 0
        while True:
            endpoint = self._access.endpoints[turn % len(self._access.endpoints)]
            try:
                await self._session(endpoint)
            except EtcdError as error:
                self._lost(str(error))
            turn += 1
            await asyncio.sleep(AGAIN_S)

    async def _session(self, endpoint: str) -> None:
        """Read, follow and tell until something breaks. Raises EtcdError, always."""
        self._leaves = False
        async with Etcd(self._access, endpoint) as etcd:
            revision = await self._read(etcd)
            self._found()
            tasks = [
                asyncio.create_task(self._follow(etcd, revision + 1), name="etcd-watch"),
                asyncio.create_task(self._speak(etcd), name="etcd-speak"),
            ]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError:
                self._leaves = True
                raise
            finally:
                for task in tasks:
                    task.cancel()
                ended = await asyncio.gather(*tasks, return_exceptions=True)
            for one in ended:
                if isinstance(one, Exception):
                    raise one

    def _lost(self, why: str) -> None:
        if self.trouble != why:
            if not self.trouble or self._since is None:
                self._since = time.monotonic()
                self._emit(ClusterLost(why))
            self.trouble = why

    def _found(self) -> None:
        if self._since is not None:
            self._emit(ClusterBack(time.monotonic() - self._since))
        self.trouble, self._since = "", None

    # -- what others tell --------------------------------------------------------------------

    async def _read(self, etcd: Etcd) -> int:
        """Everything that is there now; the revision that it is of."""
        revision, entries = await etcd.read()
        self._overrides.forget_all()
        before, self._pieces = self._pieces, {}
        for entry in entries:
            self._take(entry)
        for name in before.keys() - self._pieces.keys():
            self._gone(name)
        self._reconcile()
        self._changed.set()
        return revision

    async def _follow(self, etcd: Etcd, revision: int) -> None:
        async for changes in etcd.watch(revision):
            for entry, gone in changes:
                if gone:
                    self._forget(entry)
                else:
                    self._take(entry)

    def _take(self, entry: Entry) -> None:
        """Somebody has written something. What makes no sense is told and passed over."""
        place, _, name = entry.key.removeprefix(self._access.prefix).partition("/")
        try:
            if place == DIRECTORS:
                self._hear(*named(name), peer_message.decode(entry.value))
            elif place == OVERRIDES:
                self._overrides.take(name, entry)
                self._tell_refused()
                self._changed.set()  # the fingerprint may be another one
        except (MessageError, ValueError, msgspec.MsgspecError) as error:
            self._gate.refuse(f"etcd key {entry.key[:200]}", str(error)[:200], time.monotonic())

    def _hear(self, name: str, piece: str, message: Message) -> None:
        if name == self._director:
            return
        pieces = self._pieces.setdefault(name, {})
        if name not in self._peers:
            if len(self._peers) >= PEERS_MAX:
                raise ValueError(f"there are more than {PEERS_MAX} directors")
            self._peers[name] = Peer(name, "etcd")
        peer = self._peers[name]
        match message:
            case Beat():
                peer.beat = message
                if peer.silent:
                    peer.clock = ClockMeter(CLOCK_AGE_S)  # what was heard before is too long ago
                    self._answer()
                if (clock := peer_message.clock(message, self._director)) is not None:
                    peer.clock.take(clock, time.time(), time.monotonic())
                peer.heard, peer.last = time.monotonic(), time.time()
                if self.turns.hear(name, peer_turns.stamp(message.turn, name)):
                    self._changed.set()
                if message.overrides == self._shared.fingerprint:
                    self._overrides.agree(name)
                    self._tell_refused()
                if peer.silent:
                    peer.silent, peer.since, peer.problem = False, peer.last, ""
                    self._emit(PeerHeard(name, peer.address, message.version, 0.0))
            case Services() | Digests():
                pieces[piece] = message
                put_together(peer, pieces.values())

    def _answer(self) -> None:
        """Say a word now, for somebody to measure this clock by."""
        self._beat_at = float("-inf")
        self._changed.set()

    def _reconcile(self) -> None:
        self._reconciled = time.monotonic()
        self._overrides.reconcile(time.time())
        self._tell_refused()

    def _tell_refused(self) -> None:
        for peer in self._peers.values():
            peer.refused = self._overrides.refused.get(peer.name, "")

    def _forget(self, entry: Entry) -> None:
        """A key is gone: a lease has ended, or an override was forgotten."""
        place, _, rest = entry.key.removeprefix(self._access.prefix).partition("/")
        if place == OVERRIDES:
            self._overrides.forget(rest)
            return
        with contextlib.suppress(ValueError):
            name, piece = named(rest)
            if place == DIRECTORS and name != self._director:
                if piece == BEAT:
                    self._gone(name)
                elif (pieces := self._pieces.get(name)) is not None:
                    pieces.pop(piece, None)
                    put_together(self._peers[name], pieces.values())

    def _gone(self, name: str) -> None:
        peer = self._peers.get(name)
        self._pieces.pop(name, None)
        self.turns.hear(name, None)
        if peer is not None and not peer.silent:
            peer.silent, peer.since = True, time.time()
            peer.problem = "its lease in etcd has ended"
            self._emit(PeerSilent(name, peer.address, peer.problem))

    def _forget_gone(self, now: float) -> None:
        """Know nothing any more of who was taken out of service. Nobody else is there to say so."""
        silent = {name for name, peer in self._peers.items() if peer.silent}
        self._gone_since = {name: self._gone_since.get(name, now) for name in silent}
        for name, since in self._gone_since.items():
            if now - since >= FORGET_S:
                del self._peers[name]
                self._pieces.pop(name, None)

    # -- what this one tells -----------------------------------------------------------------

    async def _speak(self, etcd: Etcd) -> None:
        """Keep what this director tells under a lease, and write records that are later."""
        lease, told = await etcd.grant(self._lease), dict[str, bytes]()
        keeping = asyncio.create_task(self._keep(etcd, lease), name="etcd-lease")
        try:
            while True:
                self._changed.clear()
                if time.monotonic() - self._reconciled >= self._lease / 3:
                    self._reconcile()
                if self._account is not None:
                    await self._tell(etcd, lease, told, self._account)
                if await self._overrides.write(etcd, self._take, time.time()):
                    self._changed.set()
                await self._overrides.sweep(etcd, time.time())
                self._forget_gone(time.monotonic())
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._lease / 3):
                        await self._changed.wait()
                if keeping.done():
                    await keeping
                    lease = await etcd.grant(self._lease)
                    keeping = asyncio.create_task(self._keep(etcd, lease), name="etcd-lease")
                    told.clear()
        except asyncio.CancelledError:
            if self._leaves:
                with contextlib.suppress(EtcdError, TimeoutError):
                    async with asyncio.timeout(LEAVE_S):
                        await etcd.revoke(lease)
            raise
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    async def _keep(self, etcd: Etcd, lease: int) -> None:
        """Keep the lease, however long it takes to say what is to be said, until it has ended."""
        try:
            while await etcd.keep(lease):  # noqa: ASYNC110 - it is etcd that ends it
                await asyncio.sleep(self._lease / 3)
        finally:
            self._changed.set()

    async def _tell(self, etcd: Etcd, lease: int, told: dict[str, bytes], account: Account) -> None:
        pieces = wanted(account)
        place = f"{DIRECTORS}/{self._director}/"
        for piece in told.keys() - pieces.keys() - {BEAT}:
            await etcd.drop(place + piece)
            del told[piece]
        for piece, octets in pieces.items():
            if told.get(piece) != octets:
                await etcd.put(place + piece, octets, lease)
            told[piece] = octets
        # Last, and of this moment: it says whose overrides and turns are known.
        says = account, self._shared.fingerprint, self.turns
        octets, now = encode(peer_message.beat(*says)), time.monotonic()
        if now - self._beat_at >= CLOCK_S or told.get(BEAT) != octets:
            self._beat_at, told[BEAT] = now, octets
            await etcd.put(place + BEAT, beat_now(*says, self._peers, time.time()), lease)
