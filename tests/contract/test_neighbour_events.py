"""A neighbour that the kernel gives up, as the kernel reports it."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

import pytest

from lvsguard.controller.factbook import FactBook
from lvsguard.controller.linksigns import LinkSigns
from lvsguard.core.config import CheckKind, CheckSpec
from lvsguard.core.health import Timing
from lvsguard.core.model import RealserverKey
from lvsguard.core.tally import Tally
from lvsguard.kernel.address_events import AddressEvents
from lvsguard.kernel.port import NeighbourFailed
from lvsguard.probes.pool import Probers
from tests.support.rig import config, realserver, service
from tests.support.wire_pair import Pair, namespaces_problem, pair

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(namespaces_problem()), reason=f"no network namespaces: {namespaces_problem()}"
    ),
]


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Pair]:
    with pair(tmp_path) as made:
        yield made


@pytest.mark.parametrize("nobody", ["10.0.0.99", "fd00::99"])
def test_a_host_that_answers_no_question_of_the_kernel_is_told(hosts: Pair, nobody: str) -> None:
    async def story() -> None:
        events = AddressEvents()
        try:
            family = socket.AF_INET6 if ":" in nobody else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as sock:
                sock.sendto(b"is anybody there", (nobody, 9))
            async with asyncio.timeout(20):
                while await anext(events) != NeighbourFailed(ip_address(nobody)):
                    pass
        finally:
            events.close()

    with hosts.left.entered():
        asyncio.run(story())


def test_a_host_that_is_gone_is_not_probed_again_for_each_time_the_kernel_gives_it_up(
    hosts: Pair,
) -> None:
    """Each probe has the kernel look for it, and give it up three seconds later."""
    timing = Timing(interval=1.0, fast_interval=0.1, down_interval=600.0, timeout=1.0)
    key = RealserverKey(ip_address("10.0.0.99"), 80)
    book = FactBook(config(service(realserver(key, spec=CheckSpec(CheckKind.TCP, timing)))))
    probes: Counter[str] = Counter()

    def tally(tallies: Sequence[Tally]) -> None:
        for one in tallies:
            probes.update(one.codes)

    async def story() -> int:
        probers = Probers(1, record=lambda *_: None, tally=tally, died=lambda *_: None)
        signs, events, given_up = LinkSigns(lambda: book, probers.hint), AddressEvents(), 0
        running = asyncio.create_task(probers.run())
        try:
            probers.configure(book.checks)
            with suppress(TimeoutError):
                async with asyncio.timeout(18):
                    async for change in events:
                        given_up += isinstance(change, NeighbourFailed)
                        signs.follow(change)
            return given_up
        finally:
            events.close()
            running.cancel()
            await asyncio.wait([running])

    with hosts.left.entered():
        given_up = asyncio.run(story())
    assert given_up > 0
    assert 0 < probes.total() <= 3  # two make it down, and one begins its phase
