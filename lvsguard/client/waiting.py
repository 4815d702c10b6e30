"""Waits until realservers are empty, or back; over restarts of the daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Final, Protocol

from msgspec.structs import replace

from lvsguard.admin.protocol import ChangeReply, ShareReply
from lvsguard.admin.reach import Refused, Unreachable
from lvsguard.admin.realservers import RealserversReply
from lvsguard.admin.waiting import Place, Progress

WAIT_S: Final = 900.0
"""As long as the kernel remembers a TCP connection that is silent."""
POLL_S: Final = 0.5
_GONE: Final = frozenset({"unknown-target", "unknown-service"})
"""Refusals of what is not configured any more."""


class Ask(Protocol):
    """Tells of realservers as they are now."""

    async def __call__(
        self, target: str | None = None, *, service: str | None = None
    ) -> RealserversReply:
        """Those that the target means in this service. Raises Unreachable and Refused."""


class Judge(Protocol):
    """Decides from look to look (admin.waiting)."""

    def look(self, replies: Sequence[RealserversReply], now: float, /) -> Progress:
        """Take answers in."""


def places(change: ChangeReply) -> frozenset[Place]:
    """The realservers that a change concerns; of a share all that are out."""
    already = change.already if isinstance(change, ShareReply) else []
    concerned = (*change.realservers, *already)
    return frozenset(Place(one.service, one.address, one.port) for one in concerned)


async def wait(ask: Ask, watched: Collection[Place], judge: Judge, seconds: float) -> Progress:
    """Look again and again until it is over or lost, or so many seconds have passed."""
    loop = asyncio.get_running_loop()
    end, pause = loop.time() + seconds, POLL_S / 4
    while True:
        gone: Unreachable | None = None
        at = loop.time()
        try:
            progress = judge.look(await _look(ask, watched), at)
        except Unreachable as error:
            gone = error
        else:
            if progress.over or progress.lost or loop.time() >= end:
                return progress
        if gone is not None and loop.time() >= end:
            raise gone
        # A look at many takes the daemon a while: it gets four times that to itself.
        await asyncio.sleep(max(min(max(pause, 4 * (loop.time() - at)), end - loop.time()), 0))
        pause = min(2 * pause, POLL_S)


async def _look(ask: Ask, watched: Collection[Place]) -> list[RealserversReply]:
    """Each service once, and of it those that are watched."""
    replies = []
    for name in sorted({place.service for place in watched}):
        within = [place for place in watched if place.service == name]
        alone = within[0].target if len(within) == 1 else None
        try:
            reply = await ask(alone, service=name)
        except Refused as error:
            if error.failure.code not in _GONE:
                raise
            continue  # a reload took it out of the configuration: it is not there
        services = [
            replace(
                one,
                realservers=[
                    r for r in one.realservers if Place(name, r.address, r.port) in within
                ],
            )
            for one in reply.services
        ]
        replies.append(replace(reply, services=services))
    return replies
