"""A real etcd on loopback, and directors that share by it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from lvsguard.admin.etcd import Etcd, EtcdError
from lvsguard.admin.etcd_channel import EtcdChannel
from lvsguard.core.cluster import EtcdAccess
from lvsguard.core.ledger import Record
from lvsguard.core.peer import PeerConfig
from tests.support.peer_pair import Side, places, until

MISSING = "" if shutil.which("etcd") else "etcd is not installed: tests/lab/install-deps"


@dataclass
class Server:
    """One member, with a folder of its own. ``options`` are etcd's."""

    options: tuple[str, ...] = ()
    scheme: str = "http"
    place: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="lvsguard-etcd-")))
    process: subprocess.Popen[bytes] | None = None
    name: str = "one"
    others: tuple[Server, ...] = ()
    """The other members."""

    def __post_init__(self) -> None:
        self.port, self._peer_port = _free(), _free()

    @property
    def url(self) -> str:
        """By which the other members reach it."""
        return f"http://127.0.0.1:{self._peer_port}"

    @property
    def access(self) -> EtcdAccess:
        """How to reach it."""
        return EtcdAccess((f"{self.scheme}://127.0.0.1:{self.port}",), lease=2)

    async def start(self) -> None:
        """Run it, until it answers."""
        client = f"{self.scheme}://127.0.0.1:{self.port}"
        together = ",".join(f"{one.name}={one.url}" for one in (self, *self.others))
        command = [
            "etcd", "--name", self.name, "--data-dir", str(self.place / "data"),
            "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", self.url, "--initial-advertise-peer-urls", self.url,
            "--initial-cluster", together, "--log-level", "error", *self.options,
        ]  # fmt: skip
        log = (self.place / "log").open("ab")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ETCD")}
        with log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    async def answers(self, access: EtcdAccess) -> None:
        """Wait until it does."""
        begun = time.monotonic()
        while True:
            try:
                async with Etcd(access, access.endpoints[0]) as etcd:
                    await etcd.read()
                    return
            except EtcdError as error:
                if time.monotonic() - begun > 30:
                    raise AssertionError(f"{error}: {(self.place / 'log').read_text()}") from None
            await asyncio.sleep(0.1)

    def kill(self) -> None:
        """As by a power loss."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def run(self, *arguments: str) -> None:
        """etcdctl."""
        endpoint = f"{self.scheme}://127.0.0.1:{self.port}"
        subprocess.run(
            ["etcdctl", "--endpoints", endpoint, *arguments],
            check=True, capture_output=True, timeout=30, env={**os.environ, "ETCDCTL_API": "3"},
        )  # fmt: skip


@contextlib.asynccontextmanager
async def server(*options: str, known: EtcdAccess | None = None) -> AsyncIterator[Server]:
    """One that runs, and is gone afterwards. ``known``: how to speak to one with TLS."""
    made = Server(options, "https" if known else "http")
    try:
        await made.start()
        access = replace(known, endpoints=made.access.endpoints) if known else made.access
        await made.answers(access)
        yield made
    finally:
        made.kill()
        shutil.rmtree(made.place, ignore_errors=True)


@contextlib.asynccontextmanager
async def cluster(*names: str) -> AsyncIterator[list[Server]]:
    """Members that are one etcd, and are gone afterwards."""
    made = [Server(name=name) for name in names]
    for one in made:
        one.others = tuple(other for other in made if other is not one)
    try:
        for one in made:
            await one.start()
        for one in made:
            await one.answers(one.access)
        yield made
    finally:
        for one in made:
            one.kill()
            shutil.rmtree(one.place, ignore_errors=True)


@contextlib.asynccontextmanager
async def slowed(behind: Server, seconds: float) -> AsyncIterator[EtcdAccess]:
    """A way to it on which each transaction takes so long."""
    async with aiohttp.ClientSession() as session:

        async def forward(request: web.Request) -> web.StreamResponse:
            if request.path == "/v3/kv/txn":
                await asyncio.sleep(seconds)
            url = f"{behind.access.endpoints[0]}{request.path}"
            async with session.post(url, data=await request.read()) as answer:
                reply = web.StreamResponse(status=answer.status)
                await reply.prepare(request)
                async for piece in answer.content.iter_any():
                    await reply.write(piece)
                return reply

        app = web.Application()
        app.router.add_post("/{path:.*}", forward)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            port = runner.addresses[0][1]
            yield replace(behind.access, endpoints=(f"http://127.0.0.1:{port}",))
        finally:
            await runner.cleanup()


@contextlib.asynccontextmanager
async def impatient(behind: Server, seconds: float) -> AsyncIterator[EtcdAccess]:
    """A way to it, such as a load balancer is, that ends each watch after so long."""

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(65536):
                if b"/v3/watch" in piece:
                    asyncio.get_running_loop().call_later(seconds, writer.transport.abort)
                writer.write(piece)
                await writer.drain()
        writer.transport.abort()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, onward = await asyncio.open_connection("127.0.0.1", behind.port)
        await asyncio.gather(pipe(reader, onward), pipe(there, writer))

    relaying = await asyncio.start_server(relay, "127.0.0.1", 0)
    try:
        port = relaying.sockets[0].getsockname()[1]
        yield replace(behind.access, endpoints=(f"http://127.0.0.1:{port}",))
    finally:
        relaying.close()


class Member(Side):
    """A director's end, by way of etcd."""

    def __init__(self, name: str, access: EtcdAccess) -> None:
        (place,) = places(1)
        super().__init__(name, PeerConfig(place, 0, ()))
        self.by_etcd = EtcdChannel(name, self, self.events.append, access)

    def share(self, records: Iterable[Record]) -> None:
        """Tell what was decided here."""
        self.by_etcd.news(records)

    def _works(self) -> tuple[Coroutine[Any, Any, None], ...]:
        return self.by_etcd.run(), self._tell(self.by_etcd.tell)


def members(access: EtcdAccess, *names: str) -> list[Member]:
    """Directors that share an etcd."""
    return [Member(name, replace(access)) for name in names]


async def agreed(*all_of_them: Member, within_s: float = 10) -> None:
    """Wait until all hold the same."""
    await until(lambda: len({one.fingerprint for one in all_of_them}) == 1, "they agree", within_s)


def _free() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
