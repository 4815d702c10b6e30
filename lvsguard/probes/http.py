"""The http check: one request, one answer, read as far as it takes to decide. No socket here.

Redirects are answers like any other, nothing is unpacked, and whatever the peer sends costs
bounded memory: the head at most ``HEAD_MAX``, the body at most what the check says.
"""

from __future__ import annotations

from typing import Final

import httptools

from lvsguard import __version__
from lvsguard.core.config import Check, HttpSpec
from lvsguard.core.health import FailureClass
from lvsguard.core.model import IPAddress, endpoint
from lvsguard.probes.answer import expecting, wrong
from lvsguard.probes.outcome import Outcome, plain, seconds

HEAD_MAX: Final = 16384
"""Bytes of status line and headers, those of informational answers included."""
FRAMING_MAX: Final = 8
"""A chunked body may take this many bytes on the wire for each byte of ``max_body``."""
PHRASE_MAX: Final = 64
"""Bytes kept of a reason phrase."""
USER_AGENT: Final = f"lvsguard/{__version__}"


def host_header(spec: HttpSpec, address: IPAddress, port: int, default_port: int = 80) -> str:
    """What to send as Host: the configured name, else the realserver's address."""
    if spec.host is not None:
        return spec.host
    text = endpoint(address, port)
    return text.removesuffix(f":{port}") if port == default_port else text


def headers(spec: HttpSpec, host: str) -> tuple[tuple[str, str], ...]:
    """What is sent, in order; headers that the check names replace the usual ones."""
    usual = [
        ("Host", host),
        ("User-Agent", USER_AGENT),
        ("Accept", "*/*"),
        ("Accept-Encoding", "identity"),
        ("Connection", "close"),
    ]
    if spec.body:
        usual.append(("Content-Length", str(len(spec.body.encode()))))
    own = {name.lower() for name, _ in spec.headers}
    return (*(pair for pair in usual if pair[0].lower() not in own), *spec.headers)


def request(spec: HttpSpec, host: str) -> bytes:
    """Encode the request (RFC 9112)."""
    lines = [f"{spec.method} {spec.path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers(spec, host)]
    return "\r\n".join([*lines, "", spec.body]).encode()


class HttpCheck:
    """An http check made ready: its request and what it expects."""

    __slots__ = ("answer", "request")

    def __init__(self, check: Check, default_port: int = 80) -> None:
        spec = check.spec.http or HttpSpec()
        self.request = request(spec, host_header(spec, *check.named, default_port))
        self.answer = expecting(spec)

    def open(self) -> HttpTalk:
        """Begin one conversation."""
        return HttpBodyTalk(self) if self.answer.wants_body else HttpTalk(self)


class HttpTalk:
    """One HTTP conversation (see ``outcome.Conversation``); llhttp parses, this one bounds.

    The headers' names and values matter to ``HttpBodyTalk`` alone.
    """

    __slots__ = (
        "_answer",
        "_body",
        "_bounded",
        "_encoding",
        "_found",
        "_head",
        "_parser",
        "_phrase",
        "_raw",
        "_status",
        "request",
    )

    def __init__(self, check: HttpCheck) -> None:
        self.request = check.request
        self._answer = check.answer
        self._parser = httptools.HttpResponseParser(self)
        self._found: Outcome | None = None
        self._status = 0
        """0 until the final answer's head is complete."""
        self._phrase = b""
        self._encoding = b""
        self._bounded = False
        """Whether the head says where the body ends; else the end of the stream does."""
        self._head = 0
        self._raw = 0
        self._body = bytearray()

    def sent(self) -> Outcome | None:
        """See ``Conversation``."""
        return None

    def feed(self, data: bytes) -> Outcome | None:
        """See ``Conversation``."""
        found = self._feed_body(data) if self._status else self._feed_head(data)
        if found is not None:
            del self._parser  # it refers to this object: no work for the garbage collector
        return found

    def closed(self) -> Outcome:
        """See ``Conversation``."""
        if not self._status:
            return wrong("closed before an answer" if not self._head else "closed within the head")
        if self._bounded:
            size = len(self._body)
            return wrong(f"{self._status}, but closed within the body, after {size} bytes of it")
        return self._answer.whole(self._status, self._body)

    def reset(self, error: OSError) -> Outcome:
        """See ``Conversation``."""
        where = "within the body" if self._status else "within the head" if self._head else ""
        text = plain((error.strerror or str(error)).lower())
        return wrong(f"{text} {where or 'before an answer'}")

    def expired(self, timeout: float) -> Outcome:
        """See ``Conversation``."""
        what = "the whole body" if self._status else "a whole head" if self._head else "an answer"
        reason = f"connected, but not {what} within {seconds(timeout)}"
        return Outcome(False, "L7TOUT", reason, FailureClass.TIMEOUT)

    # -- called by the parser; none of them may raise ----------------------------------------------

    def on_status(self, phrase: bytes) -> None:
        """Keep the beginning of the reason phrase, which may come in parts."""
        if len(self._phrase) < PHRASE_MAX:
            self._phrase += phrase[:PHRASE_MAX]

    def on_headers_complete(self) -> None:
        """Judge the head, unless it is an informational one (RFC 9110 section 15.2)."""
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self._phrase = self._encoding = b""
            self._bounded = False
            return
        if self._found is not None or self._status:
            return
        self._status = status
        answer = self._answer
        self._found = answer.head(status, self._phrase.decode("latin-1"))
        if self._found is None and self._encoding:
            self._found = answer.encoded(self._encoding.decode("latin-1"))

    def on_body(self, data: bytes) -> None:
        """Take a part of the body, while it matters."""
        if self._found is None:
            self._body += data
            self._found = self._answer.part(self._status, self._body, len(data))

    def on_message_complete(self) -> None:
        """Judge the whole body."""
        if self._found is None and self._status:
            self._found = self._answer.whole(self._status, self._body)

    # -- inside ------------------------------------------------------------------------------------

    def _feed_head(self, data: bytes) -> Outcome | None:
        self._head += len(data)
        if self._head > HEAD_MAX and len(data) > (room := HEAD_MAX - self._head + len(data)):
            # Only what may still belong to a head of legal size is looked at as a head.
            self._parse(data[:room])
            if self._found is None and self._status:
                return self._feed_body(data[room:])
        else:
            self._parse(data)
        if self._found is None and not self._status and self._head > HEAD_MAX:
            return wrong(f"more than {HEAD_MAX} bytes of headers")
        return self._found

    def _feed_body(self, data: bytes) -> Outcome | None:
        self._raw += len(data)
        self._parse(data)
        if self._found is None and self._raw > HEAD_MAX + FRAMING_MAX * self._answer.max_body:
            return wrong(f"{self._status}, but the body's chunks are more framing than body")
        return self._found

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            if self._found is None:
                self._found = wrong(f"{self._status or 101}: the server switched protocols")
        except httptools.HttpParserError as error:
            if self._found is None:
                where = "broken HTTP" if self._status or self._phrase else "not HTTP"
                self._found = wrong(plain(f"{where}: {error}"))


class HttpBodyTalk(HttpTalk):
    """A conversation in which the body decides: whether it is whole and as it was made matters."""

    __slots__ = ()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep what matters of the headers."""
        size = len(name)
        if size == 16 and name.lower() == b"content-encoding":
            self._encoding = value[:64]
        elif size == 14 and name.lower() == b"content-length":
            self._bounded = True
        elif size == 17 and name.lower() == b"transfer-encoding":
            # RFC 9112 section 6.3: unless chunked is the last coding, the stream's end is the end.
            self._bounded = value.rstrip().lower().endswith(b"chunked")
