"""Directors that talk to each other over loopback, each with addresses of its own test."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address
from typing import Any, Self

from lvsguard.admin.peer_channel import PeerChannel
from lvsguard.core.event import Event
from lvsguard.core.ledger import Ledger, Outcome, Record
from lvsguard.core.override import Override, OverrideKind, Target
from lvsguard.core.peer import Account, PeerConfig, ServiceHealth
from lvsguard.credential import Credential, create

PORT = 8850
ACCOUNT = Account("0.1.0", "0123456789ab", programmed=True)
_turn = itertools.count()


@functools.cache
def credential() -> bytes:
    """One for the whole run."""
    return create()


@functools.cache
def foreign() -> bytes:
    """Another one."""
    return create()


def places(count: int) -> list[IPv4Address]:
    """Addresses of loopback that no other test has, in this process or another."""
    own = (os.getpid() & 0x3FFF) << 8 | (next(_turn) * 4) & 0xFF
    return [IPv4Address(int(IPv4Address("127.64.0.0")) + own + n) for n in range(count)]


def seen(**healthy: int) -> dict[str, ServiceHealth]:
    """Services with two realservers each, so many of them healthy."""
    return {name: ServiceHealth(count, 0, 2, count) for name, count in healthy.items()}


@dataclass
class Side:
    """One director's end."""

    name: str
    config: PeerConfig
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.name)
        self.channel = PeerChannel(self.name, self, self.events.append)
        self.channel.configure(self.config)
        self.account = ACCOUNT

    # -- the overrides that directors share (``peer_session.Shared``) ------------------------

    @property
    def fingerprint(self) -> str:
        """Of the ledger."""
        return self.ledger.fingerprint

    @property
    def records(self) -> tuple[Record, ...]:
        """Of the ledger."""
        return self.ledger.records

    def take(self, peer: str, records: Iterable[Record]) -> str:
        """Merge; what clocks forbid is refused."""
        outcomes = [self.ledger.merge(record, time.time()) for record in records]
        return "its clock is ahead" if Outcome.AHEAD in outcomes else ""

    def agrees(self, peer: str) -> None:
        """It holds the same."""

    def drain(self, address: str, reason: str = "") -> None:
        """Drain a realserver, and tell it."""
        target, now = Target(ip_address(address)), time.time()
        record = self.ledger.write(Override(target, OverrideKind.DRAIN, "alice", now, reason), now)
        assert record is not None
        self.channel.news((record,))

    def undrain(self, address: str, reason: str = "") -> None:
        """End that, and tell it."""
        key = Target(ip_address(address)), OverrideKind.DRAIN
        record = self.ledger.end(key, "bob", time.time(), reason)
        assert record is not None
        self.channel.news((record,))

    @property
    def drained(self) -> set[str]:
        """Addresses that are drained, as this side knows it."""
        return {str(one.target) for one in self.ledger.in_force(time.time())}

    def say(self, account: Account) -> None:
        """Tell this of oneself from now on."""
        self.account = account

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """The channel, and whoever tells it several times a second."""
        tasks = [asyncio.create_task(work) for work in self._works()]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            wrong = [e for e in ended if not isinstance(e, asyncio.CancelledError)]
            assert not wrong, wrong

    def _works(self) -> tuple[Coroutine[Any, Any, None], ...]:
        return self.channel.run(), self._tell(self.channel.tell)

    async def _tell(self, to: Callable[[Account], None]) -> None:
        while True:
            to(self.account)
            await asyncio.sleep(0.02)

    def told(self, kind: str) -> list[str]:
        """The texts of events of one kind."""
        return [str(event) for event in self.events if event.kind == kind]


def sides(*names: str, pem: bytes = b"") -> list[Side]:
    """Directors that know each other."""
    where = dict(zip(names, places(len(names)), strict=True))
    return [
        Side(
            name,
            PeerConfig(
                where[name],
                PORT,
                tuple((n, a) for n, a in where.items() if n != name),
                pem or credential(),
            ),
        )
        for name in names
    ]


async def until(condition: Callable[[], object], what: str, within_s: float = 10) -> None:
    """Wait for what must become true."""
    try:
        async with asyncio.timeout(within_s):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not within {within_s:g} s: {what}") from None


async def raw(side: Side, own: object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A plain connection to a side, from an address."""
    return await asyncio.open_connection(
        str(side.config.address), PORT, local_addr=(str(ip_address(str(own))), 0)
    )


async def secured(
    side: Side, own: object, pem: bytes, buffer: int = 0
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection with TLS and a credential; ``buffer``: octets that the kernel keeps for it."""
    sock = socket.socket()
    if buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    sock.setblocking(False)
    sock.bind((str(own), 0))
    try:
        await asyncio.get_running_loop().sock_connect(sock, (str(side.config.address), PORT))
        return await asyncio.open_connection(sock=sock, ssl=trusting(pem), server_hostname="")
    except BaseException:
        sock.close()
        raise


def trusting(pem: bytes) -> ssl.SSLContext:
    """Shows this credential, and believes anybody: an attacker's."""
    context = Credential(pem).client
    context.verify_mode = ssl.CERT_NONE
    return context
