"""The other end of the controller's line to the VRRP process, speaking from a script.

A real socket of the real kind with the real messages; what the script leaves out does not happen.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

from lvsguard.core.config import Config
from lvsguard.core.vrrp_event import HandoverStage
from lvsguard.vrrp import message
from lvsguard.vrrp.client import VrrpClient
from lvsguard.vrrp.message import Hello, State, ToController, ToProcess

_numbers = count()


def state(name: str, role: str, master: str = "", *, held_back: bool = False) -> State:
    """How a VIP group stands."""
    return State(
        name=name,
        role=role,
        since=1e9,
        priority=150,
        master=master,
        held=(),
        held_back=held_back,
        problem="",
    )


def stage(vip: str, what: str, successor: str = "") -> ToController:
    """A word on a handover."""
    return message.told(HandoverStage(vip, what, successor))


@dataclass
class Peer:
    """Answers each message by what ``script`` gives for it."""

    script: Callable[[ToProcess], list[ToController]]
    heard: list[ToProcess] = field(default_factory=list)
    name: bytes = b""
    connection: socket.socket | None = None

    def __post_init__(self) -> None:
        self.name = b"\0lvsguard-test-%d-%d" % (os.getpid(), next(_numbers))

    def say(self, *messages: ToController) -> None:
        """Tell the controller."""
        assert self.connection is not None
        for one in messages:
            self.connection.send(message.encode(one))

    def hang_up(self) -> None:
        """Be gone."""
        assert self.connection is not None
        self.connection.shutdown(socket.SHUT_RDWR)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Answer until the end."""
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.setblocking(False)
            listener.bind(self.name)
            listener.listen(1)
            task = asyncio.create_task(self._serve(loop, listener))
            try:
                yield
            finally:
                task.cancel()
                await asyncio.wait([task])

    async def _serve(self, loop: asyncio.AbstractEventLoop, listener: socket.socket) -> None:
        self.connection, _ = await loop.sock_accept(listener)
        with self.connection:
            while packet := await loop.sock_recv(self.connection, message.PACKET_MAX):
                received = message.decode_to_process(packet)
                self.heard.append(received)
                if isinstance(received, Hello):
                    self.say(Hello(message.VERSION, os.getpid()))
                self.say(*self.script(received))


@asynccontextmanager
async def connected(peer: Peer, client: VrrpClient, config: Config) -> AsyncIterator[None]:
    """A client that has met its peer, and heard what it says of each VIP group."""
    async with peer.serving():
        client.configure(config)
        task = asyncio.create_task(client.run())
        try:
            elected = {vip.name for vip in config.vips if vip.vrrp is not None}
            for _ in range(500):
                if client.alive and client.states.keys() == elected:
                    break
                await asyncio.sleep(0.01)
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
