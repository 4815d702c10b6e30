"""Who connects to a listening socket, one after the other."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

_AGAIN_S = 0.1


async def callers(listener: socket.socket) -> AsyncIterator[tuple[socket.socket, str]]:
    """Each accepted connection and the address that it comes from, without an end.

    An accept that fails is tried again: the caller has gone, or there is no descriptor left.
    """
    loop = asyncio.get_running_loop()
    while True:
        try:
            accepted, where = await loop.sock_accept(listener)
        except OSError:
            await asyncio.sleep(_AGAIN_S)
            continue
        yield accepted, str(where[0])
        await asyncio.sleep(0)  # accepting does not yield while somebody waits
