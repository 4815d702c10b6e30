"""The admin server: HTTP on a unix socket, bounded in time, size and number of connections.

It turns requests into calls of ``api`` and answers into bytes; it decides and keeps nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path

import msgspec
from aiohttp import web

from lvsguard.admin.api import Api
from lvsguard.admin.call import Answer, Call, Refusal, Stream, refuse
from lvsguard.admin.caller import Callers
from lvsguard.admin.door import Door
from lvsguard.admin.misuse import MISUSE, Misuse
from lvsguard.admin.operations import Operations
from lvsguard.admin.protocol import Failure
from lvsguard.kernel.port import KernelError
from lvsguard.serving import BoundedServer, Bounds

BOUNDS = Bounds()
FOLLOWERS = 32
"""Event streams at once; the other connections stay free for commands."""
CLOSE_SECONDS = 2.0

log = logging.getLogger(__name__)


class AdminServer:
    """Listens on a unix socket and answers with the daemon's operations."""

    def __init__(
        self,
        operations: Operations,
        path: Path,
        group: str,
        *,
        bounds: Bounds = BOUNDS,
        followers: int = FOLLOWERS,
    ) -> None:
        self._path = path
        self._group = group
        self._bounds = bounds
        self._places = followers
        self._api = Api(operations)
        self._callers = Callers()
        self._misuse = Misuse()
        self._followers = 0
        self._closing = False
        self._door: Door | None = None
        self._http: BoundedServer | None = None
        self._listener: asyncio.Server | None = None

    async def run(self) -> None:
        """Answer until cancelled. Raises SocketTaken."""
        await self.open()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await self.close()

    async def open(self) -> None:
        """Start to answer. Raises SocketTaken."""
        self._door = Door(self._path, self._group)
        self._http = BoundedServer(self._handle, self._bounds, crowd=self._misuse.crowd)
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_unix_server(self._http.admit, sock=self._door.socket)

    async def close(self) -> None:
        """Stop to answer; what is being answered has a moment to end."""
        self._closing = True
        self._api.close()
        if self._listener is not None:
            self._listener.close()
        if self._http is not None:
            self._http.pre_shutdown()
            await self._http.shutdown(CLOSE_SECONDS)
        if self._door is not None:
            self._door.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            answer = await self._answer(request)
            if isinstance(answer, Stream):
                return await self._send(request, answer)
            return _response(200, msgspec.json.encode(answer))
        except Refusal as refusal:
            if refusal.failure.code in MISUSE:
                what = f"{request.method} {request.path[:100]}"
                self._misuse.tell(await self._name(request), what, refusal.failure.error)
            return _refused(refusal)
        except KernelError as error:
            return _refused(refuse(500, "failed", str(error)))
        except Exception:
            log.exception(
                "admin: %s %s failed: this is a bug, please report it", request.method, request.path
            )
            return _refused(refuse(500, "failed", "lvsguard made a mistake: its log tells more"))

    async def _answer(self, request: web.BaseRequest) -> Answer:
        resource = self._api.routes.get((request.method, request.path))
        if resource is None:
            raise self._unknown(request)
        return await resource(
            Call(
                query=request.query,
                body=lambda limit: _body(request, limit, self._bounds.body),
                actor=lambda: self._actor(request),
                gone=lambda: self._gone(request),
            )
        )

    def _gone(self, request: web.BaseRequest) -> bool:
        return self._closing or request.transport is None or request.transport.is_closing()

    def _unknown(self, request: web.BaseRequest) -> Refusal:
        methods = sorted(m for m, path in self._api.routes if path == request.path)
        if methods:
            return refuse(405, "bad-method", f"use {' or '.join(methods)}")
        known = sorted({path for _, path in self._api.routes})
        error = "no such resource: is this client made for another version?"
        return Refusal(404, Failure(code="not-found", error=error, known=known))

    async def _actor(self, request: web.BaseRequest) -> str:
        connection = (
            None if request.transport is None else request.transport.get_extra_info("socket")
        )
        if connection is None:
            raise refuse(400, "bad-request", "the connection is gone")
        return await self._callers.actor(connection)

    async def _name(self, request: web.BaseRequest) -> str:
        """The actor, or that nobody knows who it was."""
        try:
            return await self._actor(request)
        except Refusal:
            return "somebody"

    async def _send(self, request: web.BaseRequest, stream: Stream) -> web.StreamResponse:
        if not stream.endless:
            return await _stream(request, stream, self._bounds.write)
        if self._followers >= self._places:
            raise refuse(503, "busy", f"{self._places} event streams are open: close one of them")
        self._followers += 1
        try:
            if self._http is not None:
                self._http.unlimited(request)
            return await _stream(request, stream, self._bounds.write)
        finally:
            self._followers -= 1


async def _body(request: web.BaseRequest, limit: int, seconds: float) -> bytes:
    """The whole body. Raises Refusal when it is too long, or too slow."""
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > limit:
                    if request.transport is not None:
                        # Until the answer is read the rest is thrown away, 600 MB in a second.
                        request.transport.pause_reading()
                    raise refuse(413, "too-large", f"body: at most {limit} bytes")
    except TimeoutError:
        raise refuse(408, "too-slow", f"body: send it within {seconds:g} s") from None
    except web.RequestPayloadError as error:
        raise refuse(400, "bad-request", f"body: {error}") from None
    return bytes(body)


async def _stream(request: web.BaseRequest, stream: Stream, seconds: float) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": stream.content_type})
    response.force_close()
    try:
        async with asyncio.timeout(seconds):
            await response.prepare(request)
        async with contextlib.aclosing(stream.pieces) as pieces:
            async for piece in pieces:
                async with asyncio.timeout(seconds):
                    await response.write(piece)
    except TimeoutError:
        # The reader is stuck; an orderly end would wait for him too.
        if request.transport is not None:
            request.transport.abort()
    except ConnectionError:
        pass
    return response


def _response(status: int, body: bytes) -> web.Response:
    response = web.Response(status=status, body=body, content_type="application/json")
    response.force_close()
    return response


def _refused(refusal: Refusal) -> web.Response:
    return _response(refusal.status, msgspec.json.encode(refusal.failure))
