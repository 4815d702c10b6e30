"""A director whose VRRP process cannot start: what a stop leaves behind, and who is in the way."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from lvsguard.controller.factbook import FactBook
from lvsguard.controller.pulse import Pulse
from lvsguard.controller.standing import Standings
from lvsguard.core.config import Config, OnStop, VipConfig
from lvsguard.core.event import Event
from lvsguard.core.model import VipAddress
from lvsguard.core.vrrp import VrrpConfig
from lvsguard.core.vrrp_event import VrrpProcessDied, VrrpTold
from lvsguard.daemon.elections import Elections
from lvsguard.kernel.address import LinuxAddresses
from lvsguard.vrrp import message
from lvsguard.vrrp.client import COMMAND
from tests.contract.vrrp_ends import VIP, VIP6
from tests.support.processes import Process
from tests.support.topology import Host
from tests.support.vrrp_child import held
from tests.support.vrrp_controller import config
from tests.support.wire_pair import Pair, namespaces_problem, pair

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(namespaces_problem()), reason=f"no network namespaces: {namespaces_problem()}"
    ),
]
BOTH = (VipAddress("eth0", VIP, 24), VipAddress("eth0", VIP6, 64))
STANDING = {f"{VIP}/24", f"{VIP6}/64"}
BROKEN = ("/bin/false",)
INTERVAL = 0.5


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with pair(tmp_path) as made:
        hosts: Pair = made
        yield hosts.left


class Director:
    """Its elections, ready, and what they told."""

    def __init__(self, elections: Elections, events: list[Event]) -> None:
        self.elections = elections
        self.events = events

    async def until(self, holds: Callable[[], bool], within: float = 10.0) -> None:
        end = time.monotonic() + within
        while not holds():
            assert time.monotonic() < end, self.events
            await asyncio.sleep(0.02)

    def leads(self) -> bool:
        return any(one.role == "master" for one in self.elections.client.states.values())

    def told(self, kind: type[Event]) -> list[str]:
        return [str(event) for event in self.events if isinstance(event, kind)]


@asynccontextmanager
async def director(host: Host, command: tuple[str, ...]) -> AsyncIterator[Director]:
    wanted: Config = config([VipConfig("web", BOTH, VrrpConfig(51, 150, interval=INTERVAL))])
    events: list[Event] = []
    with host.entered():
        addresses = LinuxAddresses()
        standings = Standings(wanted, FactBook(wanted), Pulse(programmed=True))
        elections = Elections(wanted, standings, addresses, emit=events.append, command=command)
        running = asyncio.create_task(elections.run())
        try:
            yield Director(elections, events)
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            elections.client.close()
            await addresses.close()


def put_on(host: Host) -> None:
    for one in BOTH:
        host.run("ip", "address", "add", str(one.address) + f"/{one.prefix}", "dev", "eth0")


@pytest.mark.parametrize(
    ("on_stop", "stays"), [(OnStop.AUTO, False), (OnStop.REMOVE, False), (OnStop.KEEP, True)]
)
async def test_a_stop_takes_off_what_a_process_that_cannot_start_left_behind(
    host: Host, on_stop: OnStop, stays: bool
) -> None:
    put_on(host)
    async with director(host, BROKEN) as one:
        await one.until(lambda: bool(one.told(VrrpProcessDied)))
        await one.elections.leave(on_stop)
        assert held(host) == (STANDING if stays else set())
        assert bool(one.told(VrrpTold)) is not stays


async def test_what_a_killed_master_holds_stays_until_another_can_have_taken_over(
    host: Host, tmp_path: Path
) -> None:
    """The process works once, and is broken from then on."""
    once = tmp_path / "once"
    script = f'test -e {once} && exit 1; touch {once}; exec "$@"'
    async with director(host, ("/bin/sh", "-c", script, "sh", *COMMAND)) as one:
        client = one.elections.client
        await one.until(one.leads, 20)
        host.run("kill", "-9", str(client.pid))
        begun = time.monotonic()
        await one.until(lambda: bool(one.told(VrrpProcessDied)))
        assert held(host) == STANDING
        await one.elections.leave(OnStop.AUTO)
        assert held(host) == set()
        assert 2 * INTERVAL < time.monotonic() - begun < 4 * INTERVAL + 1


async def test_a_process_that_hands_over_leaves_nothing_to_be_taken_off(host: Host) -> None:
    async with director(host, COMMAND) as one:
        await one.until(one.leads, 20)
        await one.elections.leave(OnStop.AUTO)
        assert held(host) == set()
        assert not [text for text in one.told(VrrpTold) if "hand over" in text]


OCCUPANT = """
import os, socket, sys, time
os.setuid(65534)
taken = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
taken.bind(bytes.fromhex(sys.argv[1]))
if len(sys.argv) > 2: taken.listen(8)
print("bound", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("listens", [True, False])
async def test_somebody_who_has_the_socket_is_told_once_and_does_not_end_the_director(
    host: Host, listens: bool
) -> None:
    arguments = [message.NAME.hex(), *(["listen"] if listens else [])]
    other: Process = host.start("occupant", sys.executable, "-c", OCCUPANT, *arguments)
    other.wait_for("bound")
    async with director(host, COMMAND) as one:
        await one.until(lambda: bool(one.told(VrrpTold) + one.told(VrrpProcessDied)))
        await asyncio.sleep(1.5)
        (said, *again) = one.told(VrrpTold) + one.told(VrrpProcessDied)
        assert "ss -xap" in said
        if listens:
            assert again == []
            assert "@lvsguard-vrrp" in one.elections.client.trouble
        other.stop()
        await one.until(lambda: one.elections.client.alive)
        assert one.elections.client.trouble == ""
        await one.elections.leave(OnStop.AUTO)
