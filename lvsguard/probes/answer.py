"""Judges an HTTP answer's status and body against what a check expects. Pure.

Shared by http and https, so that both say the same of the same answer. Bodies are judged as they
came: an encoded one is never unpacked.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from types import FrameType
from typing import Final

from lvsguard.core.config import HttpSpec
from lvsguard.core.health import FailureClass
from lvsguard.probes.outcome import Outcome, excerpt, plain

REGEX_LIMIT_S: Final = 0.05
"""Seconds of CPU that a regular expression may take on one body."""


class Answer:
    """What an HTTP check expects, made ready once."""

    __slots__ = ("_broken", "_good", "_needle", "_regex", "_spec", "max_body", "wants_body")

    def __init__(self, spec: HttpSpec) -> None:
        self._spec = spec
        self._good: dict[int, Outcome] = {}
        self._needle = (spec.expect_body or "").encode()
        self._broken: Outcome | None = None
        self._regex: re.Pattern[str] | None = None
        if spec.expect_regex is not None:
            try:
                self._regex = re.compile(spec.expect_regex)
            except re.error as error:
                reason = f"expect_regex cannot be used, correct it: {error}"
                self._broken = Outcome(False, "SOCKERR", plain(reason), FailureClass.LOCAL)
        self.max_body = max(spec.max_body, 0)
        self.wants_body = bool(self._needle) or self._regex is not None

    def head(self, status: int, reason: str) -> Outcome | None:
        """Judge the status; None means that the body decides."""
        if self._broken is not None:
            return self._broken
        if status not in self._spec.expect_status:
            expected = _numbers(self._spec.expect_status)
            text = plain(f"{status} {reason or _phrase(status)}".rstrip())
            reason = f"{text}, expected {expected}"
            return Outcome(False, "L7STS", reason, FailureClass.WRONG, text)
        if not self.wants_body:
            return self._ok(status)
        if self._spec.method == "HEAD":
            return wrong("a HEAD request gets no body: use GET, or expect no body")
        return None

    def encoded(self, encoding: str) -> Outcome | None:
        """Judge Content-Encoding, where the body decides."""
        if encoding.strip().lower() in ("", "identity"):
            return None
        text = plain(encoding)
        return wrong(f"the body is {text}-encoded though identity was asked: cannot look into it")

    def part(self, status: int, body: bytearray, fresh: int) -> Outcome | None:
        """Judge the body so far, of which the last ``fresh`` bytes are new."""
        if self._needle and self._regex is None:
            start = max(len(body) - fresh - len(self._needle) + 1, 0)
            if body.find(self._needle, start, self.max_body) >= 0:
                return self._ok(status)
        return self.whole(status, body) if len(body) >= self.max_body else None

    def whole(self, status: int, body: bytearray) -> Outcome:
        """Judge the whole body, or as much of it as is ever read."""
        del body[self.max_body :]
        size = f"{len(body)} bytes"
        if self._needle not in body:
            missing = plain(self._spec.expect_body or "")
            return wrong(f"{status}, but {missing!r} is not in {size}", body)
        if self._regex is not None:
            try:
                found = _search(self._regex, body.decode(errors="replace"))
            except _TooSlow:
                return wrong(
                    f"{status}, but expect_regex took more than {REGEX_LIMIT_S * 1000:g} ms of CPU"
                    f" on {size}: use a simpler one"
                )
            if not found:
                return wrong(f"{status}, but expect_regex does not match in {size}", body)
        return self._ok(status)

    def _ok(self, status: int) -> Outcome:
        found = self._good.get(status)
        if found is None:
            found = Outcome(True, "L7OK", f"{status} {_phrase(status)}".rstrip())
            self._good[status] = found
        return found


@lru_cache(maxsize=4096)
def expecting(spec: HttpSpec) -> Answer:
    """Make ready what a check expects, once for all that expect the same."""
    return Answer(spec)


def wrong(reason: str, data: bytes | bytearray = b"") -> Outcome:
    """An answer, but not one that was expected; ``data``: the bytes that show it."""
    return Outcome(False, "L7RSP", reason, FailureClass.WRONG, excerpt(data))


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


@lru_cache(maxsize=64)
def _numbers(statuses: frozenset[int]) -> str:
    ordered = sorted(statuses)
    text = ", ".join(map(str, ordered[:5]))
    return f"{text}, ..." if len(ordered) > 5 else text or "none"


class _TooSlow(Exception):
    """A regular expression took too long on what a hostile peer made up for it."""


def _search(pattern: re.Pattern[str], text: str) -> bool:
    """Search under a limit of CPU time. The engine of ``re`` heeds signals as it backtracks."""
    armed = True

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        if armed:
            raise _TooSlow

    try:
        previous: Callable[..., object] | int | None = signal.signal(signal.SIGVTALRM, interrupt)
    except ValueError:  # not the main thread: no limit to be had
        return pattern.search(text) is not None
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, REGEX_LIMIT_S)
        return pattern.search(text) is not None
    finally:
        armed = False
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous)
