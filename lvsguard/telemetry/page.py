"""The status page over HTTP: its files, and the stream that keeps it up to date. Read-only.

The files lie in ``static``; nothing in them is made from what servers or operators say.
"""

from __future__ import annotations

import asyncio
from importlib.resources import files

from aiohttp import web

from lvsguard.serving import BoundedServer
from lvsguard.telemetry.board import Board, Full

STREAM = "/stream"
RETRY_MS = 2000
"""How long a page waits before it connects again."""

_SCRIPTS = ("page", "facts", "head", "judge", "parts", "services", "spark", "speech", "words")
_KINDS = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    **{f"/{name}.js": (f"{name}.js", "text/javascript") for name in _SCRIPTS},
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
PATHS = (*_KINDS, STREAM)

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class StatusPage:
    """Answers for the page's paths."""

    def __init__(self, board: Board) -> None:
        self.board = board
        folder = files("lvsguard.telemetry").joinpath("static")
        self._files = {
            path: (folder.joinpath(name).read_bytes(), kind)
            for path, (name, kind) in _KINDS.items()
        }

    def file(self, path: str) -> web.Response:
        """One of its files. Raises KeyError for a path that is none of them."""
        body, kind = self._files[path]
        response = web.Response(body=body, content_type=kind, charset="utf-8", headers=HEADERS)
        response.force_close()
        return response

    async def stream(
        self, request: web.BaseRequest, http: BoundedServer, seconds: float
    ) -> web.StreamResponse:
        """What happens, until the reader goes or is too slow: one write may take ``seconds``.

        Raises Full.
        """
        follower = self.board.follow()
        http.unlimited(request)
        response = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream"})
        response.force_close()
        try:
            await _write(request, response, b"retry: %d\n\n" % RETRY_MS, seconds)
            async for batch in follower:
                for piece in batch:
                    await _write(request, response, piece, seconds)
                    await asyncio.sleep(0)  # a write that the socket takes does not wait
        except TimeoutError:
            follower.dropped = True
        except ConnectionError:
            pass
        finally:
            follower.close()
        if follower.dropped and request.transport is not None:
            # The reader is stuck; an orderly end would wait for him too.
            request.transport.abort()
        return response


async def _write(
    request: web.BaseRequest, response: web.StreamResponse, piece: bytes, seconds: float
) -> None:
    async with asyncio.timeout(seconds):
        if not response.prepared:
            await response.prepare(request)
        await response.write(piece)


__all__ = ["HEADERS", "PATHS", "STREAM", "Full", "StatusPage"]
