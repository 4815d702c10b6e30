"""What a canary says before it falls silent: a TLS handshake, a HEAD request, or nothing.

A listener that takes no connection before there is data (``TCP_DEFER_ACCEPT`` in tcp(7); Apache's
``AcceptFilter``) has not taken one that says nothing, and its death does not end it. Once the
greeting is over it is forgotten, TLS and all: an idle connection is a socket, whatever it began as.
"""

from __future__ import annotations

import re
import ssl
from _socket import socket as RawSocket
from dataclasses import dataclass, replace
from typing import Final

import httptools

from lvsguard.core.config import CanaryKind, CanarySpec, Check, CheckKind, HttpSpec, TlsSpec
from lvsguard.core.health import FailureClass
from lvsguard.probes import tls
from lvsguard.probes.answer import wrong
from lvsguard.probes.http import HEAD_MAX, host_header, request
from lvsguard.probes.outcome import Conversation, Outcome, plain, seconds
from lvsguard.probes.tls_talk import TlsTalk

READ_SIZE: Final = 16384

KEPT: Final = Outcome(True, "L7OK", "kept alive")
SECURED: Final = Outcome(True, "L6OK", "TLS is up")
CLOSES: Final = Outcome(
    False, "L7RSP", "the server ends a connection after its answer", FailureClass.WRONG
)
"""It is well, and there is nothing to be had from it."""

_OURS: Final = frozenset(
    {"connection", "content-length", "content-type", "expect", "transfer-encoding"}
)
"""Headers of a check that a request without a body, over a connection that stays, does without."""
_TIMEOUT: Final = re.compile(rb"(?:^|[,\s])timeout\s*=\s*(\d{1,6})\s*(?:,|$)", re.IGNORECASE)


class HeadTalk:
    """A HEAD request whose connection is to be kept alive (see ``outcome.Conversation``).

    Whatever the status, the server has taken the connection; that is all that is asked.
    """

    __slots__ = ("_connection", "_found", "_idle", "_parser", "_read", "idle", "request")

    def __init__(self, head: bytes) -> None:
        self.request = head
        self.idle: float | None = None
        """Seconds that the server says it lets the connection idle."""
        self._idle = self._connection = b""
        self._parser = httptools.HttpResponseParser(self)
        self._read = 0
        self._found: Outcome | None = None

    def sent(self) -> Outcome | None:
        """See ``Conversation``."""

    def feed(self, data: bytes) -> Outcome | None:
        """See ``Conversation``."""
        self._read += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return self._found or wrong("the server switched protocols")
        except httptools.HttpParserError as error:
            return self._found or wrong(plain(f"not HTTP: {error}"))
        if self._found is None and self._read > HEAD_MAX:
            return wrong(f"more than {HEAD_MAX} bytes of headers")
        return self._found

    def closed(self) -> Outcome:
        """See ``Conversation``."""
        return wrong("closed before an answer")

    def reset(self, error: OSError) -> Outcome:
        """See ``Conversation``."""
        return wrong(f"{tls.words(error)} before an answer")

    def expired(self, timeout: float) -> Outcome:
        """See ``Conversation``."""
        reason = f"connected, but no answer to HEAD within {seconds(timeout)}"
        return Outcome(False, "L7TOUT", reason, FailureClass.TIMEOUT)

    # -- called by the parser; none of them may raise ----------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep what the server says of the connection."""
        match name.lower():
            case b"connection":
                self._connection += b"," + value[:256]
            case b"keep-alive":
                self._idle = value[:256]

    def on_headers_complete(self) -> None:
        """Judge the final answer's head (RFC 9112 section 9.3)."""
        if self._found is not None:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            self._connection = self._idle = b""
            return
        said = {option.strip() for option in self._connection.lower().split(b",")}
        old = self._parser.get_http_version() != "1.1"
        closes = b"close" in said or (old and b"keep-alive" not in said)
        self._found = CLOSES if closes else KEPT
        if (found := _TIMEOUT.search(self._idle)) is not None:
            self.idle = float(found[1])


