"""What the kernel reports of links, addresses and neighbours, as hints."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address

import pytest

from lvsguard.controller.factbook import FactBook
from lvsguard.controller.linksigns import LinkSigns
from lvsguard.core.config import ArpSpec, Check, CheckKind, CheckSpec
from lvsguard.core.health import Hint
from lvsguard.core.model import RealserverKey, VipAddress
from lvsguard.kernel.port import AddressCame, AddressGone, Change, LinkChanged, NeighbourFailed
from tests.support.rig import config, realserver, service

OWN, OTHER = ip_address("10.0.0.41"), ip_address("10.1.0.41")
RS1, RS2, FAR = (ip_address(one) for one in ("10.0.0.42", "10.1.0.43", "192.0.2.44"))
NEAR = CheckSpec(CheckKind.TCP, own=OWN, arp=ArpSpec(interface="eth0", source=OWN))
BESIDE = CheckSpec(CheckKind.TCP, own=OTHER, arp=ArpSpec(interface="eth1", source=OTHER))
ONE, TWO = Check(RS1, 80, NEAR), Check(RS2, 80, BESIDE)
DISTANT = CheckSpec(CheckKind.TCP, arp=ArpSpec())
THREE = Check(FAR, 80, DISTANT)
BOOK = FactBook(
    config(
        service(
            *(
                realserver(RealserverKey(address, 80), spec=spec)
                for address, spec in ((RS1, NEAR), (RS2, BESIDE), (FAR, DISTANT))
            )
        )
    )
)


class Scene:
    def __init__(self) -> None:
        self.given: list[tuple[frozenset[Check], Hint]] = []
        self.up: list[bool] = []
        """Whether a hint was only for checks that are up."""
        self.signs = LinkSigns(lambda: BOOK, self.give, lambda: 7.0)

    def give(self, checks: Collection[Check], hint: Hint, *, down: bool = False) -> None:
        self.given.append((frozenset(checks), hint))
        self.up.append(not down)

    def follow(self, *changes: Change) -> None:
        for change in changes:
            self.signs.follow(change)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_link_that_comes_back_has_all_probed_that_may_be_behind_it(scene: Scene) -> None:
    scene.follow(LinkChanged("eth0", up=False))
    assert scene.given == [], "nothing can be asked over it"
    scene.follow(LinkChanged("eth0", up=True))
    assert scene.given == [(frozenset({ONE, THREE}), Hint("link", "eth0 is up again", 7.0))]


def test_a_link_that_was_not_down_has_nobody_probed(scene: Scene) -> None:
    scene.follow(LinkChanged("eth0", up=True), LinkChanged("eth0", up=True))
    assert scene.given == []


@pytest.mark.parametrize(("change", "verb"), [(AddressCame, "came to"), (AddressGone, "left")])
def test_an_own_address_that_changes_has_those_probed_that_are_asked_from_it(
    scene: Scene, change: type[AddressCame | AddressGone], verb: str
) -> None:
    scene.follow(change(VipAddress("eth0", OWN, 24)))
    assert scene.given == [(frozenset({ONE}), Hint("link", f"{OWN} {verb} eth0", 7.0))]
    scene.follow(change(VipAddress("eth0", ip_address("10.0.0.8"), 24)))
    assert len(scene.given) == 1


def test_what_the_director_itself_may_have_caused_has_those_probed_that_are_down(
    scene: Scene,
) -> None:
    scene.follow(LinkChanged("eth0", up=False), LinkChanged("eth0", up=True))
    scene.follow(AddressCame(VipAddress("eth0", OWN, 24)))
    assert scene.up == [False, False]


def test_a_neighbour_that_the_kernel_gives_up_is_probed_while_it_is_up(scene: Scene) -> None:
    """It is given up again after each probe of it: a hint that counted for one that is down would
    have it probed every three seconds, whatever its ``down_interval``."""
    scene.follow(NeighbourFailed(RS2), NeighbourFailed(ip_address("10.0.0.254")))
    hint = Hint("link", "the kernel finds it on its link no more", 7.0)
    assert scene.given == [(frozenset({TWO}), hint)]
    assert scene.up == [True]


def test_a_realserver_that_a_reload_has_dropped_is_hinted_at_no_more(scene: Scene) -> None:
    one, other = (realserver(RealserverKey(each, 80), spec=NEAR) for each in (RS1, RS2))
    book = FactBook(config(service(one, other)))
    signs = LinkSigns(lambda: book, scene.give, lambda: 7.0)
    book.configure(config(service(one)), 1.0)
    for address in (RS2, RS1):
        signs.follow(NeighbourFailed(address))
    assert [checks for checks, _ in scene.given] == [frozenset({ONE})]
