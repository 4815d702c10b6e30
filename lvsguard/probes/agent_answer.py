"""Reads an agent's answer: HAProxy's agent-check line, or HTTP. Pure: no socket, no clock.

The peer may be hostile: a line has at most ``LINE_MAX`` bytes, an HTTP head at most ``HEAD_MAX``,
and nothing raises. The words are those of HAProxy's configuration manual, section 5.2
(``agent-check``).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final, Protocol

import httptools

from lvsguard.core.agent import Agent, AgentKind, Answer, Mode
from lvsguard.core.config import HttpSpec
from lvsguard.core.health import FailureClass
from lvsguard.probes import http
from lvsguard.probes.answer import wrong
from lvsguard.probes.outcome import Conversation, Outcome, plain, seconds

LINE_MAX: Final = 1024
"""Bytes of an answer's line."""
HEAD_MAX: Final = 16384
"""Bytes of an HTTP answer in all, its framing included."""
WHY_MAX: Final = 100
"""Characters kept of a description, and of words that are not understood."""

_SPLIT: Final = re.compile(r"[ \t,]+")
_PERCENT: Final = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)%", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_MODES: Final = {"ready": Mode.READY, "drain": Mode.DRAIN, "maint": Mode.MAINT}
_DOWN: Final = frozenset({"down", "stopped", "fail"})
_IDLE: Final = "maxconn:"
"""An agent's word that may stand alone, and that IPVS cannot do."""


class AgentTalk(Conversation, Protocol):
    """A conversation with an agent; ``answer`` is there once it has ended well."""

    answer: Answer


def parse(line: bytes, *, numbers: bool = False) -> Answer | None:
    """Read a line; None: it says nothing. ``numbers``: a bare one is an absolute weight.

    Words are separated by spaces, tabs or commas, in any order and any case; ``#`` begins a
    description. The last of several that contradict each other counts.
    """
    text, _, description = line[:LINE_MAX].decode("latin-1").partition("#")
    answer, ignored = None, []
    for word in _SPLIT.split(text.strip("\r\n\t ,\0")):
        found = _word(answer or Answer(), word.lower(), numbers=numbers)
        if found is not None:
            answer = found
        elif word:
            ignored.append(word)
    if answer is None:
        if not any(word.lower().startswith(_IDLE) for word in ignored):
            return None
        answer = Answer()
    if answer.up is False:
        answer = replace(answer, why=plain(description.strip()[:WHY_MAX]))
    if ignored:
        words = plain(" ".join(ignored)[:WHY_MAX])
        answer = replace(answer, note=f"ignored: {words}")
    return answer


def _word(answer: Answer, word: str, *, numbers: bool) -> Answer | None:
    """The answer with one more word; None: that is none, or none that IPVS could do."""
    if word in _MODES:
        return replace(answer, mode=_MODES[word])
    if word == "up":
        return replace(answer, up=True)
    if word in _DOWN:
        return replace(answer, up=False)
    percent = _PERCENT.fullmatch(word)
    if percent is not None:
        return replace(answer, percent=float(percent[1]), weight=None)
    if numbers and _NUMBER.fullmatch(word):
        return replace(answer, weight=int(word), percent=None)
    return None


