"""A prober process: ``python -m lvsguard.probes.process FD``, started by ``pool``.

It runs the checks that come over the socket FD, reports over it, and ends when it closes, for then
the controller is gone. It imports as little as it can: no pyroute2, no pydantic, and aiohttp only
for https checks.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import socket
import sys
from typing import Any, Final, NoReturn

from lvsguard.core.agent import Standing
from lvsguard.core.health import Health
from lvsguard.core.model import IPAddress
from lvsguard.probes import message
from lvsguard.probes.channel import Channel
from lvsguard.probes.engine import Engine, Loop
from lvsguard.probes.hints import GATHER_S
from lvsguard.probes.message import (
    Configure,
    Counted,
    Counts,
    Heartbeat,
    Hello,
    MessageError,
    Met,
    ProbeNow,
    Verdicts,
    Words,
)
from lvsguard.probes.prober import SPARE_FDS, Prober

BEAT_S: Final = 1.0
"""Seconds between two heartbeats, counts and new reasons."""
COUNTS_MAX: Final = 100
SPREAD_S: Final = 0.5
"""Seconds over which more counts than that are sent, part by part: the controller's loop, which
takes some milliseconds for a hundred, has other things to do between two."""
GARBAGE_MAX: Final = 20_000
"""Objects made and not freed before the collector looks: probes leave it nothing to do."""


class Child:
    """The prober and its channel, and what waits to be sent."""

    def __init__(self, engine: Engine) -> None:
        limit = raise_file_limit() - SPARE_FDS
        self._engine = engine
        self._prober = Prober(engine, self._report, say=self._say, limit=limit, met=self._meet)
        self._channel: Channel | None = None
        self._greeted = False
        self._news: dict[int, Health] = {}
        """The latest of each check only, so that it stays small while nobody listens."""
        self._news_since = 0.0
        self._words: dict[int, Standing] = {}
        self._met: dict[IPAddress, bytes] = {}

    async def run(self, sock: socket.socket) -> None:
        """Serve until the other end is gone; ``MessageError`` where it talks nonsense."""
        channel = self._channel = await Channel.on(sock, self._take, self._send_news)
        channel.send(Hello(message.VERSION))
        beat = asyncio.create_task(self._beat(channel))
        try:
            error = await channel.lost
        finally:
            beat.cancel()
            self._prober.close()
        if isinstance(error, MessageError):
            raise error

    def _take(self, frame: bytes) -> None:
        received = message.decode_to_prober(frame)
        if not self._greeted:
            message.check_version(received)
            self._greeted = True
        elif isinstance(received, Configure):
            self._configure(received)
        elif isinstance(received, ProbeNow) and received.hint is not None:
            self._prober.hint(received.numbers, received.hint, down=received.all)
        elif isinstance(received, ProbeNow):
            self._prober.probe_now(received.numbers, received.delays)

    def _configure(self, received: Configure) -> None:
        for number in received.remove:
            self._prober.remove(number)
            self._news.pop(number, None)
            self._words.pop(number, None)
        try:
            for number, check, health in message.checks(received):
                self._prober.add(number, check, health)
            for number, agent, standing in message.agents(received):
                self._prober.agents.add(number, agent, standing)
        except (ValueError, KeyError) as error:
            raise MessageError(f"a check that cannot run: {error}") from error
        # What came with the checks lives as long as they do: the collector need not look again.
        gc.freeze()

    def _report(self, number: int, health: Health) -> None:
        if not self._news:
            self._news_since = self._engine.now
            asyncio.get_running_loop().call_soon(self._send_news)
        self._news[number] = health

    def _say(self, number: int, standing: Standing) -> None:
        if not self._words:
            asyncio.get_running_loop().call_soon(self._send_news)
        self._words[number] = standing

    def _meet(self, address: IPAddress, mac: bytes) -> None:
        if not self._met:
            asyncio.get_running_loop().call_soon(self._send_news)
        self._met[address] = mac

    def _send_news(self) -> None:
        channel = self._channel
        if channel is None or not channel.clear:
            return  # called again when it is
        hosts, self._met = [(str(a), mac) for a, mac in self._met.items()], {}
        for hosts_part in message.chunks(hosts):
            channel.send(Met(list(hosts_part)))
        words, self._words = list(self._words.items()), {}
        for said in message.chunks(words):
            channel.send(Words(list(said)))
        if self._news and (rest := self._rest()) > 0:
            asyncio.get_running_loop().call_later(rest, self._send_news)
            return
        news, self._news = list(self._news.items()), {}
        for part in message.chunks(news):
            channel.send(Verdicts(list(part)))

    def _rest(self) -> float:
        """Seconds that news wait, so that what a storm of hints finds out makes one plan."""
        now = self._engine.now
        return min(self._prober.hints.rest(now), self._news_since + GATHER_S - now)

    async def _beat(self, channel: Channel) -> None:
        prober, spread = self._prober, 0.0
        while True:
            await asyncio.sleep(BEAT_S - spread)
            spread = 0.0
            if not channel.clear:
                continue  # counts go on counting; only the parent can be slow, and it is told
            load = prober.load()
            channel.send(
                Heartbeat(load.lateness, load.in_flight, load.waiting, load.local, load.trouble)
            )
            for number, health in prober.reasons():
                self._news[number] = health
            self._send_news()
            counts = [
                Counted(
                    c.number,
                    dict(c.codes),
                    c.seconds,
                    c.buckets,
                    c.last,
                    dict(c.failures),
                    c.expires,
                )
                for c in prober.counts()
            ]
            parts = [*message.chunks(counts, COUNTS_MAX)]
            for part in parts:
                channel.send(Counts(list(part)))
                spread = SPREAD_S if len(parts) > 1 else 0.0
                await asyncio.sleep(spread / len(parts))


def raise_file_limit() -> int:
    """Raise the soft limit of open files to the hard one; returns it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = 1 << 20
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def _end(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> NoReturn:
    """End at a bug: the controller's side starts a new process, and the verdicts stand."""
    loop.default_exception_handler(context)
    sys.stderr.flush()
    os._exit(1)


def main(argv: list[str]) -> int:
    """Run on the socket whose file descriptor is the one argument; returns the exit status."""
    # The terminal's and the service manager's signals are the controller's to act on.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    engine = Engine()
    with asyncio.Runner(loop_factory=lambda: Loop(engine)) as runner:
        runner.get_loop().set_exception_handler(_end)
        child = Child(engine)
        gc.collect()
        gc.freeze()
        gc.set_threshold(GARBAGE_MAX)
        try:
            runner.run(child.run(socket.socket(fileno=int(argv[0]))))
        except MessageError as error:
            sys.stderr.write(f"prober: {error}\n")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
