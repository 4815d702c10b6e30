"""Whose MAC address it is that claims a VIP, asked of the kernel."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from errno import ENETUNREACH
from ipaddress import ip_address

import pytest

from lvsguard.controller.neighbours import Neighbours
from lvsguard.controller.whereabouts import AGAIN_S, ASKED_MAX, FIRST_S, Whereabouts
from lvsguard.core.model import IPAddress
from lvsguard.kernel.nexthop import Neighbour, NextHop
from lvsguard.kernel.port import KernelError

RS1, RS2, FAR, LOST, GATEWAY = map(
    ip_address, ("10.0.0.42", "10.0.0.43", "10.1.0.42", "10.2.0.42", "10.0.0.1")
)
MAC = "02:00:00:00:00:2a"


@dataclass
class Table:
    """The kernel's neighbours, in memory."""

    macs: dict[IPAddress, str] = field(default_factory=dict)
    resolved: list[IPAddress] = field(default_factory=list)
    closed: bool = False

    def route(self, destination: IPAddress) -> NextHop | None:
        if destination == LOST:
            raise KernelError("there is no route", ENETUNREACH)
        return NextHop(2, GATEWAY if destination == FAR else destination, None)

    def neighbour(self, hop: NextHop) -> Neighbour:
        return Neighbour(bytes.fromhex(self.macs.get(hop.neighbour, "").replace(":", "")), True)

    def resolve(self, hop: NextHop) -> None:
        self.resolved.append(hop.neighbour)

    def close(self) -> None:
        self.closed = True


class Scene:
    def __init__(self) -> None:
        self.now = 100.0
        self.named = 0
        self.looked = asyncio.Event()
        self.table = Table({GATEWAY: "02:00:00:00:00:01"})
        self.sought: list[IPAddress] = [LOST, FAR, RS1, RS2]
        self.neighbours = Neighbours(lambda event: None, lambda: self.now)
        self.whereabouts = Whereabouts(
            self.neighbours,
            sought=lambda: self.sought,
            named=self._named,
            kernel=self.table,
            clock=lambda: self.now,
        )

    def _named(self) -> None:
        self.named += 1
        self.looked.set()

    def turn(self, after: float = 0.0) -> None:
        self.now += after
        asyncio.run(self.whereabouts.turn())


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_nothing_is_asked_while_everybody_has_a_name(scene: Scene) -> None:
    scene.turn()
    scene.sought = []
    scene.whereabouts.seek()
    scene.turn()
    assert (scene.table.resolved, scene.named) == ([], 0)


def test_a_realserver_that_the_kernel_knows_is_found(scene: Scene) -> None:
    scene.table.macs[RS1] = MAC
    scene.whereabouts.seek()
    scene.turn()
    assert scene.neighbours.at(MAC) == (RS1,)
    assert scene.named == 1


def test_who_is_behind_a_gateway_has_not_its_mac_address(scene: Scene) -> None:
    scene.whereabouts.seek()
    scene.turn()
    assert scene.neighbours.at("02:00:00:00:00:01") == ()


def test_one_that_the_kernel_does_not_know_is_asked_for_and_looked_up_again(scene: Scene) -> None:
    scene.whereabouts.seek()
    scene.turn()
    assert scene.table.resolved == [RS1, RS2]
    scene.table.macs[RS2] = MAC
    scene.turn(FIRST_S / 2)
    assert scene.neighbours.at(MAC) == ()
    scene.turn(FIRST_S / 2)
    assert scene.neighbours.at(MAC) == (RS2,)


def test_it_goes_on_each_minute_as_long_as_somebody_has_no_name(scene: Scene) -> None:
    scene.whereabouts.seek()
    for pause in (0.0, FIRST_S, AGAIN_S - 1, 1.0, AGAIN_S):
        scene.turn(pause)
    assert scene.named == 4
    scene.sought = []
    scene.turn(AGAIN_S)
    scene.turn(AGAIN_S)
    assert scene.named == 4


def test_the_kernel_is_had_to_ask_for_a_few_only(scene: Scene) -> None:
    scene.sought = [RS1 + more for more in range(2 * ASKED_MAX)]
    scene.whereabouts.seek()
    scene.turn()
    assert len(scene.table.resolved) == ASKED_MAX


def test_it_looks_at_once_and_gives_its_socket_back(scene: Scene) -> None:
    async def story() -> None:
        running = asyncio.create_task(scene.whereabouts.run())
        await asyncio.sleep(0)
        scene.table.macs[RS1] = MAC
        scene.whereabouts.seek()
        async with asyncio.timeout(0.5):
            await scene.looked.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(story())
    assert scene.neighbours.at(MAC) == (RS1,)
    assert scene.table.closed


def test_of_many_that_never_answer_others_are_asked_the_next_time(scene: Scene) -> None:
    scene.sought = [ip_address("10.0.1.0") + number for number in range(ASKED_MAX + 10)]
    scene.whereabouts.seek()
    scene.turn()
    scene.turn(FIRST_S)
    assert set(scene.table.resolved) == set(scene.sought)
