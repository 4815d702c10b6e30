"""Asks a running daemon over its admin socket. Synchronous, for the command line.

Raises Unreachable when nobody answers and Refused when the daemon says no; both texts tell what
to do next.
"""

from __future__ import annotations

import grp
import http.client
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode

import msgspec

from lvsguard.admin import protocol
from lvsguard.admin.failover import FailoverReply, FailoverRequest
from lvsguard.admin.realservers import RealserversReply, RealserversRequest
from lvsguard.admin.why_reply import WhyReply

SECONDS = 15.0
"""How long an answer may take to begin."""
PLAN_SECONDS = 60.0

_T = TypeVar("_T")


class Unreachable(Exception):
    """No daemon answers at the socket."""

    def __init__(self, message: str, *, nobody: bool = False) -> None:
        super().__init__(message)
        self.nobody = nobody
        """Nobody listens there, so no daemon runs (rather than one that may not be asked)."""


class Refused(Exception):
    """The daemon answered that it will not, or cannot."""

    def __init__(self, failure: protocol.Failure) -> None:
        super().__init__(failure.error)
        self.failure = failure


class Client:
    """A daemon's admin socket. Each question takes a connection of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def version(self) -> protocol.VersionReply:
        """Who answers."""
        return self._ask("GET", "/v1/version", protocol.VersionReply)

    def status(self) -> protocol.Status:
        """VIPs, services, realservers."""
        return self._ask("GET", "/v1/status", protocol.Status)

    def status_json(self) -> bytes:
        """The same as the daemon writes it."""
        return self._exchange("GET", "/v1/status")

    def realservers(self, request: RealserversRequest) -> RealserversReply:
        """Some realservers, as they are now."""
        fields = {k: v for k, v in msgspec.to_builtins(request).items() if v is not None}
        return self._ask("GET", f"/v1/realservers?{urlencode(fields)}", RealserversReply)

    def health(self) -> protocol.HealthReply:
        """How the controller does."""
        return self._ask("GET", "/v1/health", protocol.HealthReply)

    def overrides(self) -> protocol.OverridesReply:
        """Overrides in force."""
        return self._ask("GET", "/v1/overrides", protocol.OverridesReply)

    def set_override(self, request: protocol.SetOverride) -> protocol.ChangeReply:
        """Put an override in force."""
        body = msgspec.json.encode(request)
        return self._ask("POST", "/v1/overrides", protocol.ChangeReply, body)

    def clear_override(self, request: protocol.ClearOverride) -> protocol.ChangeReply:
        """End an override."""
        fields = {k: v for k, v in msgspec.to_builtins(request).items() if v is not None}
        return self._ask("DELETE", f"/v1/overrides?{urlencode(fields)}", protocol.ChangeReply)

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
                raise Unreachable(_other_version(self._path, error)) from error
            except (OSError, http.client.HTTPException) as error:
                raise Unreachable(f"{self._path}: the event stream broke off: {error}") from error

    def _ask(
        self,
        method: str,
        path: str,
        kind: type[_T],
        body: bytes | None = None,
        seconds: float = SECONDS,
    ) -> _T:
        answer = self._exchange(method, path, body, seconds)
        try:
            return msgspec.json.decode(answer, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Unreachable(_other_version(self._path, error)) from error

    def _exchange(
        self, method: str, path: str, body: bytes | None = None, seconds: float = SECONDS
    ) -> bytes:
        with closing(self._connect(seconds)) as connection:
            try:
                return self._request(connection, method, path, body).read()
            except (OSError, http.client.HTTPException) as error:
                raise Unreachable(f"{self._path}: the answer broke off: {error}") from error

    def _request(
        self, connection: _Connection, method: str, path: str, body: bytes | None = None
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
            raise Unreachable(
                f"{self._path}: no answer: look at the daemon (systemctl status lvsguard)"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(
                f"{self._path}: something answers that is no lvsguard: {error!r}"
            ) from error
        raise Refused(_failure(text, response.status))

    def _connect(self, seconds: float) -> _Connection:
        connection = _Connection(self._path, seconds)
        try:
            connection.connect()
        except OSError as error:
            nobody = isinstance(error, FileNotFoundError | ConnectionRefusedError)
            raise Unreachable(_unreachable(self._path, error), nobody=nobody) from error
        return connection


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


def _failure(text: bytes, status: int) -> protocol.Failure:
    try:
        return msgspec.json.decode(text, type=protocol.Failure)
    except msgspec.MsgspecError:
        said = text[:200].decode(errors="replace").strip()
        return protocol.Failure(code="failed", error=f"HTTP status {status}: {said}")


def _other_version(path: Path, error: Exception) -> str:
    return f"{path}: an answer that this program cannot read ({error}): compare lvsguard version"


def _unreachable(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return (
            f"no lvsguard listens on {path}: start it (systemctl start lvsguard), "
            "or name its socket with --socket"
        )
    if isinstance(error, ConnectionRefusedError):
        return f"lvsguard is not running any more ({path} is left over): systemctl start lvsguard"
    if isinstance(error, PermissionError):
        return (
            f"you may not use {path}: run this with sudo, or join its group "
            f"(usermod -aG {_group(path)} $USER, then log in again)"
        )
    return f"{path}: {error.strerror or error}: name lvsguard's socket with --socket"


def _group(path: Path) -> str:
    try:
        return grp.getgrgid(path.stat().st_gid).gr_name
    except (OSError, KeyError):
        return "lvsguard"
