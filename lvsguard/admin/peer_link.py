"""One connection between two directors: TLS 1.3 on which both have shown the credential, and
messages over it, bounded in size, rate and time.

Whoever cannot show it is cut off before anything that it says is read.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Iterable
from typing import Final

from lvsguard.admin import peer_message
from lvsguard.admin.peer_message import Message, MessageError
from lvsguard.core.model import IPAddress
from lvsguard.credential import Credential

CONNECT_S: Final = 0.8
"""Short, for a lost SYN is repeated after 1 s only, and a link that was cut is to be tried at once
when it heals."""
HANDSHAKE_S: Final = 3.0
SILENCE_S: Final = 3.0
"""For a whole message to come, or to go. A director speaks each second."""
RATE: Final = 100
"""Messages a second that are read; the others wait in the sender's way."""
BUFFER: Final = 64 * 1024
CLOSE_S: Final = 0.5


class LinkError(Exception):
    """The connection is of no use (any more). ``str()`` says why."""


class Refused(LinkError):
    """The other end is not one that this director talks to."""


class TooSlow(Refused):
    """It has begun a message and not ended it: an attacker, or a network that was cut just then."""


class Link:
    """A connection whose other end has shown the credential."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str
    ) -> None:
        self.address = address
        """Of the other end."""
        self._reader = reader
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._window = self._loop.time()
        self._read = 0

    async def send(self, messages: Iterable[Message]) -> None:
        """Say something. Raises LinkError when the other end does not take it in time."""
        try:
            for message in messages:
                async with asyncio.timeout(SILENCE_S):
                    self._writer.write(peer_message.encode(message))
                    await self._writer.drain()
                await asyncio.sleep(
                    0
                )  # a drain may not wait, and thousands of services take a while
        except TimeoutError:
            raise LinkError(f"it takes in nothing for {SILENCE_S:g} s") from None
        except (OSError, RuntimeError) as error:
            raise LinkError(_why(error)) from None

    async def receive(self) -> Message:
        """The next message. Raises LinkError, Refused for one that makes no sense or does not
        end."""
        await self._pace()
        begun = False
        try:
            async with asyncio.timeout(SILENCE_S):
                head = await self._reader.readexactly(1)
                begun = True
                octets = peer_message.length(head + await self._reader.readexactly(3))
                body = await self._reader.readexactly(octets)
            await asyncio.sleep(0)  # what has come already does not wait
            return peer_message.decode(body)
        except TimeoutError:
            if begun:
                raise TooSlow(f"a message of it did not end within {SILENCE_S:g} s") from None
            raise LinkError(f"no message of it within {SILENCE_S:g} s") from None
        except asyncio.IncompleteReadError:
            raise LinkError("it has closed the connection") from None
        except ssl.SSLError as error:
            raise Refused(_why(error)) from None
        except OSError as error:
            raise LinkError(_why(error)) from None
        except MessageError as error:
            raise Refused(str(error)) from None

    async def _pace(self) -> None:
        now = self._loop.time()
        if now - self._window >= 1.0:
            self._window, self._read = now, 0
        self._read += 1
        if self._read > RATE:
            await asyncio.sleep(self._window + 1.0 - now)

    async def close(self) -> None:
        """Give it back; what is on its way is not waited for."""
        self._writer.transport.abort()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                # All who wait for it wait for one future, which none may cancel for the others.
                await asyncio.shield(self._writer.wait_closed())


async def dial(address: IPAddress, port: int, own: IPAddress, credential: Credential) -> Link:
    """Connect from this director's own address. Raises LinkError."""
    loop = asyncio.get_running_loop()
    sock = socket.socket(_family(address), socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.bind((str(own), 0))
        async with asyncio.timeout(CONNECT_S):
            await loop.sock_connect(sock, (str(address), port))
        return await _secure(sock, str(address), credential, server=False)
    except TimeoutError:
        sock.close()
        raise LinkError(f"no connection to port {port} within {CONNECT_S:g} s") from None
    except OSError as error:
        sock.close()
        raise LinkError(_why(error)) from None
    except BaseException:
        sock.close()
        raise


async def welcome(sock: socket.socket, address: str, credential: Credential) -> Link:
    """Take an accepted connection. Raises LinkError; Refused for one without the credential."""
    try:
        return await _secure(sock, address, credential, server=True)
    except BaseException:
        sock.close()
        raise


async def _secure(
    sock: socket.socket, address: str, credential: Credential, *, server: bool
) -> Link:
    loop = asyncio.get_running_loop()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    reader = asyncio.StreamReader(limit=BUFFER)
    protocol = asyncio.StreamReaderProtocol(reader)
    context = credential.server if server else credential.client
    try:
        if server:
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol, sock, ssl=context, ssl_handshake_timeout=HANDSHAKE_S
            )
        else:
            transport, _ = await loop.create_connection(
                lambda: protocol,
                sock=sock,
                ssl=context,
                server_hostname="",
                ssl_handshake_timeout=HANDSHAKE_S,
            )
    except ssl.SSLError as error:
        raise Refused(_why(error)) from None
    except OSError as error:
        raise LinkError(_why(error)) from None
    writer = asyncio.StreamWriter(transport, protocol, reader, loop)
    link = Link(reader, writer, address)
    if not credential.shown_by(transport.get_extra_info("ssl_object")):
        await link.close()
        raise Refused("it has shown another certificate")
    return link


def listening(address: IPAddress, port: int) -> socket.socket:
    """A socket to accept on. Raises OSError."""
    sock = socket.socket(_family(address), socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((str(address), port))
        sock.listen(8)
    except BaseException:
        sock.close()
        raise
    return sock


def _family(address: IPAddress) -> socket.AddressFamily:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


def _why(error: BaseException) -> str:
    """One line, without Python's and OpenSSL's numbers."""
    if isinstance(error, ssl.SSLError) and error.reason:
        words = error.reason.lower().replace("_", " ")
        return f"TLS: {words}"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__
