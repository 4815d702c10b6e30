"""The admin API over HTTPS, for callers with certificates: who may connect, and as whom.

A handshake costs CPU and is done for strangers, so few go on at once, and few of one address.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from aiohttp import web

from lvsguard.admin.accept import callers
from lvsguard.admin.front import Caller, Front, garbled
from lvsguard.core.admin_event import AdminRefused
from lvsguard.core.event import Event
from lvsguard.core.remote import RemoteConfig
from lvsguard.credential import listener_context
from lvsguard.serving import BoundedServer, Bounds

SHAKING_MAX: Final = 16
"""Connections whose handshake goes on, in all."""
SHAKING_OF_ONE: Final = 4
"""The same of one address."""
TELL_S: Final = 60.0
TOLD_MAX: Final = 64
"""Refusals that are remembered as told."""
AGAIN_S: Final = 2.0
CLOSE_S: Final = 2.0
BACKLOG: Final = 16
NAMES_SHOWN: Final = 100
"""Characters of a certificate's name in texts."""

log = logging.getLogger(__name__)


class RemoteDoor:
    """Listens while it is configured; without a configuration it does nothing."""

    def __init__(self, front: Front, emit: Callable[[Event], None], bounds: Bounds) -> None:
        self._front = front
        self._emit = emit
        self._bounds = bounds
        self._config: RemoteConfig | None = None
        self._changed = asyncio.Event()
        self._shaking: Counter[str] = Counter()
        self._told: dict[tuple[str, str], float] = {}
        self._http: BoundedServer | None = None
        self.trouble = ""
        """Why it does not listen; empty: it does, or need not."""
        self.refusals = 0
        """Callers turned away so far."""

    def configure(self, config: RemoteConfig | None) -> None:
        """Put a configuration in force; roles and authorities count from the next request on."""
        if config != self._config:
            self._config = config
            self._changed.set()

    async def run(self) -> None:
        """Answer until cancelled."""
        crowd = self._front.misuse.crowd
        self._http = BoundedServer(self._handle, self._bounds, garbled, crowd=crowd)
        try:
            while True:
                self._changed.clear()
                serving = asyncio.create_task(self._serve(self._config), name="admin-tls")
                waiting = asyncio.create_task(self._changed.wait(), name="admin-config")
                try:
                    await asyncio.wait((serving, waiting), return_when=asyncio.FIRST_COMPLETED)
                    if serving.done():
                        await serving  # a bug: let it be seen
                finally:
                    serving.cancel()
                    waiting.cancel()
                    await asyncio.gather(serving, waiting, return_exceptions=True)
        finally:
            self._http.pre_shutdown()
            await self._http.shutdown(CLOSE_S)

    async def _serve(self, config: RemoteConfig | None) -> None:
        self.trouble = ""
        if config is None:
            await asyncio.get_running_loop().create_future()
            return
        context = listener_context(config.certificate, config.client_ca)
        while True:
            try:
                with _listening(*config.listen) as listener:
                    self.trouble = ""
                    await self._accept_on(listener, context)
            except OSError as error:
                host, port = config.listen
                trouble = (
                    f"remote admin: cannot listen on {host} port {port}: {error.strerror or error}:"
                    " set [admin.remote] listen to an own address and a free port"
                )
                if trouble != self.trouble:
                    log.error("%s", trouble)
                self.trouble = trouble
            await asyncio.sleep(AGAIN_S)

    async def _accept_on(self, listener: socket.socket, context: ssl.SSLContext) -> None:
        async with asyncio.TaskGroup() as group:
            async for accepted, address in callers(listener):
                if not self._room(address):
                    accepted.close()
                    self._refuse(address, "there are too many connections")
                    continue
                self._shaking[address] += 1
                group.create_task(self._welcome(accepted, address, context), name="admin-caller")

    def _room(self, address: str) -> bool:
        served = 0 if self._http is None else len(self._http.connections)
        return (
            self._shaking[address] < SHAKING_OF_ONE
            and self._shaking.total() < SHAKING_MAX
            and served + self._shaking.total() < self._bounds.connections
        )

    async def _welcome(
        self, accepted: socket.socket, address: str, context: ssl.SSLContext
    ) -> None:
        """Do the handshake; from its end on it is the HTTP server's connection."""
        assert self._http is not None  # noqa: S101 - run() has made it
        try:
            accepted.setblocking(False)
            await asyncio.get_running_loop().connect_accepted_socket(
                self._http,
                accepted,
                ssl=context,
                ssl_handshake_timeout=self._bounds.header,
                ssl_shutdown_timeout=1.0,
            )
        except (OSError, TimeoutError) as error:
            accepted.close()
            self._refuse(address, _why(error))
        finally:
            self._shaking[address] -= 1
            if not self._shaking[address]:
                del self._shaking[address]

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        assert self._http is not None  # noqa: S101 - it is who calls
        return await self._front.handle(request, self._caller(request), self._http)

    def _caller(self, request: web.BaseRequest) -> Caller:
        transport = request.transport
        secured = None if transport is None else transport.get_extra_info("ssl_object")
        peer = None if transport is None else transport.get_extra_info("peername")
        names = [] if secured is None else list(certificate_names(secured.getpeercert()))
        who = _printable(names[0]) if names else "a certificate without a name"
        told = f"{who} (from {peer[0] if peer else 'an unknown address'})"
        role = None if self._config is None else self._config.role(names)

        async def actor() -> str:
            return told

        return Caller(actor, role, lambda why: self._refuse(told, why))

    def _refuse(self, who: str, why: str) -> None:
        """Count a caller that was turned away; tell it, if that was not done lately."""
        self.refusals += 1
        now = time.monotonic()
        if now - self._told.get((who, why), -TELL_S) < TELL_S:
            return
        if len(self._told) >= TOLD_MAX:
            self._told = {k: at for k, at in self._told.items() if now - at < TELL_S}
            if len(self._told) >= TOLD_MAX:
                return
        self._told[who, why] = now
        self._emit(AdminRefused(who, why))


def certificate_names(shown: Mapping[str, object] | None) -> Iterator[str]:
    """Names in a certificate as ``ssl`` gives it: CN of the subject, DNS, e-mail and URI names."""
    shown = shown or {}
    for part in _tuples(shown.get("subject")):
        for pair in _tuples(part):
            match pair:
                case ("commonName", str(name)):
                    yield name
    for pair in _tuples(shown.get("subjectAltName")):
        match pair:
            case ("DNS" | "email" | "URI", str(name)):
                yield name


def _tuples(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else ()


def _printable(name: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in name)[:NAMES_SHOWN]


def _why(error: OSError) -> str:
    """What a handshake failed of, in words; the same for every failure of one kind."""
    reason = error.reason if isinstance(error, ssl.SSLError) else ""
    match reason:
        case "PEER_DID_NOT_RETURN_A_CERTIFICATE":
            return "it shows no certificate"
        case "CERTIFICATE_VERIFY_FAILED":
            text = getattr(error, "verify_message", "") or "no authority of client_ca signed it"
            return f"its certificate is not accepted ({text})"
        case "UNSUPPORTED_PROTOCOL":
            return "its TLS is older than 1.3"
        case "HTTP_REQUEST":
            return "it speaks HTTP without TLS"
    if isinstance(error, TimeoutError | ConnectionAbortedError):
        return "it did not finish the handshake in time"
    return f"the handshake failed ({reason or error.strerror or type(error).__name__})"


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        yield listener
