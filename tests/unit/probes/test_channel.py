"""The socket between a prober process and its controller: what a slow reader does to it."""

from __future__ import annotations

import asyncio
import socket

from lvsguard.probes.channel import Channel
from lvsguard.probes.message import Heartbeat


async def test_when_the_other_end_keeps_up_again_it_is_told() -> None:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    resumed: list[bool] = []
    channel = await Channel.on(ours, lambda frame: None, lambda: resumed.append(channel.clear))
    sent = 0
    while channel.clear:
        channel.send(Heartbeat(0.0, sent, 0, 0, "x" * 1000))
        sent += 1
    assert resumed == []
    async with asyncio.timeout(10):
        while not resumed:
            await asyncio.get_running_loop().sock_recv(theirs, 65536)
    assert resumed == [True]
    channel.close()
    await channel.lost
    theirs.close()
