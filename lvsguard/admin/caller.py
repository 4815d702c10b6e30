"""Who is at the other end of the admin socket, told by the kernel (SO_PEERCRED, unix(7))."""

from __future__ import annotations

import asyncio
import pwd
import socket
import struct

NAME_SECONDS = 1.0
"""How long a name service may take; afterwards the number alone must do."""

_CREDENTIALS = struct.Struct("iII")
"""struct ucred: pid, uid, gid."""


class Callers:
    """Names of users; looked up beside the loop, since a name service may be slow."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}

    async def actor(self, connection: socket.socket) -> str:
        """The peer, such as ``alice (uid 1000)``; ``uid 1000`` when it has no name."""
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _, uid, _ = _CREDENTIALS.unpack(raw)
        if uid not in self._names:
            try:
                async with asyncio.timeout(NAME_SECONDS):
                    entry = await asyncio.to_thread(pwd.getpwuid, uid)
            except (KeyError, TimeoutError):
                return f"uid {uid}"
            self._names[uid] = entry.pw_name
        return f"{self._names[uid]} (uid {uid})"
