"""A turn of this director, so that what it chooses knows of what others have chosen.

Whoever is not heard, or does not answer in time, holds up nothing: it is told instead.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

from lvsguard.admin import peer_turns
from lvsguard.admin.etcd_channel import EtcdChannel
from lvsguard.admin.peer_channel import PeerChannel
from lvsguard.admin.peer_session import Peer, Shared
from lvsguard.core.turns import Told

TURN_S: Final = 2.0
"""How long a turn is waited for. On a network that is well it takes milliseconds."""
LOOK_S: Final = 0.005
"""Rhythm of the looks at what others have said meanwhile."""


@asynccontextmanager
async def turn(
    channel: PeerChannel | EtcdChannel, shared: Shared, *, lost: bool = False
) -> AsyncIterator[tuple[str, ...]]:
    """Have a turn at the directors' overrides. Gives a line for each of the others that this one
    goes without. ``lost``: nobody can be asked now."""
    turns = channel.turns
    turns.begin(time.time())
    channel.news()
    try:
        if not lost:
            await _wait(channel, shared)
        yield tuple(_without(channel, shared, lost))
    finally:
        turns.end()
        channel.news()


async def _wait(channel: PeerChannel | EtcdChannel, shared: Shared) -> None:
    until = time.monotonic() + TURN_S
    while time.monotonic() < until:
        if not _awaited(channel, shared):
            return
        await asyncio.sleep(LOOK_S)


def _awaited(channel: PeerChannel | EtcdChannel, shared: Shared) -> list[Peer]:
    """Those that are heard, and do not let this one go first yet."""
    return [
        peer
        for peer in channel.peers.values()
        if not peer.silent
        and (told := _told(peer, shared)) is not None
        and not channel.turns.lets(told)
    ]


def _told(peer: Peer, shared: Shared) -> Told | None:
    beat = peer.beat
    if beat is None or beat.turns is None:
        return None
    return Told(
        peer_turns.stamp(beat.turn, peer.name),
        peer_turns.stamps(beat.turns),
        beat.overrides == shared.fingerprint,
    )


def _without(channel: PeerChannel | EtcdChannel, shared: Shared, lost: bool) -> Iterable[str]:
    if lost and not channel.peers:
        yield "etcd has not told who the other directors are"
    for peer in channel.peers.values():
        told = _told(peer, shared)
        if lost or peer.silent:
            yield f"director {peer.name} is not heard"
        elif told is None:
            yield f"director {peer.name} has an lvsguard that takes no turns (upgrade it)"
        elif not told.same:
            yield f"director {peer.name} does not hold the same overrides (see lvsguard status)"
        elif not channel.turns.lets(told):
            yield f"director {peer.name} has not answered within {TURN_S:g} s"
