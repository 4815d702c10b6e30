"""A neighbour that the kernel gives up, as the kernel reports it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from lvsguard.kernel.address_events import AddressEvents
from lvsguard.kernel.port import NeighbourFailed
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