class _Talk:
    """What both kinds of conversation share."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.answer = Answer()

    def sent(self) -> Outcome | None:
        """See ``Conversation``."""
        return None

    def reset(self, error: OSError) -> Outcome:
        """See ``Conversation``."""
        return wrong(plain(f"{(error.strerror or str(error)).lower()} before an answer"))

    def expired(self, timeout: float) -> Outcome:
        """See ``Conversation``."""
        reason = f"connected, but no answer within {seconds(timeout)}"
        return Outcome(False, "L7TOUT", reason, FailureClass.TIMEOUT)

    def _judge(self, line: bytes, *, numbers: bool) -> Outcome:
        answer = parse(line, numbers=numbers)
        shown = plain(line[:60].decode("latin-1").rstrip("\r\n"))
        if answer is None:
            return wrong(f"{shown!r} is no answer of an agent" if shown else "an empty answer")
        self.answer = answer
        return Outcome(True, "L7OK", shown)


class TextTalk(_Talk):
    """One line, ended by a line feed or the end of the stream (see ``outcome.Conversation``)."""

    def __init__(self, request: bytes) -> None:
        super().__init__(request)
        self._got = bytearray()

    def feed(self, data: bytes) -> Outcome | None:
        """See ``Conversation``."""
        self._got += data[: LINE_MAX + 1 - len(self._got)]
        end = self._got.find(b"\n")
        if end >= 0:
            return self._judge(bytes(self._got[:end]), numbers=False)
        if len(self._got) > LINE_MAX:
            return wrong(f"more than {LINE_MAX} bytes without the end of a line")
        return None

    def closed(self) -> Outcome:
        """See ``Conversation``."""
        if not self._got:
            return wrong("closed without an answer")
        return self._judge(bytes(self._got), numbers=False)


class HttpTalk(_Talk):
    """One request (see ``outcome.Conversation``). ``RS-Weight`` counts before the body."""

    def __init__(self, request: bytes) -> None:
        super().__init__(request)
        self._parser = httptools.HttpResponseParser(self)
        self._raw = 0
        self._status = 0
        self._header = b""
        self._body = bytearray()
        self._found: Outcome | None = None

    def feed(self, data: bytes) -> Outcome | None:
        """See ``Conversation``."""
        room = HEAD_MAX - self._raw
        self._raw += len(data)
        try:
            self._parser.feed_data(data[:room])
        except httptools.HttpParserUpgrade:
            self._found = self._found or wrong("the server switched protocols")
        except httptools.HttpParserError as error:
            self._found = self._found or wrong(plain(f"not HTTP: {error}"))
        if self._found is None and self._raw > HEAD_MAX:
            self._found = wrong(f"more than {HEAD_MAX} bytes without an answer")
        if self._found is not None:
            del self._parser  # it refers to this object: no work for the garbage collector
        return self._found

    def closed(self) -> Outcome:
        """See ``Conversation``."""
        if not self._status:
            return wrong("closed before an answer")
        return self._judge(_first_line(self._body), numbers=True)

    # -- called by the parser; none of them may raise ----------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the one that matters."""
        if len(name) == 9 and name.lower() == b"rs-weight":
            self._header = value[:LINE_MAX]

    def on_headers_complete(self) -> None:
        """Judge the head, unless it is an informational one."""
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self._header = b""
            return
        self._status = status
        if status != 200:
            self._found = self._found or wrong(f"status {status}, expected 200")
        elif self._header:
            self._found = self._found or self._judge(self._header, numbers=True)

    def on_body(self, data: bytes) -> None:
        """Take a part of the body."""
        self._body += data[: LINE_MAX + 1 - len(self._body)]
        if self._found is None and (b"\n" in self._body or len(self._body) > LINE_MAX):
            self._found = self._judge(_first_line(self._body), numbers=True)

    def on_message_complete(self) -> None:
        """Judge the whole body."""
        if self._found is None and self._status:
            self._found = self._judge(_first_line(self._body), numbers=True)


def _first_line(body: bytearray) -> bytes:
    return bytes(body[:LINE_MAX]).partition(b"\n")[0]


class AgentTalks:
    """Opens the conversations with one agent, made ready once."""

    def __init__(self, agent: Agent) -> None:
        spec = agent.spec
        self._make: type[TextTalk] | type[HttpTalk] = TextTalk
        self._request = spec.send
        if spec.kind is AgentKind.HTTP:
            asked = HttpSpec(path=spec.path, host=spec.host)
            self._make = HttpTalk
            self._request = http.request(asked, http.host_header(asked, agent.address, agent.port))

    def open(self) -> AgentTalk:
        """Begin one conversation."""
        return self._make(self._request)
