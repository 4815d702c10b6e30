"""Whose MAC address it is, asked of a real kernel that has sent nothing there yet."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from lvsguard.controller.neighbours import Neighbours
from lvsguard.controller.whereabouts import Whereabouts
from tests.support.wire_pair import Pair, namespaces_problem, pair

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(namespaces_problem()), reason=f"no network namespaces: {namespaces_problem()}"
    ),
]

SECONDS = 5.0
"""One look, a second, and the next one; and the load of the host."""


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Pair]:
    with pair(tmp_path) as made:
        yield made


@pytest.mark.parametrize("realserver", ["10.0.0.40", "fd00::40"])
def test_a_realserver_that_nobody_has_asked_is_found(hosts: Pair, realserver: str) -> None:
    address = ip_address(realserver)
    nobody, far = ip_address("10.0.0.99"), ip_address("203.0.113.7")
    neighbours = Neighbours(lambda event: None)

    async def story() -> None:
        named = asyncio.Event()

        def look() -> None:
            if neighbours.at(hosts.right.mac):
                named.set()

        whereabouts = Whereabouts(neighbours, sought=lambda: (nobody, far, address), named=look)
        whereabouts.seek()
        running = asyncio.create_task(whereabouts.run())
        try:
            async with asyncio.timeout(SECONDS):
                await named.wait()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    with hosts.left.entered():
        asyncio.run(story())
    assert neighbours.at(hosts.right.mac) == (address,)