class Handshake:
    """Nothing but TLS (see ``outcome.Conversation``; ``TlsTalk`` asks no more than this of it)."""

    __slots__ = ()

    request = b""

    def sent(self) -> Outcome | None:
        """See ``Conversation``: it is secured."""
        return SECURED

    def feed(self, _data: bytes) -> Outcome | None:
        """See ``Conversation``."""
        return SECURED

    def closed(self) -> Outcome:
        """See ``Conversation``."""
        return tls.broken("closed after the TLS handshake")

    def reset(self, error: OSError) -> Outcome:
        """See ``Conversation``."""
        return tls.broken(f"{tls.words(error)} after the TLS handshake")

    def expired(self, timeout: float) -> Outcome:
        """See ``Conversation``."""
        return tls.broken(f"nothing within {seconds(timeout)}")


class Greeting:
    """One greeting under way, on a connection that stands."""

    __slots__ = ("_head", "_talk", "_unsent", "eof")

    def __init__(self, talk: Conversation, head: HeadTalk | None) -> None:
        self._talk = talk
        self._head = head
        self._unsent = talk.request
        self.eof = False
        """Whether the server has ended the connection meanwhile."""

    @property
    def idle(self) -> float | None:
        """Seconds that the server says it lets the connection idle."""
        return self._head.idle if self._head is not None else None

    def advance(self, sock: RawSocket) -> Outcome | None:
        """Send and read what can be; None: there is more to come. Its reads are bounded, because
        the conversations are."""
        self._send(sock)
        while True:
            try:
                data = sock.recv(READ_SIZE)
            except BlockingIOError:
                return None
            except OSError as error:
                return self._talk.reset(error)
            if not data:
                self.eof = True
                return self._talk.closed()
            found = self._talk.feed(data)
            if isinstance(self._talk, TlsTalk):
                self._unsent += self._talk.replies()
            self._send(sock)
            if found is not None:
                return found

    def expired(self, timeout: float) -> Outcome:
        """Its time (seconds) is over."""
        return self._talk.expired(timeout)

    def _send(self, sock: RawSocket) -> None:
        if not self._unsent:
            return
        try:
            self._unsent = self._unsent[sock.send(self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent = b""  # what is read next says what became of the connection


@dataclass(frozen=True, slots=True)
class Manner:
    """How a check wants its canary; what it may say is made ready once."""

    kind: CanaryKind
    """To begin with."""
    chosen: bool
    """Whether the config says so: then it stays."""
    head: bytes = b""
    """The request; empty where the check has none to make."""
    name: str = ""
    """What the certificate is verified against."""
    tls: TlsSpec | None = None
    """None: without TLS."""

    @classmethod
    def of(cls, check: Check, canary: CanarySpec) -> Manner:
        """Decide it. Left to itself a canary is a tcp one, which costs a server least; with https
        a tls one, for many a server logs a connection to a TLS port that says nothing. A port of
        its own may be anything."""
        spec = check.spec
        if canary.kind is None and canary.port is not None:
            return cls(CanaryKind.TCP, True)
        https = spec.kind is CheckKind.HTTPS
        head = b""
        if https or spec.kind is CheckKind.HTTP:
            http = spec.http or HttpSpec()
            address, port = check.named
            host = host_header(http, address, canary.port or port, 443 if https else 80)
            head = request(_as_head(http), host)
        name, secure = "", None
        if https:
            from lvsguard.probes.https import tls_name  # brings aiohttp, which the check needs

            name, secure = tls_name(check), spec.tls or TlsSpec()
        usual = CanaryKind.TLS if https else CanaryKind.TCP
        return cls(canary.kind or usual, canary.kind is not None, head, name, secure)

    def greet(self, kind: CanaryKind) -> Greeting | Outcome | None:
        """Begin a greeting; None where nothing is said, an outcome where the director cannot."""
        if kind is CanaryKind.TCP or (kind is CanaryKind.HTTP and not self.head):
            return None
        head = HeadTalk(self.head) if kind is CanaryKind.HTTP else None
        if self.tls is None:
            return None if head is None else Greeting(head, head)
        context = tls.context(self.tls)
        if not isinstance(context, ssl.SSLContext):
            return context
        return Greeting(TlsTalk(context, self.name, head or Handshake()), head)


def _as_head(spec: HttpSpec) -> HttpSpec:
    kept = tuple((name, value) for name, value in spec.headers if name.lower() not in _OURS)
    return replace(spec, method="HEAD", body="", headers=(*kept, ("Connection", "keep-alive")))
