"""The questions of the admin API as methods."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final

import aiohttp
import msgspec

from lvsguard.admin import protocol
from lvsguard.admin.address import Identity, parse_address
from lvsguard.admin.failover import FailedOver, FailoverReply, FailoverRequest
from lvsguard.admin.protocol import (
    ChangeReply,
    ClearOverride,
    EventReply,
    OverrideReply,
    OverridesReply,
    PlanReply,
    PlanRequest,
    ReloadReply,
    SetOverride,
    VersionReply,
)
from lvsguard.admin.status_reply import HealthReply, Status
from lvsguard.client.connection import Connection
from lvsguard.core.override import OverrideKind

SOCKET: Final = Path("/run/lvsguard/lvsguard.sock")
SOCKET_VARIABLE: Final = "LVSGUARD_SOCKET"
SECONDS: Final = 15.0
"""How long an answer may take."""


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
        where = address if isinstance(address, Path) else parse_address(address, identity)
        self._connection = Connection(where, seconds)

    async def __aenter__(self) -> Director:
        self._connection.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._connection.close()

    # -- what is ---------------------------------------------------------------------------

    async def version(self) -> VersionReply:
        """Who answers."""
        return await self._connection.ask("GET", "/v1/version", VersionReply)

    async def status(self) -> Status:
        """VIPs, services, realservers."""
        return await self._connection.ask("GET", "/v1/status", Status)

    async def health(self) -> HealthReply:
        """How the controller does, and what is wrong."""
        return await self._connection.ask("GET", "/v1/health", HealthReply)

    async def overrides(self) -> list[OverrideReply]:
        """Drains, disables and other weights in force."""
        return (await self._connection.ask("GET", "/v1/overrides", OverridesReply)).overrides

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
        timeout = aiohttp.ClientTimeout(sock_connect=self._connection.seconds)
        async with self._connection.exchange("GET", "/v1/events", query, None, timeout) as answer:
            async for line in answer.content:
                with self._connection.understood(answer):
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
        reply = await self._connection.ask(
            "POST", "/v1/failover", FailoverReply, body=request, long=True
        )
        return reply.vips

    async def reload(self) -> ReloadReply:
        """Have the daemon read its configuration again; Refused ``bad-config`` changes nothing."""
        return await self._connection.ask("POST", "/v1/reload", ReloadReply, long=True)

    async def plan(self, config: str | None = None) -> PlanReply:
        """What a configuration (TOML text; None: the daemon's own file) would change."""
        request = PlanRequest(config=config)
        return await self._connection.ask("POST", "/v1/plan", PlanReply, body=request, long=True)

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
        return await self._connection.ask("POST", "/v1/overrides", ChangeReply, body=request)

    async def _clear(self, kind: OverrideKind, target: str, service: str | None) -> ChangeReply:
        request = ClearOverride(target=target, kind=kind, service=service)
        fields: Mapping[str, str | None] = msgspec.to_builtins(request)
        query = {name: value for name, value in fields.items() if value is not None}
        return await self._connection.ask("DELETE", "/v1/overrides", ChangeReply, query=query)
