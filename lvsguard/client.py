"""A director's admin API for Python programs, asynchronous and typed.

    from lvsguard.client import Director

    async with Director() as director:
        await director.drain("10.0.0.42", reason="kernel update")

It follows version 1 of the API (docs/reference/admin-api.md); the replies are its documents. Every
question raises ``Unreachable`` when no daemon answers that may be asked, and ``Refused`` when it
says no; both texts tell what to do next.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, TypeVar

import aiohttp
import msgspec

from lvsguard.admin import protocol, reach
from lvsguard.admin.address import Address, BadAddress, Identity, parse_address
from lvsguard.admin.failover import FailedOver, FailoverReply, FailoverRequest, Outcome
from lvsguard.admin.protocol import (
    ChangeReply,
    ClearOverride,
    EventReply,
    Failure,
    OverrideReply,
    OverridesReply,
    PlanReply,
    PlanRequest,
    ReloadReply,
    SetOverride,
    VersionReply,
)
from lvsguard.admin.reach import VERSION_HEADER, Refused, Unreachable
from lvsguard.admin.status_reply import HealthReply, RealserverReply, ServiceReply, Status, VipReply
from lvsguard.core.override import OverrideKind

__all__ = [
    "BadAddress",
    "ChangeReply",
    "Director",
    "EventReply",
    "FailedOver",
    "Failure",
    "HealthReply",
    "Identity",
    "Outcome",
    "OverrideReply",
    "PlanReply",
    "RealserverReply",
    "Refused",
    "ReloadReply",
    "ServiceReply",
    "Status",
    "Unreachable",
    "VersionReply",
    "VipReply",
]

SOCKET: Final = Path("/run/lvsguard/lvsguard.sock")
SOCKET_VARIABLE: Final = "LVSGUARD_SOCKET"
SECONDS: Final = 15.0
"""How long an answer may take."""
LONG_SECONDS: Final = 60.0
"""Of a failover, a reload or a plan."""
LINE_BYTES: Final = 1024 * 1024
"""Of an event."""

_T = TypeVar("_T")


class Director:
    """One director's admin API; use it with ``async with``. Questions may go side by side."""

    def __init__(
        self,
        address: str | Path | None = None,
        *,
        identity: Identity | None = None,
        seconds: float = SECONDS,
    ) -> None:
        """``address``: its socket's path, or ``https://HOST:PORT`` with an ``identity``; None: the
        socket that ``LVSGUARD_SOCKET`` names, else this host's. ``seconds``: how long an answer may
        take. Raises BadAddress."""
        if address is None:
            address = Path(os.environ.get(SOCKET_VARIABLE) or SOCKET)
        self._where: Address = (
            address if isinstance(address, Path) else parse_address(address, identity)
        )
        self._seconds = seconds
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Director:
        if self._session is not None:
            raise RuntimeError("this Director is open already: make another one")
        if isinstance(self._where, Path):
            connector: aiohttp.BaseConnector = aiohttp.UnixConnector(
                str(self._where), force_close=True
            )
        else:
            connector = aiohttp.TCPConnector(
                ssl=self._where.identity.context(), force_close=True, limit=0
            )
        base = "http://lvsguard" if isinstance(self._where, Path) else str(self._where)
        self._session = aiohttp.ClientSession(base, connector=connector, read_bufsize=LINE_BYTES)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    # -- what is ---------------------------------------------------------------------------

    async def version(self) -> VersionReply:
        """Who answers."""
        return await self._ask("GET", "/v1/version", VersionReply)

    async def status(self) -> Status:
        """VIPs, services, realservers."""
        return await self._ask("GET", "/v1/status", Status)

    async def health(self) -> HealthReply:
        """How the controller does, and what is wrong."""
        return await self._ask("GET", "/v1/health", HealthReply)

    async def overrides(self) -> list[OverrideReply]:
        """Drains, disables and other weights in force."""
        return (await self._ask("GET", "/v1/overrides", OverridesReply)).overrides

    async def events(
        self,
        *,
        since: float | None = None,
        limit: int = protocol.HISTORY_DEFAULT,
        follow: bool = True,
    ) -> AsyncGenerator[EventReply, None]:
        """Events, oldest first: the newest ``limit`` since a time (seconds since the epoch; None:
        now), and with ``follow`` what happens from then on, until the daemon stops."""
        begin = time.time() if since is None else since
        query = {"since": f"{begin:.3f}", "limit": str(limit), "follow": str(int(follow))}
        decoder = msgspec.json.Decoder(EventReply)
        timeout = aiohttp.ClientTimeout(sock_connect=self._seconds)
        async with self._exchange("GET", "/v1/events", query, None, timeout) as answer:
            async for line in answer.content:
                with self._understood(answer):
                    event = decoder.decode(line)
                yield event

    # -- what is to be ---------------------------------------------------------------------

    async def drain(
        self,
        target: str,
        *,
        service: str | None = None,
        reason: str = "",
        expires_in: float | None = None,
    ) -> ChangeReply:
        """Give a realserver no new connections, in one service or in all; it keeps those it has.

        ``target``: an address, ``address:port`` or a name from the config. ``expires_in``: seconds
        until it ends by itself. It is in force when this returns.
        """
        return await self._set(OverrideKind.DRAIN, target, service, reason, expires_in)

    async def undrain(self, target: str, *, service: str | None = None) -> ChangeReply:
        """End drains of a target. None in force is no error: ``targets`` is empty."""
        return await self._clear(OverrideKind.DRAIN, target, service)

    async def disable(
        self,
        target: str,
        *,
        service: str | None = None,
        reason: str = "",
        expires_in: float | None = None,
    ) -> ChangeReply:
        """Take a realserver out of the kernel's table, established connections too."""
        return await self._set(OverrideKind.DISABLE, target, service, reason, expires_in)

    async def enable(self, target: str, *, service: str | None = None) -> ChangeReply:
        """End disables of a target."""
        return await self._clear(OverrideKind.DISABLE, target, service)

    async def weight(
        self,
        target: str,
        weight: int | str | None,
        *,
        service: str | None = None,
        reason: str = "",
        expires_in: float | None = None,
    ) -> ChangeReply:
        """Give a realserver another weight: a number, or ``"50%"`` of the configured one; None:
        the configured one again."""
        if weight is None:
            return await self._clear(OverrideKind.WEIGHT, target, service)
        return await self._set(
            OverrideKind.WEIGHT, target, service, reason, expires_in, str(weight)
        )

    async def failover(self, vip: str | None = None, *, resume: bool = False) -> list[FailedOver]:
        """Have the director hand a VIP group over (None: all that it is master of), or with
        ``resume`` preempt again; returns when it is known what came of it, within a minute."""
        request = FailoverRequest(vip=vip, resume=resume)
        reply = await self._ask("POST", "/v1/failover", FailoverReply, body=request, long=True)
        return reply.vips

    async def reload(self) -> ReloadReply:
        """Have the daemon read its configuration again; Refused ``bad-config`` changes nothing."""
        return await self._ask("POST", "/v1/reload", ReloadReply, long=True)

    async def plan(self, config: str | None = None) -> PlanReply:
        """What a configuration (TOML text; None: the daemon's own file) would change."""
        request = PlanRequest(config=config)
        return await self._ask("POST", "/v1/plan", PlanReply, body=request, long=True)

    async def _set(
        self,
        kind: OverrideKind,
        target: str,
        service: str | None,
        reason: str,
        expires_in: float | None,
        weight: str | None = None,
    ) -> ChangeReply:
        request = SetOverride(
            target=target,
            kind=kind,
            service=service,
            weight=weight,
            reason=reason,
            expires_in=expires_in,
        )
        return await self._ask("POST", "/v1/overrides", ChangeReply, body=request)

    async def _clear(self, kind: OverrideKind, target: str, service: str | None) -> ChangeReply:
        request = ClearOverride(target=target, kind=kind, service=service)
        fields: Mapping[str, str | None] = msgspec.to_builtins(request)
        query = {name: value for name, value in fields.items() if value is not None}
        return await self._ask("DELETE", "/v1/overrides", ChangeReply, query=query)

    # -- how it is asked -------------------------------------------------------------------

    async def _ask(
        self,
        method: str,
        path: str,
        kind: type[_T],
        *,
        query: Mapping[str, str] | None = None,
        body: protocol.Request | None = None,
        long: bool = False,
    ) -> _T:
        seconds = max(self._seconds, LONG_SECONDS) if long else self._seconds
        timeout = aiohttp.ClientTimeout(total=seconds)
        async with self._exchange(method, path, query, body, timeout) as answer:
            text = await answer.read()
            with self._understood(answer):
                return msgspec.json.decode(text, type=kind)

    def _understood(self, answer: aiohttp.ClientResponse) -> _Understood:
        return _Understood(self._where, answer.headers.get(VERSION_HEADER))

    @asynccontextmanager
    async def _exchange(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: protocol.Request | None,
        limits: aiohttp.ClientTimeout,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer that is 2xx; what happens instead, and what breaks it off, as exceptions."""
        if self._session is None:
            raise RuntimeError("the Director is not open: async with Director() as director")
        data = None if body is None else msgspec.json.encode(body)
        headers = {} if data is None else {"Content-Type": "application/json"}
        try:
            async with self._session.request(
                method, path, params=query, data=data, headers=headers, timeout=limits
            ) as answer:
                if answer.status >= 300:
                    theirs = answer.headers.get(VERSION_HEADER)
                    raise reach.refused(await answer.read(), answer.status, theirs)
                yield answer
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> Unreachable:
        where = self._where
        match error:
            case TimeoutError():
                return reach.silent(where)
            case aiohttp.ClientConnectorCertificateError(certificate_error=cause):
                return reach.no_connection(where, _os_error(cause))
            case aiohttp.ClientConnectorError(os_error=cause):
                return reach.no_connection(where, cause)
            case OSError() | aiohttp.ServerDisconnectedError():
                return reach.turned_away(where, error) or reach.strange(where, error)
            case aiohttp.ClientPayloadError():
                return reach.broken_off(where, error)
            case ValueError():
                return reach.unreadable(where, error, None)
            case _:
                return reach.strange(where, error)


class _Understood:
    """A context in which an answer is read; one that is not understood is told with versions."""

    def __init__(self, where: Address, theirs: str | None) -> None:
        self._where = where
        self._theirs = theirs

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, msgspec.MsgspecError | UnicodeDecodeError):
            raise reach.unreadable(self._where, error, self._theirs) from error


def _os_error(error: Exception) -> OSError:
    return error if isinstance(error, OSError) else OSError(str(error))
