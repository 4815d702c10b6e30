"""The https check: aiohttp over TLS, to the realserver's address, verifying the configured name.

Redirects are off, proxies and cookies unknown, reads bounded, and one probe is one session that
ends with it. Importing this module brings aiohttp: only ``kinds`` does, and only when asked.
"""

from __future__ import annotations

import asyncio
import errno
import math
import socket
import ssl
from collections import deque
from contextlib import AbstractAsyncContextManager
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

import aiohttp
from yarl import URL

from lvsguard.core.config import Check, HttpSpec, TlsSpec
from lvsguard.core.health import FailureClass
from lvsguard.core.model import endpoint
from lvsguard.probes import certificate, error_queue, icmp, outcome, tls
from lvsguard.probes.answer import expecting, wrong
from lvsguard.probes.connection import GONE, Done, bindings, leave_port_open, prefer
from lvsguard.probes.engine import Engine
from lvsguard.probes.http import headers, host_header
from lvsguard.probes.outcome import Outcome, plain, seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.connector import AddrInfoType, Connection
    from aiohttp.tracing import Trace

STARTS: Final = 4
"""Probes started in one turn of the loop: handshakes cost so much that a crowd would time out."""


class HttpsCheck:
    """An https check made ready."""

    def __init__(self, check: Check, engine: Engine) -> None:
        spec = check.spec.http or HttpSpec()
        self.engine = engine
        self.tls = check.spec.tls or TlsSpec()
        self.answer = expecting(spec)
        self.method = spec.method
        self.url = URL(f"https://{endpoint(check.address, check.port)}{spec.path}", encoded=True)
        host = host_header(spec, *check.named, 443)
        self.headers = headers(spec, host)
        self.body = spec.body.encode() or None
        self.name = tls_name(check)
        self.timeout = check.spec.timing.timeout
        self.address = (str(check.address), check.port)
        self.source, self.own = bindings(check.spec)
        self._queue = _queue(engine)
        tls.context(self.tls)  # reading certificates takes milliseconds: before the first probe

    def start(self, done: Done) -> HttpsProbe:
        """Start a probe as soon as the loop has time for a handshake."""
        probe = HttpsProbe(self, done)
        self._queue.put(probe)
        return probe


class _Queue:
    """Starts probes a few at a time, so that those under way are served in between."""

    def __init__(self) -> None:
        self._waiting: deque[HttpsProbe] = deque()

    def put(self, probe: HttpsProbe) -> None:
        """Have a probe start when its turn comes."""
        self._waiting.append(probe)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._release)

    def _release(self) -> None:
        for _ in range(min(STARTS, len(self._waiting))):
            self._waiting.popleft().begin()
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._release)


_queues: WeakKeyDictionary[Engine, _Queue] = WeakKeyDictionary()


def _queue(engine: Engine) -> _Queue:
    return _queues.setdefault(engine, _Queue())


