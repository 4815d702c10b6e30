"""What the daemon's HTTP servers share: bounded connections, and work in slices.

It knows no resource and no answer; those belong to the admin and telemetry rooms.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter

from aiohttp import web

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Garbled = Callable[[str], web.Response]
"""The answer (400) to what is no HTTP, from what is wrong with it."""

LINE_BYTES = 4096
"""Longest request line and longest header."""

SLICE_SECONDS = 0.003
"""A sleeping task takes up to three turns of the loop to run again: so about 10 ms late."""

_REFUSAL_SECONDS = 0.2
_WRONG_CHARACTERS = 120
_BUSY_TEXT = b"too many connections: try again in a few moments"
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_BUSY_TEXT), _BUSY_TEXT)
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one server and one connection may take. Times are seconds."""

    connections: int = 64
    lifetime: float = 60.0
    """Of a connection, whatever it does."""
    header: float = 5.0
    """From the connection to the end of the request's header."""
    body: float = 5.0
    """From the header to the end of the body."""
    write: float = 10.0
    """How long a reader may make one write wait."""


class BoundedServer(web.Server):
    """aiohttp's low-level server with a limit on connections and on the time of each.

    Give ``admit`` to the loop. One request a connection: answers must be ``force_close``d. The
    lifetime ends a connection whatever it does: a peer that does nothing cannot hold it.
    """

    def __init__(
        self,
        handler: Handler,
        bounds: Bounds,
        garbled: Garbled | None = None,
        *,
        crowd: Callable[[], None] = lambda: None,
    ) -> None:
        """``crowd`` is told of each connection that is sent away because there are too many."""
        self.garbled = _plain if garbled is None else garbled
        super().__init__(
            handler,
            keepalive_timeout=bounds.header,
            max_line_size=LINE_BYTES,
            max_field_size=LINE_BYTES,
            lingering_time=1.0,
            auto_decompress=False,
            access_log=None,
        )
        self.bounds = bounds
        self._crowd = crowd
        self._deadlines: dict[web.RequestHandler, asyncio.TimerHandle] = {}

    def admit(self) -> asyncio.Protocol:
        """The protocol of a new connection: aiohttp's, or a refusal when there are too many."""
        if len(self._deadlines) >= self.bounds.connections:
            self._crowd()
            return _Refusal()
        return self()

    def __call__(self) -> web.RequestHandler:
        """The protocol of a new connection (aiohttp calls this too)."""
        return _Protocol(self, loop=asyncio.get_running_loop(), **self._kwargs)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Count a connection (aiohttp calls this)."""
        super().connection_made(handler, transport)
        loop = asyncio.get_running_loop()
        self._deadlines[handler] = loop.call_later(self.bounds.lifetime, transport.abort)

    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        """Forget a connection (aiohttp calls this)."""
        super().connection_lost(handler, exc)
        if (deadline := self._deadlines.pop(handler, None)) is not None:
            deadline.cancel()

    def unlimited(self, request: web.BaseRequest) -> None:
        """Let this request's connection live on: its handler bounds every write itself."""
        if (deadline := self._deadlines.get(request.protocol)) is not None:
            deadline.cancel()


class _Protocol(web.RequestHandler):
    """aiohttp's, less the traceback in the log for every request that is no HTTP."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a request that could not be read; a mistake of the server's own stays loud."""
        if status != 400 or not isinstance(self._manager, BoundedServer):
            return super().handle_error(request, status, exc, message)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is on its way already")
        first = (message or str(exc)).strip().splitlines()
        response = self._manager.garbled(first[0][:_WRONG_CHARACTERS] if first else "no HTTP")
        response.force_close()
        return response


def _plain(wrong: str) -> web.Response:
    return web.Response(status=400, text=wrong)


class _Refusal(asyncio.Protocol):
    """Says no, and leaves the peer a moment to read it: closing over unread bytes is a reset."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.write(_BUSY)
            transport.write_eof()
            asyncio.get_running_loop().call_later(_REFUSAL_SECONDS, transport.abort)


class Slices:
    """Work cut into slices, so that the loop is never blocked for much longer than one.

    Between two small portions of work: ``if slices.due(): await slices.rest()``. ``clock`` may
    count this thread's own time instead, where others' load is not to be measured.
    """

    def __init__(
        self, seconds: float = SLICE_SECONDS, clock: Callable[[], float] = perf_counter
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._began = clock()
        self.longest = 0.0
        """Seconds of the longest slice so far."""
        self.count = 0
        self._asked = 0

    def due(self) -> bool:
        """Whether this slice has lasted long enough. Asked for every small portion, it looks at
        the clock for every eighth: where that is a system call it would be most of the work."""
        self._asked += 1
        return self._asked % 8 == 0 and self._clock() - self._began >= self._seconds

    async def rest(self) -> None:
        """End the slice, give the loop a turn, begin the next."""
        self.end()
        await asyncio.sleep(0)
        self.begin()

    def end(self) -> None:
        """End the slice; call it before any other await, so that waiting is not counted."""
        self.longest = max(self.longest, self._clock() - self._began)
        self.count += 1

    def begin(self) -> None:
        """Begin a slice after waiting for something."""
        self._began = self._clock()
