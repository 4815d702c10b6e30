"""The admin server: HTTP on a unix socket and, if wanted, over TLS.

Bounded in time, size and number of connections. It decides and keeps nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from lvsguard.admin.bounds import BOUNDS, FOLLOWERS, REMOTE_BOUNDS
from lvsguard.admin.call import refuse
from lvsguard.admin.caller import Callers
from lvsguard.admin.door import Door
from lvsguard.admin.front import Caller, Front, garbled
from lvsguard.admin.operations import Operations
from lvsguard.admin.remote import RemoteDoor
from lvsguard.core.event import Event
from lvsguard.core.remote import RemoteConfig
from lvsguard.serving import BoundedServer, Bounds

CLOSE_SECONDS = 2.0


class AdminServer:
    """Answers with the daemon's operations."""

    def __init__(
        self,
        operations: Operations,
        path: Path,
        group: str,
        *,
        emit: Callable[[Event], None] = lambda event: None,
        bounds: Bounds = BOUNDS,
        remote_bounds: Bounds = REMOTE_BOUNDS,
        followers: int = FOLLOWERS,
    ) -> None:
        self._path = path
        self._group = group
        self._bounds = bounds
        self._front = Front(operations, followers)
        self._callers = Callers()
        self._door: Door | None = None
        self._http: BoundedServer | None = None
        self._listener: asyncio.Server | None = None
        self._remote = RemoteDoor(self._front, emit, remote_bounds)

    @property
    def trouble(self) -> str:
        """Why nobody can ask from afar though that is configured; empty: all is well."""
        return self._remote.trouble

    def configure(self, remote: RemoteConfig | None) -> None:
        """Whether, where and for whom to answer from afar."""
        self._remote.configure(remote)

    async def run(self) -> None:
        """Answer until cancelled. Raises SocketTaken."""
        await self.open()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await self.close()

    async def serve_remote(self) -> None:
        """Answer from afar, where that is configured, until cancelled."""
        await self._remote.run()

    async def open(self) -> None:
        """Start to answer. Raises SocketTaken."""
        self._door = Door(self._path, self._group)
        crowd = self._front.misuse.crowd
        self._http = BoundedServer(self._handle, self._bounds, garbled, crowd=crowd)
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_unix_server(self._http.admit, sock=self._door.socket)

    async def close(self) -> None:
        """Stop to answer; what is being answered has a moment to end."""
        self._front.close()
        if self._listener is not None:
            self._listener.close()
        if self._http is not None:
            self._http.pre_shutdown()
            await self._http.shutdown(CLOSE_SECONDS)
        if self._door is not None:
            self._door.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        assert self._http is not None  # noqa: S101 - it is who calls
        return await self._front.handle(request, Caller(lambda: self._actor(request)), self._http)

    async def _actor(self, request: web.BaseRequest) -> str:
        connection = (
            None if request.transport is None else request.transport.get_extra_info("socket")
        )
        if connection is None:
            raise refuse(400, "bad-request", "the connection is gone")
        return await self._callers.actor(connection)