class HttpsProbe:
    """One probe under way (see ``kinds.Probe``)."""

    def __init__(self, check: HttpsCheck, done: Done) -> None:
        self.deadline = math.inf
        self._check = check
        self._own = check.own
        self._done = done
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False
        self._expired: Outcome | None = None
        self._started = 0.0
        self._stalled = 0.0
        self._socket: error_queue.Witness | None = None
        self._secured = False
        self._status = 0
        self._expires = 0.0

    def begin(self) -> None:
        """Start it, unless it was cancelled while it waited."""
        if self._cancelled:
            return
        engine = self._check.engine
        self._started = engine.now
        self._stalled = engine.stalled
        self.deadline = engine.now + self._check.timeout
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(_surface)

    @property
    def reached(self) -> bool:
        """See ``kinds.Probe``; while it waits for its turn it has missed nothing."""
        return self.deadline == math.inf or self._is_connected()

    def cancel(self) -> None:
        """End it without a result."""
        self._cancelled = True
        if self._task is not None:
            self._task.cancel()

    def expire(self, lateness: float) -> None:
        """End it: ``deadline`` passed, so many seconds ago."""
        timeout = self._check.timeout
        lost = max(lateness, self._check.engine.stalled - self._stalled)
        if lost > timeout * outcome.STALL_SHARE:
            self._expired = outcome.stalled(lost)
        elif self._secured:
            what = "the whole body" if self._status else "an answer"
            self._expired = _late("L7TOUT", f"TLS is up, but not {what}", timeout)
        elif self._is_connected():
            self._expired = _late("L6TOUT", "connected, but no end of the TLS handshake", timeout)
        else:
            self._expired = outcome.connect_expired(timeout)
        if self._task is not None:
            self._task.cancel()

    # -- inside ----------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            found = await self._ask()
        except asyncio.CancelledError:
            if self._expired is None or self._cancelled:
                raise
            found = self._expired
        duration = self._check.engine.now - self._started
        self._done(found._replace(expires=self._expires).result(duration))

    async def _ask(self) -> Outcome:
        context = tls.context(self._check.tls)
        if not isinstance(context, ssl.SSLContext):
            return context
        try:
            async with self._session(context) as session, self._request(session) as response:
                return await self._read(response)
        except aiohttp.ClientPayloadError:
            return wrong(f"{self._status}, but closed within the body")
        except aiohttp.ClientResponseError as error:
            return wrong(plain(f"not HTTP: {error.message}"))
        except aiohttp.ServerDisconnectedError:
            return wrong("closed before an answer")
        except Exception as error:  # noqa: BLE001 - a stranger's parser met a hostile peer
            if not self._lost_own(error):
                return self._failed(error)
        self._own = None
        return await self._ask()

    def _session(self, context: ssl.SSLContext) -> aiohttp.ClientSession:
        async def secured(*_: object) -> None:
            self._secured = True

        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(secured)
        connector = _Connector(
            self._see,
            ssl=context,
            local_addr=self._check.source,
            socket_factory=self._make_socket,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),
            auto_decompress=False,
            trace_configs=[trace],
        )

    def _request(
        self, session: aiohttp.ClientSession
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        check = self._check
        return session.request(
            check.method,
            check.url,
            headers=check.headers,
            data=check.body,
            allow_redirects=False,
            server_hostname=check.name,
        )

    async def _read(self, response: aiohttp.ClientResponse) -> Outcome:
        answer = self._check.answer
        self._status = response.status
        found = answer.head(response.status, response.reason or "")
        if found is None:
            found = answer.encoded(response.headers.get("Content-Encoding", ""))
        if found is not None:
            return found
        body = bytearray()
        async for data in response.content.iter_any():
            body += data
            found = answer.part(response.status, body, len(data))
            if found is not None:
                return found
        return answer.whole(response.status, body)

    def _see(self, transport: asyncio.BaseTransport | None) -> None:
        if transport is not None:
            self._expires = certificate.shown(transport.get_extra_info("ssl_object"))

    def _make_socket(self, info: AddrInfoType) -> socket.socket:
        family, kind, protocol = info[:3]
        made = self._socket = error_queue.Witness(family, kind, protocol)
        made.setblocking(False)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, error_queue.IPV6_RECVERR, 1)
        if self._own is not None:
            prefer(made, self._own)
        elif self._check.source is not None:
            leave_port_open(made)
        return made

    def _is_connected(self) -> bool:
        if self._socket is None or self._socket.fileno() < 0:
            return False
        try:
            self._socket.getpeername()
        except OSError:
            return False
        return True

    def _failed(self, error: Exception) -> Outcome:
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return tls.broken(tls.certificate(error.certificate_error, self._check.name))
        if isinstance(error, aiohttp.ClientConnectorSSLError):
            return tls.broken(tls.handshake(error.os_error))
        if self._secured:
            return wrong(
                plain(f"{tls.words(error)} {'within' if self._status else 'before'} the answer")
            )
        number = getattr(error, "errno", None)
        if number is not None and number not in (errno.ECONNRESET, errno.EPIPE):
            return self._unconnected(number)
        return tls.broken(f"{tls.words(error)} during the TLS handshake")

    def _unconnected(self, number: int) -> Outcome:
        """No connection: tell what came from outside from what never left this host."""
        said = None if self._socket is None else self._socket.said
        if said is None and number in icmp.UNSURE and not self._has_route(None):
            return outcome.local(number)
        return icmp.connect_failed(number, said, ip_address(self._check.address[0]))

    def _lost_own(self, error: Exception) -> bool:
        """Tell whether it failed because the director's own address is gone."""
        own = self._own
        if own is None or self._secured or getattr(error, "errno", None) not in GONE:
            return False
        return not self._has_route(own)

    def _has_route(self, own: tuple[str, int] | None) -> bool:
        family = socket.AF_INET6 if ":" in self._check.address[0] else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as asked:
            if own is not None:
                prefer(asked, own)
            return asked.connect_ex(self._check.address) == 0  # looks it up, sends nothing


class _Connector(aiohttp.TCPConnector):
    """Shows each connection once it stands: afterwards a short answer has closed it already."""

    def __init__(
        self,
        see: Callable[[asyncio.BaseTransport | None], None],
        *,
        ssl: ssl.SSLContext,
        local_addr: tuple[str, int] | None,
        socket_factory: Callable[[AddrInfoType], socket.socket],
    ) -> None:
        super().__init__(
            ssl=ssl, force_close=True, local_addr=local_addr, socket_factory=socket_factory
        )
        self._see = see

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        self._see(connection.transport)
        return connection


def _surface(task: asyncio.Task[None]) -> None:
    """Let a bug reach the loop's exception handler: nobody awaits the task."""
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error


def tls_name(check: Check) -> str:
    """The name that is asked for (SNI) and verified: the Host header's, without its port."""
    host = check.spec.http.host if check.spec.http else None
    name = check.spec.tls.server_name if check.spec.tls else None
    return name or (URL(f"https://{host}").host if host else None) or str(check.named[0])


def _late(code: str, what: str, timeout: float) -> Outcome:
    return Outcome(False, code, f"{what} within {seconds(timeout)}", FailureClass.TIMEOUT)
