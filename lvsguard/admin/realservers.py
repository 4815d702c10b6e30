"""The words of GET /v1/realservers: some realservers as they are now, for whoever follows them.

Part of version 1 of the API (protocol.py). A fraction of the status document, with what it takes to
know when a drain is over: how often the kernel was read, and whether its counts can be believed.
Nothing here acts.
"""

from __future__ import annotations

from lvsguard.admin.protocol import Name, Reply, Request
from lvsguard.admin.status_reply import ServiceReply


class RealserversRequest(Request, frozen=True):
    """GET /v1/realservers?target=&service=."""

    target: Name | None = None
    """As in SetOverride; None: all of the service."""
    service: Name | None = None


class FollowedService(ServiceReply, frozen=True, kw_only=True):
    """A service with those of its realservers that were asked for."""

    here: bool
    """Whether this director holds the VIP, so that its kernel counts by itself."""
    doubt: str = ""
    """Why the connections cannot be believed; empty: they can."""


class RealserversReply(Reply, frozen=True):
    """GET /v1/realservers."""

    reads: int
    """Of the kernel, since the daemon's start: ``connections`` are from the last one."""
    services: list[FollowedService]
