"""/metrics, /healthz, /readyz and the status page over HTTP: GET only, bounded, and never the
daemon's end.

What is answered comes from ``metrics``, ``health`` and ``page``; this listens and sends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time

from aiohttp import web

from lvsguard.core.snapshot import View
from lvsguard.serving import BoundedServer, Bounds
from lvsguard.telemetry import health
from lvsguard.telemetry.exposition import chosen
from lvsguard.telemetry.health import Judgement
from lvsguard.telemetry.metrics import Metrics
from lvsguard.telemetry.page import PATHS, STREAM, Full, StatusPage

BOUNDS = Bounds(lifetime=30.0)
EXPOSITIONS = 2
"""Expositions made at once; each holds its text in memory."""
RETRY_SECONDS = (1.0, 30.0)
"""First and longest pause between two tries to listen."""
CLOSE_SECONDS = 1.0

_HEALTH = ("/healthz", "/readyz")
_PATHS = ("/metrics", *_HEALTH)

log = logging.getLogger(__name__)


class TelemetryServer:
    """Serves a view and the metrics."""

    def __init__(
        self,
        view: View,
        metrics: Metrics,
        host: str,
        port: int,
        *,
        page: StatusPage | None = None,
        bounds: Bounds = BOUNDS,
    ) -> None:
        """``page`` is served, too; None: it is turned off."""
        self._view = view
        self._metrics = metrics
        self._address = (host, port)
        self._page = page
        self._paths = _PATHS if page is None else (*_PATHS, *PATHS)
        self._bounds = bounds
        self._http: BoundedServer | None = None
        self._expositions = asyncio.Semaphore(EXPOSITIONS)
        self.listening = asyncio.Event()
        """Set while it listens."""
        self.port = port
        """The port it listens on; differs from the configured one when that is 0."""

    async def run(self) -> None:
        """Serve until cancelled. A port that cannot be had is told and tried again."""
        self._http = http = BoundedServer(self._handle, self._bounds)
        listener = await self._listen(http)
        self.port = listener.sockets[0].getsockname()[1]
        self.listening.set()
        try:
            if self._page is not None:
                await self._page.board.run()
            await asyncio.get_running_loop().create_future()
        finally:
            self.listening.clear()
            listener.close()
            http.pre_shutdown()
            await http.shutdown(CLOSE_SECONDS)

    async def _listen(self, http: BoundedServer) -> asyncio.Server:
        host, port = self._address
        pause, told = RETRY_SECONDS[0], False
        while True:
            try:
                listener = await asyncio.get_running_loop().create_server(http.admit, host, port)
            except OSError as error:
                if not told:
                    log.error(
                        "no metrics: cannot listen on %s port %d: %s: free it, or set another "
                        "[telemetry] listen; trying again",
                        host,
                        port,
                        error.strerror or error,
                    )
                told = True
                await asyncio.sleep(pause)
                pause = min(pause * 2, RETRY_SECONDS[1])
                continue
            if told:
                log.warning("metrics: listening on %s port %d now", host, port)
            return listener

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path not in self._paths:
            return _answer(404, {"ok": False, "reasons": [f"there is {' '.join(self._paths)}"]})
        allowed = ("GET", "HEAD") if request.path in _HEALTH else ("GET",)
        if request.method not in allowed:
            use = ", ".join(allowed)
            return _answer(405, {"ok": False, "reasons": [f"use {use}"]}, {"Allow": use})
        if request.path == "/metrics":
            return await self._exposition(request)
        if request.path == "/healthz":
            return _judged(health.alive(self._view, self._metrics.election, time.time()))
        if self._page is not None and request.path in PATHS:
            return await self._shown(self._page, request)
        peers = "peers" in request.query
        return _judged(
            await health.ready(self._view, self._metrics.election, time.time(), peers=peers)
        )

    async def _shown(self, page: StatusPage, request: web.BaseRequest) -> web.StreamResponse:
        if request.path != STREAM or self._http is None:
            return page.file(request.path)
        try:
            return await page.stream(request, self._http, self._bounds.write)
        except Full:
            reason = "as many status pages are open as may be: close one, or wait"
            return _answer(503, {"ok": False, "reasons": [reason]}, {"Retry-After": "10"})

    async def _exposition(self, request: web.BaseRequest) -> web.StreamResponse:
        form = chosen(", ".join(request.headers.getall("Accept", ())))
        response = web.StreamResponse(headers={"Content-Type": form, "Vary": "Accept"})
        response.force_close()
        async with self._expositions:
            # A reader who stays away is the end of the connection, not of this.
            try:
                await response.prepare(request)
                async with contextlib.aclosing(
                    self._metrics.render(self._view, form=form)
                ) as pieces:
                    async for piece in pieces:
                        async with asyncio.timeout(self._bounds.write):
                            await response.write(piece)
            except TimeoutError:
                if request.transport is not None:
                    request.transport.abort()  # an orderly end would wait for him, too
            except ConnectionError:
                pass
        return response


def _judged(judgement: Judgement) -> web.Response:
    body = {"ok": judgement.ok, "reasons": list(judgement.reasons)}
    return _answer(200 if judgement.ok else 503, body)


def _answer(
    status: int, body: dict[str, object], headers: dict[str, str] | None = None
) -> web.Response:
    response = web.Response(
        status=status,
        body=json.dumps(body).encode() + b"\n",
        content_type="application/json",
        headers=headers,
    )
    response.force_close()
    return response
