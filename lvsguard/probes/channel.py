"""The socket between the controller's side and a prober process: frames in, frames out.

It knows frames and flow control, not what the messages mean.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from lvsguard.probes.message import MessageError, ToController, ToProber, encode, take_frames


class Channel(asyncio.Protocol):
    """One end. ``lost`` completes with None when the other end closed, or with what went wrong."""

    def __init__(
        self, take: Callable[[bytes], None], resumed: Callable[[], None] = lambda: None
    ) -> None:
        """Args: take: gets each frame; a ``MessageError`` out of it ends the channel. resumed: is
        called when the other end keeps up again."""
        self._take = take
        self._resumed = resumed
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._clear = asyncio.Event()
        self._clear.set()
        self.lost: asyncio.Future[MessageError | OSError | None]
        self.lost = asyncio.get_running_loop().create_future()

    @classmethod
    async def on(
        cls,
        sock: socket.socket,
        take: Callable[[bytes], None],
        resumed: Callable[[], None] = lambda: None,
    ) -> Channel:
        """Open a channel on a connected socket, which it owns from then on."""
        channel = cls(take, resumed)
        await asyncio.get_running_loop().create_unix_connection(lambda: channel, sock=sock)
        return channel

    @property
    def clear(self) -> bool:
        """Whether the other end keeps up; while it does not, what can wait had better wait."""
        return self._clear.is_set()

    def send(self, message: ToProber | ToController) -> None:
        """Send a message; once the channel is lost it goes nowhere."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode(message))

    async def drain(self) -> None:
        """Wait until the other end keeps up, or is lost."""
        await self._clear.wait()

    def close(self) -> None:
        """Close this end."""
        if self._transport is not None:
            self._transport.abort()

    # -- asyncio.Protocol ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio.Protocol``."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a channel needs a stream")
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        self._buffer += data
        try:
            for frame in take_frames(self._buffer):
                self._take(frame)
        except MessageError as error:
            self._lose(error)
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.Protocol``."""
        self._clear.set()
        self._lose(exc if isinstance(exc, OSError) else None)

    def pause_writing(self) -> None:
        """See ``asyncio.Protocol``."""
        self._clear.clear()

    def resume_writing(self) -> None:
        """See ``asyncio.Protocol``."""
        self._clear.set()
        self._resumed()

    def _lose(self, error: MessageError | OSError | None) -> None:
        if not self.lost.done():
            self.lost.set_result(error)
