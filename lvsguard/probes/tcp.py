"""The tcp check: connect, and where asked send something and wait for something. No socket here."""

from __future__ import annotations

from typing import Final

from lvsguard.core.config import Check, TcpSpec
from lvsguard.core.health import FailureClass
from lvsguard.probes.answer import wrong
from lvsguard.probes.outcome import Outcome, excerpt, plain, seconds

READ_MAX: Final = 65536
"""Bytes in which the expected ones must come."""

_CONNECTED: Final = Outcome(True, "L4OK", "connected")
_MATCHED: Final = Outcome(True, "L7OK", "answered as expected")


class TcpCheck:
    """A tcp check made ready."""

    __slots__ = ("expect", "request")

    def __init__(self, check: Check) -> None:
        spec = check.spec.tcp or TcpSpec()
        self.request = spec.send
        self.expect = spec.expect

    def open(self) -> TcpTalk:
        """Begin one conversation."""
        return TcpTalk(self)


class TcpTalk:
    """One conversation (see ``outcome.Conversation``)."""

    __slots__ = ("_expect", "_got", "request")

    def __init__(self, check: TcpCheck) -> None:
        self.request = check.request
        self._expect = check.expect
        self._got = bytearray()

    def sent(self) -> Outcome | None:
        """See ``Conversation``: without an expectation this is success."""
        return None if self._expect else _CONNECTED

    def feed(self, data: bytes) -> Outcome | None:
        """See ``Conversation``."""
        if not self._expect:
            return None  # a banner that came before all was sent
        start = max(len(self._got) - len(self._expect) + 1, 0)
        self._got += data
        if self._got.find(self._expect, start, READ_MAX) >= 0:
            return _MATCHED
        if len(self._got) < READ_MAX:
            return None
        return wrong(f"{self._wanted()} is not in the first {READ_MAX} bytes", self._got)

    def closed(self) -> Outcome:
        """See ``Conversation``."""
        if not self._expect:
            return wrong("closed before all was sent")
        if not self._got:
            return wrong(f"closed without an answer, expected {self._wanted()}")
        text = plain(bytes(self._got[:60]).decode("latin-1"))
        return wrong(f"closed after {text!r}, expected {self._wanted()}", self._got)

    def reset(self, error: OSError) -> Outcome:
        """See ``Conversation``."""
        text = plain((error.strerror or str(error)).lower())
        return wrong(f"{text}, after {len(self._got)} bytes")

    def expired(self, timeout: float) -> Outcome:
        """See ``Conversation``."""
        if not self._expect:
            reason = f"connected, but could not send all within {seconds(timeout)}"
        else:
            reason = f"connected, but no {self._wanted()} within {seconds(timeout)}"
        return Outcome(False, "L7TOUT", reason, FailureClass.TIMEOUT, excerpt(self._got))

    def _wanted(self) -> str:
        return plain(repr(self._expect.decode("latin-1"))[:60])
