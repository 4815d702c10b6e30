"""Turns HTTP requests into calls of ``api``, and answers into bytes, whichever door they came by.

It decides nothing but whether the caller's role covers what is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
from aiohttp import web

from lvsguard import __version__
from lvsguard.admin.api import Api
from lvsguard.admin.call import Answer, Call, Refusal, Stream, refuse
from lvsguard.admin.misuse import MISUSE, Misuse
from lvsguard.admin.operations import Operations
from lvsguard.admin.protocol import Failure
from lvsguard.admin.reach import VERSION_HEADER
from lvsguard.admin.resources import ROLES
from lvsguard.core.remote import CallerRole
from lvsguard.kernel.port import KernelError
from lvsguard.serving import BoundedServer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the door knows him."""

    actor: Callable[[], Awaitable[str]]
    """For events and the journal. Raises Refusal."""
    role: CallerRole | None = CallerRole.OPERATE
    """None: none at all."""
    refused: Callable[[str], None] = lambda why: None
    """Told when his role does not cover what he asked."""


class Front:
    """What all doors of one daemon share."""

    def __init__(self, operations: Operations, followers: int) -> None:
        self._api = Api(operations)
        self._places = followers
        self._followers = 0
        self.misuse = Misuse()
        self.closing = False

    def close(self) -> None:
        """End the event streams; what is being answered goes on."""
        self.closing = True
        self._api.close()

    async def handle(
        self, request: web.BaseRequest, caller: Caller, server: BoundedServer
    ) -> web.StreamResponse:
        """Answer one request that came over ``server``."""
        try:
            answer = await self._answer(request, caller, server.bounds.body)
            if isinstance(answer, Stream):
                return await self._send(request, answer, server)
            return _response(200, msgspec.json.encode(answer))
        except Refusal as refusal:
            if refusal.failure.code in MISUSE:
                what = f"{request.method} {request.path[:100]}"
                self.misuse.tell(await _name(caller), what, refusal.failure.error)
            return refused(refusal)
        except KernelError as error:
            return refused(refuse(500, "failed", str(error)))
        except Exception:
            log.exception(
                "admin: %s %s failed: this is a bug, please report it", request.method, request.path
            )
            return refused(refuse(500, "failed", "lvsguard made a mistake: its log tells more"))

    async def _answer(self, request: web.BaseRequest, caller: Caller, seconds: float) -> Answer:
        resource = self._api.routes.get((request.method, request.path))
        wanted = ROLES.get((request.method, request.path), CallerRole.READ)
        if caller.role is None or not caller.role.covers(wanted):
            raise await _forbidden(request, caller, wanted)
        if resource is None:
            raise self._unknown(request)
        if len(request.query) > len(set(request.query)):
            raise refuse(400, "bad-request", "query: give each name once")
        return await resource(
            Call(
                query=request.query,
                body=lambda limit: _body(request, limit, seconds),
                actor=caller.actor,
                gone=lambda: self._gone(request),
            )
        )

    def _gone(self, request: web.BaseRequest) -> bool:
        return self.closing or request.transport is None or request.transport.is_closing()

    def _unknown(self, request: web.BaseRequest) -> Refusal:
        methods = sorted(m for m, path in self._api.routes if path == request.path)
        if methods:
            failure = Failure(code="bad-method", error=f"use {' or '.join(methods)}")
            return Refusal(405, failure, allow=", ".join(methods))
        known = sorted({path for _, path in self._api.routes})
        error = "no such resource: is this client made for another version?"
        return Refusal(404, Failure(code="not-found", error=error, known=known))

    async def _send(
        self, request: web.BaseRequest, stream: Stream, server: BoundedServer
    ) -> web.StreamResponse:
        if not stream.endless:
            return await _stream(request, stream, server.bounds.write)
        if self._followers >= self._places:
            raise refuse(503, "busy", f"{self._places} event streams are open: close one of them")
        self._followers += 1
        try:
            server.unlimited(request)
            return await _stream(request, stream, server.bounds.write)
        finally:
            self._followers -= 1


async def _name(caller: Caller) -> str:
    """The actor, or that nobody knows who it was."""
    try:
        return await caller.actor()
    except Refusal:
        return "somebody"


async def _forbidden(request: web.BaseRequest, caller: Caller, wanted: CallerRole) -> Refusal:
    who = await caller.actor()
    has = "has no role here" if caller.role is None else f"has the role {caller.role}"
    caller.refused(f"{has}, and {request.method} {request.path[:100]} takes the role {wanted}")
    return refuse(
        403,
        "forbidden",
        f"{who} {has}, and this takes the role {wanted}: give it that role in the director's"
        " [admin.remote] roles and reload, or ask with another certificate",
    )


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
    headers = {"Content-Type": stream.content_type, VERSION_HEADER: __version__}
    response = web.StreamResponse(headers=headers)
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
    headers = {VERSION_HEADER: __version__}
    response = web.Response(
        status=status, body=body, headers=headers, content_type="application/json"
    )
    response.force_close()
    return response


def garbled(wrong: str) -> web.Response:
    """The answer to a request that is no HTTP."""
    log.info("admin: a request that is no HTTP: %s", wrong)
    return refused(refuse(400, "bad-request", f"this is no HTTP/1.1 that is taken here: {wrong}"))


def refused(refusal: Refusal) -> web.Response:
    """A refusal as an answer."""
    response = _response(refusal.status, msgspec.json.encode(refusal.failure))
    if refusal.allow:
        response.headers["Allow"] = refusal.allow
    return response
