"""A request and an answer as the resources of the API see them, free of HTTP's details."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from lvsguard.admin.protocol import Failure, Reply, Request

_Request = TypeVar("_Request", bound=Request)


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


def decode(body: bytes, kind: type[_Request]) -> _Request:
    """A body as the request that it is. Raises Refusal."""
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (ValueError, RecursionError) as error:
        raise refuse(400, "bad-request", f"body: {error}") from None


def say_one_line(**texts: str) -> None:
    """Refuse texts that a line of a log or a table could not show, by name."""
    for name, text in texts.items():
        if not text.isprintable():
            message = f"{name}: leave out line breaks and control characters"
            raise refuse(400, "bad-request", message)


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
