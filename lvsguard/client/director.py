"""The questions of the admin API as methods."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, Sequence
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
    DrainShare,
    EventReply,
    OverrideReply,
    OverridesReply,
    PlanReply,
    PlanRequest,
    ReloadReply,
    SetOverride,
    ShareReply,
    VersionReply,
)
from lvsguard.admin.realservers import RealserversReply, RealserversRequest
from lvsguard.admin.status_reply import HealthReply, Status
from lvsguard.admin.waiting import Emptying, Progress, Returning
from lvsguard.admin.why_reply import WhyReply, WhyRequest
from lvsguard.client.connection import Connection
from lvsguard.client.waiting import WAIT_S, places, wait
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

    async def realservers(
        self, target: str | None = None, *, service: str | None = None
    ) -> RealserversReply:
        """Some realservers as they are now, for whoever follows them: those that a target means,
        or all of a service. Give one of them, or both."""
        query = _query(RealserversRequest(target=target, service=service))
        return await self._connection.ask("GET", "/v1/realservers", RealserversReply, query=query)

    async def why(self, target: str, *, service: str | None = None) -> WhyReply:
        """Why a realserver, a service or a VIP is as it is, and what would change it."""
        query = _query(WhyRequest(target=target, service=service))
        return await self._connection.ask("GET", "/v1/why", WhyReply, query=query)

    async def overrides(self) -> list[OverrideReply]:
        """Drains, disables and other weights in force."""
        return (await self._connection.ask("GET", "/v1/overrides", OverridesReply)).overrides

    async def events(
        self,
        *,
        since: float | None = None,
        until: float | None = None,
        limit: int = protocol.HISTORY_DEFAULT,
        follow: bool = True,
        kind: str | Sequence[str] = (),
        target: str = "",
        id: str = "",  # as the resource has it
    ) -> AsyncGenerator[EventReply, None]:
        """Events, oldest first: the newest ``limit`` since a time (seconds since the epoch; None:
        now), and with ``follow`` what happens from then on, until the daemon stops.

        ``until``: as ``since``. ``kind``: one or several, such as ``health``. ``target``: a name
        from the config, an address or ``address:port``. ``id``: a verdict or an override, and what
        followed from it: ten hex digits, ``trace`` in an event's ``data``.
        """
        begin = time.time() if since is None else since
        query = {"since": f"{begin:.3f}", "limit": str(limit), "follow": str(int(follow))}
        query |= {} if until is None else {"until": f"{until:.3f}"}
        kinds = kind if isinstance(kind, str) else ",".join(kind)
        wanted = {"kind": kinds, "target": target, "id": id}
        query |= {name: value for name, value in wanted.items() if value}
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
        ticket: str = "",
        expires_in: float | None = None,
        mine: bool = False,
    ) -> ChangeReply:
        """Give a realserver no new connections, in one service or in all; it keeps those it has.

        ``target``: an address, ``address:port`` or a name from the config. ``ticket``: where it is
        told in full, such as ``OPS-1234``. ``expires_in``: seconds until it ends by itself. It is
        in force when this returns; ``wait_empty`` waits until the connections have ended.
        ``replaced`` of the answer tells whose drain of the same target is gone by this; with
        ``mine`` somebody else's is left, and this is Refused ``others``.
        """
        return await self._set(
            OverrideKind.DRAIN, target, service, reason, ticket, expires_in, mine
        )

    async def drain_share(
        self,
        service: str,
        percent: int,
        *,
        force: bool = False,
        reason: str = "",
        ticket: str = "",
        expires_in: float | None = None,
    ) -> ShareReply:
        """Drain realservers of a service, those with the fewest connections, until ``percent`` (1
        to 100) of them are out; what is drained or disabled already counts. The director chooses,
        so that two who ask at once do not take too many. Refused ``below-quorum`` when the service
        would not be fit to serve, unless ``force``. ``wait_empty`` waits for the whole share."""
        request = DrainShare(
            service=service,
            percent=percent,
            force=force,
            reason=reason,
            ticket=ticket,
            expires_in=expires_in,
        )
        return await self._connection.ask("POST", "/v1/share", ShareReply, body=request)

    async def undrain(
        self, target: str, *, service: str | None = None, reason: str = "", mine: bool = False
    ) -> ChangeReply:
        """End drains of a target. None in force is no error: ``targets`` is empty. ``ended`` tells
        whose they were; with ``mine`` those of others go on, and are ``left``."""
        return await self._clear(OverrideKind.DRAIN, target, service, reason, mine)

    async def disable(
        self,
        target: str,
        *,
        service: str | None = None,
        reason: str = "",
        ticket: str = "",
        expires_in: float | None = None,
        mine: bool = False,
    ) -> ChangeReply:
        """Take a realserver out of the kernel's table, established connections too."""
        return await self._set(
            OverrideKind.DISABLE, target, service, reason, ticket, expires_in, mine
        )

    async def enable(
        self, target: str, *, service: str | None = None, reason: str = "", mine: bool = False
    ) -> ChangeReply:
        """End disables of a target."""
        return await self._clear(OverrideKind.DISABLE, target, service, reason, mine)

    async def weight(
        self,
        target: str,
        weight: int | str | None,
        *,
        service: str | None = None,
        reason: str = "",
        ticket: str = "",
        expires_in: float | None = None,
        mine: bool = False,
    ) -> ChangeReply:
        """Give a realserver another weight: a number, or ``"50%"`` of the configured one; None:
        the configured one again."""
        if weight is None:
            return await self._clear(OverrideKind.WEIGHT, target, service, reason, mine)
        return await self._set(
            OverrideKind.WEIGHT, target, service, reason, ticket, expires_in, mine, str(weight)
        )

    async def wait_empty(
        self, change: ChangeReply, seconds: float = WAIT_S, *, strict: bool = False
    ) -> Progress:
        """Wait until what ``drain`` has drained is empty, at most so long; over restarts of the
        daemon. What comes back is ``over``, or tells who is ``left``, or why it can never be
        (``lost``). ``strict``: until the kernel has forgotten connections that clients closed,
        too. Raises Unreachable when no daemon answers at the end."""
        expected = places(change)
        return await wait(self.realservers, expected, Emptying(strict, expected), seconds)

    async def wait_back(self, change: ChangeReply, seconds: float = WAIT_S) -> Progress:
        """Wait until what ``undrain`` or ``enable`` has given back serves with its whole weight;
        as ``wait_empty``."""
        expected = places(change)
        return await wait(self.realservers, expected, Returning(expected), seconds)

    async def failover(
        self, vip: str | None = None, *, resume: bool = False, force: bool = False
    ) -> list[FailedOver]:
        """Have the director hand a VIP group over (None: all that it is master of), or with
        ``resume`` preempt again; returns when it is known what came of it, within a minute.
        Refused ``unfit`` when the successor is not fit to take over; with ``force`` even then."""
        request = FailoverRequest(vip=vip, resume=resume, force=force)
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
        ticket: str,
        expires_in: float | None,
        mine: bool,
        weight: str | None = None,
    ) -> ChangeReply:
        request = SetOverride(
            target=target,
            kind=kind,
            service=service,
            weight=weight,
            reason=reason,
            expires_in=expires_in,
            ticket=ticket,
            mine=mine,
        )
        return await self._connection.ask("POST", "/v1/overrides", ChangeReply, body=request)

    async def _clear(
        self, kind: OverrideKind, target: str, service: str | None, reason: str, mine: bool
    ) -> ChangeReply:
        request = ClearOverride(
            target=target, kind=kind, service=service, reason=reason, mine="1" if mine else "0"
        )
        query = _query(request)
        return await self._connection.ask("DELETE", "/v1/overrides", ChangeReply, query=query)


def _query(request: protocol.Request) -> dict[str, str]:
    fields: dict[str, str] = msgspec.to_builtins(request)
    return fields
