"""The other directors by way of etcd, for any number of them: the same words as on the channel
between two (``peer_message``), each in a key of its own.

What a director tells of itself goes under its lease, so it is gone when the director is; overrides
stay. Whatever happens to etcd, what was known last stays as it was: nothing is forgotten because
nobody can be asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from lvsguard.admin import peer_message, peer_records
from lvsguard.admin.etcd import Entry, Etcd, EtcdError
from lvsguard.admin.peer_gate import Gate
from lvsguard.admin.peer_message import Beat, Digests, Message, MessageError, Services
from lvsguard.admin.peer_records import Word
from lvsguard.admin.peer_session import Peer, Shared
from lvsguard.core.cluster import EtcdAccess
from lvsguard.core.config_keys import Path
from lvsguard.core.event import Event
from lvsguard.core.ledger import Record, wins
from lvsguard.core.peer import Account, ServiceHealth
from lvsguard.core.peer_event import ClusterBack, ClusterLost, PeerHeard, PeerSilent

AGAIN_S: Final = 0.5
"""Pause before the next try to reach etcd."""
LEAVE_S: Final = 1.0
"""For the lease to be ended when this director stops."""
DIRECTORS: Final = "directors"
OVERRIDES: Final = "overrides"
BEAT: Final = "beat"
NAME_MAX: Final = 63
PEERS_MAX: Final = 64
TRIES: Final = 5
"""To write a record that others write as well."""
SWEPT: Final = 100
"""Old records that are deleted at one turn, a third of a lease."""
_word: Final = msgspec.json.Decoder(Word)
_encode: Final = msgspec.json.Encoder().encode


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
        self._known: dict[str, tuple[int, Record]] = {}
        """Overrides as etcd has them, by key: revision and record."""
        self._due: dict[str, Record] = {}
        self._changed = asyncio.Event()
        self._gate = Gate(emit)
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
        self._due |= {_key(record): record for record in records}
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
        async with Etcd(self._access, endpoint) as etcd:
            revision = await self._read(etcd)
            self._found()
            tasks = [
                asyncio.create_task(self._follow(etcd, revision + 1), name="etcd-watch"),
                asyncio.create_task(self._speak(etcd), name="etcd-speak"),
            ]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
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
        self._known.clear()
        before, self._pieces = self._pieces, {}
        for entry in entries:
            self._take(entry)
        for name in before.keys() - self._pieces.keys():
            self._gone(name)
        for record in self._shared.records:
            known = self._known.get(_key(record))
            if known is None or wins(record, known[1]):
                self._due[_key(record)] = record
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
                self._hear(*_named(name), peer_message.decode(entry.value))
            elif place == OVERRIDES:
                record = peer_records.record(_word.decode(entry.value))
                self._known[name] = (entry.revision, record)
                self._hear_record(record)
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
                peer.heard, peer.last = time.monotonic(), time.time()
                if message.overrides == self._shared.fingerprint:
                    self._shared.agrees(name)
                if peer.silent:
                    peer.silent, peer.since, peer.problem = False, peer.last, ""
                    self._emit(PeerHeard(name, peer.address, message.version, 0.0))
            case Services() | Digests():
                pieces[piece] = message
                _put_together(peer, pieces.values())

    def _hear_record(self, record: Record) -> None:
        peer = self._peers.get(record.stamp.director)
        refused = self._shared.take(record.stamp.director, (record,))
        if peer is not None and refused:
            peer.refused = refused
        self._changed.set()  # the fingerprint may be another one

    def _forget(self, entry: Entry) -> None:
        """A key is gone: a lease has ended, or an override was forgotten."""
        place, _, rest = entry.key.removeprefix(self._access.prefix).partition("/")
        if place == OVERRIDES:
            self._known.pop(rest, None)
            return
        with contextlib.suppress(ValueError):
            name, piece = _named(rest)
            if place == DIRECTORS and name != self._director:
                if piece == BEAT:
                    self._gone(name)
                elif (pieces := self._pieces.get(name)) is not None:
                    pieces.pop(piece, None)
                    _put_together(self._peers[name], pieces.values())

    def _gone(self, name: str) -> None:
        peer = self._peers.get(name)
        self._pieces.pop(name, None)
        if peer is not None and not peer.silent:
            peer.silent, peer.since = True, time.time()
            peer.problem = "its lease in etcd has ended"
            self._emit(PeerSilent(name, peer.address, peer.problem))

    # -- what this one tells -----------------------------------------------------------------

    async def _speak(self, etcd: Etcd) -> None:
        """Keep what this director tells under a lease, and write records that are later."""
        lease = await etcd.grant(self._lease)
        told: dict[str, bytes] = {}
        try:
            while True:
                self._changed.clear()
                if self._account is not None:
                    await self._tell(etcd, lease, told, self._account)
                await self._write(etcd)
                await self._sweep(etcd)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._lease / 3):
                        await self._changed.wait()
                if not await etcd.keep(lease):
                    lease = await etcd.grant(self._lease)
                    told.clear()
        except asyncio.CancelledError:
            with contextlib.suppress(EtcdError, TimeoutError):
                async with asyncio.timeout(LEAVE_S):
                    await etcd.revoke(lease)
            raise

    async def _tell(self, etcd: Etcd, lease: int, told: dict[str, bytes], account: Account) -> None:
        wanted = _wanted(account, self._shared.fingerprint)
        place = f"{DIRECTORS}/{self._director}/"
        for piece in told.keys() - wanted.keys():
            await etcd.drop(place + piece)
            del told[piece]
        for piece, octets in wanted.items():
            if told.get(piece) != octets:
                await etcd.put(place + piece, octets, lease)
                told[piece] = octets

    async def _write(self, etcd: Etcd) -> None:
        for key, record in list(self._due.items()):
            for _ in range(TRIES):
                revision, known = self._known.get(key, (0, None))
                if known is not None and not wins(record, known):
                    break
                octets = _encode(peer_records.word(record))
                there = await etcd.replace(f"{OVERRIDES}/{key}", octets, revision)
                if there is None:
                    break
                self._known.pop(key, None)
                if there.revision:
                    self._take(there)
            if self._due.get(key) is record:
                del self._due[key]

    async def _sweep(self, etcd: Etcd) -> None:
        """Delete what has ended so long ago that no director remembers it, some at a time."""
        now = time.time()
        old = [(k, revision) for k, (revision, r) in self._known.items() if r.stale(now)]
        for key, revision in old[:SWEPT]:
            if await etcd.replace(f"{OVERRIDES}/{key}", None, revision) is None:
                self._known.pop(key, None)


def _named(rest: str) -> tuple[str, str]:
    name, _, piece = rest.partition("/")
    if not 0 < len(name) <= NAME_MAX or not piece:
        raise ValueError("no key of a director")
    return name, piece


def _put_together(peer: Peer, pieces: Iterable[Services | Digests]) -> None:
    services: dict[str, ServiceHealth] = {}
    keys: dict[Path, str] = {}
    of: set[str] = set()
    for piece in pieces:
        match piece:
            case Services():
                services |= peer_message.healths(piece)
            case Digests():
                keys |= {tuple(one.path): one.digest for one in piece.keys}
                of.add(piece.config)
    peer.services, peer.keys = services, keys
    # While it writes the keys of another configuration both are there.
    peer.keys_of = of.pop() if len(of) == 1 else ""


def _wanted(account: Account, fingerprint: str) -> dict[str, bytes]:
    """What a director tells of itself, by the names of the pieces; the beat comes last."""
    found: dict[str, bytes] = {}
    for number, piece in enumerate(peer_message.services(account.services, None)):
        found[f"services-{number}"] = _encode(piece)
    for number, keys in enumerate(peer_message.digests(account.config, account.keys)):
        found[f"keys-{number}"] = _encode(keys)
    found[BEAT] = _encode(peer_message.beat(account, fingerprint))
    return found


def _key(record: Record) -> str:
    """The name of a record: the same on every director, and fit for a key."""
    target, kind = record.key
    text = f"{target.address} {target.port} {target.service} {kind}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]
