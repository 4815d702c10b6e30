"""The words of a failover: request and reply of the admin API, and the daemon's refusal.

Part of version 1 of the API (protocol.py); nothing here acts.
"""

from __future__ import annotations

from enum import StrEnum

from lvsguard.admin.protocol import Name, Reply, Request


class Outcome(StrEnum):
    """What became of a request for one VIP group. Public."""

    DONE = "done"
    """Another director has taken over; or, asked to resume, it may preempt again."""
    NOBODY = "nobody"
    """Nobody came; this director went on as master."""
    UNFINISHED = "unfinished"
    """Not over yet, or broken off: the text tells."""


class FailoverRequest(Request, frozen=True):
    """POST /v1/failover: give up mastership, and leave it to the successor."""

    vip: Name | None = None
    """Name of a VIP group; None: all that this director is master of (with ``resume``: all that are
    held back)."""
    resume: bool = False
    """End a failover instead: this director may preempt again."""
    force: bool = False
    """Hand over to a director that is not fit to take over, too."""


class FailedOver(Reply, frozen=True):
    """What became of one VIP group."""

    vip: str
    """Name of the VIP group."""
    outcome: Outcome
    successor: str
    """Its address; empty: not known."""
    seconds: float
    """From the request to the outcome."""
    text: str
    """One sentence, with what to do next."""


class FailoverReply(Reply, frozen=True):
    """What became of POST /v1/failover."""

    vips: list[FailedOver]
    """Each one that was asked."""


class FailoverRefused(Exception):
    """Nothing was asked of anybody. The message tells what to do."""

    def __init__(
        self,
        code: str,
        message: str,
        known: tuple[str, ...] = (),
        problems: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        """``unknown-vip``, ``no-election``, ``not-master``, ``unfit`` or ``failed``."""
        self.known = known
        self.problems = problems
        """What speaks against it, one line each, with what to do."""
