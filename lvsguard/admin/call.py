"""A request and an answer as the resources of the API see them, free of HTTP's details."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass

from lvsguard.admin.protocol import Failure, Reply


class Refusal(Exception):
    """An answer that is not 2xx."""

    def __init__(self, status: int, failure: Failure, allow: str = "") -> None:
        """``allow``: the methods that the path has, for the header of that name."""
        super().__init__(failure.error)
        self.status = status
        self.failure = failure
        self.allow = allow


def refuse(status: int, code: str, error: str) -> Refusal:
    """A refusal without lists."""
    return Refusal(status, Failure(code=code, error=error))


@dataclass(frozen=True, slots=True)
class Call:
    """A request, as the resources see it."""

    query: Mapping[str, str]
    body: Callable[[int], Awaitable[bytes]]
    """Reads the whole body, at most so many bytes."""
    actor: Callable[[], Awaitable[str]]
    gone: Callable[[], bool]
    """Whether the peer has left."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A reply that is made while it is sent. ``endless``: its connection may live on."""

    content_type: str
    pieces: AsyncGenerator[bytes, None]
    endless: bool = False


Answer = Reply | Stream
Resource = Callable[[Call], Awaitable[Answer]]
