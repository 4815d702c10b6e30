"""Asks a running daemon over its admin socket, or from afar. Synchronous, for the command line.

Raises Unreachable when nobody answers and Refused when the daemon says no; both texts tell what
to do next.
"""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode

import msgspec

from lvsguard.admin import protocol, reach, status_reply
from lvsguard.admin.address import Address
from lvsguard.admin.failover import FailoverReply, FailoverRequest
from lvsguard.admin.reach import VERSION_HEADER, Refused, Unreachable
from lvsguard.admin.realservers import RealserversReply, RealserversRequest
from lvsguard.admin.why_reply import WhyReply

__all__ = ["Client", "Refused", "Unreachable"]

SECONDS = 15.0
"""How long an answer may take to begin."""
PLAN_SECONDS = 60.0

_T = TypeVar("_T")


class Client:
    """A daemon's admin API. Each question takes a connection of its own."""

    def __init__(self, where: Address) -> None:
        self._where = where

    def version(self) -> protocol.VersionReply:
        """Who answers."""
        return self._ask("GET", "/v1/version", protocol.VersionReply)

    def status(self) -> status_reply.Status:
        """VIPs, services, realservers."""
        return self._ask("GET", "/v1/status", status_reply.Status)

    def status_json(self) -> bytes:
        """The same as the daemon writes it."""
        return self._exchange("GET", "/v1/status")[0]

    def realservers(self, request: RealserversRequest) -> RealserversReply:
        """Some realservers, as they are now."""
        fields = msgspec.to_builtins(request)
        return self._ask("GET", f"/v1/realservers?{urlencode(fields)}", RealserversReply)

    def health(self) -> status_reply.HealthReply:
        """How the controller does."""
        return self._ask("GET", "/v1/health", status_reply.HealthReply)

    def overrides(self) -> protocol.OverridesReply:
        """Overrides in force."""
        return self._ask("GET", "/v1/overrides", protocol.OverridesReply)

    def set_override(self, request: protocol.SetOverride) -> protocol.ChangeReply:
        """Put an override in force."""
        body = msgspec.json.encode(request)
        return self._ask("POST", "/v1/overrides", protocol.ChangeReply, body)

    def clear_override(self, request: protocol.ClearOverride) -> protocol.ChangeReply:
        """End an override."""
        fields = msgspec.to_builtins(request)
        return self._ask("DELETE", f"/v1/overrides?{urlencode(fields)}", protocol.ChangeReply)

    def drain_share(self, request: protocol.DrainShare) -> protocol.ShareReply:
        """Drain a share of a service."""
        body = msgspec.json.encode(request)
        return self._ask("POST", "/v1/share", protocol.ShareReply, body)

    def reload(self) -> protocol.ReloadReply:
        """Have the daemon read its configuration again."""
        return self._ask("POST", "/v1/reload", protocol.ReloadReply, seconds=PLAN_SECONDS)

    def failover(self, request: FailoverRequest) -> FailoverReply:
        """Have the director hand VIPs over, or preempt again; waits for what comes of it."""
        body = msgspec.json.encode(request)
        return self._ask("POST", "/v1/failover", FailoverReply, body, PLAN_SECONDS)

    def plan(self, config: str | None) -> protocol.PlanReply:
        """What a configuration (TOML text; None: the daemon's own file) would change."""
        body = msgspec.json.encode(protocol.PlanRequest(config=config))
        return self._ask("POST", "/v1/plan", protocol.PlanReply, body, PLAN_SECONDS)

    def why(self, target: str, service: str | None = None) -> WhyReply:
        """Why a realserver, a service or a VIP is as it is."""
        query = {"target": target} | ({} if service is None else {"service": service})
        return self._ask("GET", f"/v1/why?{urlencode(query)}", WhyReply)

    def events(
        self,
        since: float,
        *,
        limit: int = protocol.HISTORY_DEFAULT,
        follow: bool = False,
        **wanted: str,
    ) -> Iterator[protocol.EventReply]:
        """Events since a wall-clock time; with ``follow`` also those to come, until the daemon
        stops. ``wanted``: ``kind``, ``target``, ``id``, ``until``, as the resource has them."""
        query = {"since": f"{since:.3f}", "limit": str(limit)} | ({"follow": "1"} if follow else {})
        query |= {name: value for name, value in wanted.items() if value}
        with closing(self._connect(SECONDS)) as connection:
            sock = connection.sock
            response = self._request(connection, "GET", f"/v1/events?{urlencode(query)}")
            if follow:
                sock.settimeout(None)
            decoder = msgspec.json.Decoder(protocol.EventReply)
            try:
                while line := response.readline():
                    yield decoder.decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                theirs = response.getheader(VERSION_HEADER)
                raise reach.unreadable(self._where, error, theirs) from error
            except (OSError, http.client.HTTPException) as error:
                raise reach.broken_off(self._where, error) from error

    def _ask(
        self,
        method: str,
        path: str,
        kind: type[_T],
        body: bytes | None = None,
        seconds: float = SECONDS,
    ) -> _T:
        answer, theirs = self._exchange(method, path, body, seconds)
        try:
            return msgspec.json.decode(answer, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise reach.unreadable(self._where, error, theirs) from error

    def _exchange(
        self, method: str, path: str, body: bytes | None = None, seconds: float = SECONDS
    ) -> tuple[bytes, str | None]:
        """The answer, and the version of who gave it."""
        with closing(self._connect(seconds)) as connection:
            response = self._request(connection, method, path, body)
            try:
                return response.read(), response.getheader(VERSION_HEADER)
            except (OSError, http.client.HTTPException) as error:
                raise reach.broken_off(self._where, error) from error

    def _request(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes | None = None,
    ) -> http.client.HTTPResponse:
        headers: Mapping[str, str] = {"Content-Type": "application/json"} if body else {}
        try:
            # A daemon that answers before it has read everything says why in its answer.
            with suppress(BrokenPipeError):
                connection.request(method, path, body, headers)
            response = connection.getresponse()
            if response.status < 300:
                return response
            text = response.read()
        except TimeoutError as error:
            raise reach.silent(self._where) from error
        except (OSError, http.client.HTTPException) as error:
            turned = reach.turned_away(self._where, error) if isinstance(error, OSError) else None
            raise turned or reach.strange(self._where, error) from error
        raise reach.refused(text, response.status, response.getheader(VERSION_HEADER))

    def _connect(self, seconds: float) -> http.client.HTTPConnection:
        where = self._where
        if isinstance(where, Path):
            connection: http.client.HTTPConnection = _Connection(where, seconds)
        else:
            connection = http.client.HTTPSConnection(
                where.host, where.port, timeout=seconds, context=where.identity.context()
            )
        try:
            connection.connect()
            if not isinstance(where, Path):
                _keep_alive(connection.sock)
        except OSError as error:
            raise reach.no_connection(where, error) from error
        return connection


def _keep_alive(sock: socket.socket) -> None:
    """Whoever follows events sends nothing, and would never see that the other host is gone: ask
    the kernel there after 15 s of silence, and give it up after 15 s more (tcp(7))."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__("lvsguard", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        """Connect to the path instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.settimeout(self.timeout)
            self.sock.connect(str(self._path))
        except BaseException:
            self.close()
            raise
