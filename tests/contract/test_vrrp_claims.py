"""A VIP is claimed by the host that is about to be its master, and by one that is not."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from lvsguard.core.frame import gratuitous_arp
from lvsguard.core.vrrp import Announcing, VrrpConfig
from lvsguard.kernel.interface_watch import InterfaceWatch
from lvsguard.vrrp.claims import BEGIN_MAX
from lvsguard.vrrp.frame_socket import FrameSocket
from tests.support.topology import VIP, Host
from tests.support.vrrp_attack import advert, attacker
from tests.support.vrrp_child import FAST, Child, children, listening, vip_group
from tests.support.wire_pair import Pair, namespaces_problem, pair

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(namespaces_problem()), reason=f"no network namespaces: {namespaces_problem()}"
    ),
]
OTHER = IPv4Address("10.0.0.40")
VIRTUAL = bytes.fromhex("00005e000133")
CLAIMS = 120
QUIET = VrrpConfig(51, interval=FAST, announcing=Announcing(5, 60.0, 3600.0))
"""Its second announcements are far away."""


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Pair]:
    with pair(tmp_path) as made:
        yield made


@pytest.fixture
def master(hosts: Pair, tmp_path: Path) -> Iterator[Child]:
    """A master whose takeover is over."""
    with children(tmp_path, hosts.left) as (made,):
        made.serve(vip_group("web", f"{VIP}/24", vrrp=QUIET))
        made.until_role("master")
        made.listen(1.5)
        yield made


@pytest.fixture
def frames(hosts: Pair) -> Iterator[FrameSocket]:
    """Announces from the other host."""
    made = frame_socket(hosts.right)
    yield made
    made.close()


def claim(host: Host, mac: bytes) -> None:
    """Announce the VIP from a MAC address that no interface of the host has."""
    with host.entered(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind(("eth0", 0))
        sock.send(gratuitous_arp(mac, VIP))


def frame_socket(host: Host) -> FrameSocket:
    with host.entered():
        watch = InterfaceWatch()
        made = FrameSocket("eth0")
        made.update(watch.state("eth0"), router=False)
        watch.close()
    return made


def test_the_next_master_announces_before_its_advert_and_is_not_contradicted(
    hosts: Pair, master: Child, frames: FrameSocket
) -> None:
    """Make before break: the neighbours shall know the new one before the old one lets go. What
    the old one said after that would be the last word that they hear for seconds."""
    with listening(hosts.right) as heard, attacker(hosts.right) as other:
        frames.announce(VIP)
        time.sleep(0.03)
        other.send(advert(priority=200, source=OTHER, vip=VIP), source=OTHER)
        master.until_role("backup")
        master.listen(0.3)
    assert len(heard[0].announced(str(VIP))) == 1
    assert master.told("conflict") == []


def test_a_repetition_waits_for_the_advert_of_a_router_that_claims(
    hosts: Pair, tmp_path: Path
) -> None:
    """FRR announces itself once, an interval before its first advert. Had this master's second
    announcements come in between, the neighbours would send to it for a minute."""
    again = VrrpConfig(51, interval=0.5, announcing=Announcing(5, 3.0, 3600.0))
    with children(tmp_path, hosts.left) as (child,), listening(hosts.right) as heard:
        child.serve(vip_group("web", f"{VIP}/24", vrrp=again))
        child.until_role("master")
        child.listen(2.4)
        with attacker(hosts.right) as other:
            claim(hosts.right, VIRTUAL)
            child.listen(0.9)  # the second announcements would be due by now
            other.send(advert(priority=200, source=OTHER, vip=VIP), source=OTHER)
            child.until_role("backup")
            child.listen(0.3)
    assert len(heard[0].announced(str(VIP))) == 5 + 1


def test_who_claims_and_says_no_more_is_contradicted_soon(
    hosts: Pair, master: Child, frames: FrameSocket
) -> None:
    with listening(hosts.right) as heard:
        frames.announce(VIP)
        master.until(lambda: master.told("conflict") != [], "it tells of the conflict", 2)
        master.listen(0.3)
    claimed, *contradicted = heard[0].announced(str(VIP))
    assert len(contradicted) == 5
    assert 0.05 < contradicted[0] - claimed < 1.0
    assert master.role() == "master"


def test_a_new_master_has_the_last_word_over_the_old_one(
    hosts: Pair, tmp_path: Path, frames: FrameSocket
) -> None:
    """An announcement of the old master that was under way when it let go."""
    with children(tmp_path, hosts.left) as (child,), listening(hosts.right) as heard:
        child.serve(vip_group("web", f"{VIP}/24", vrrp=QUIET))
        child.until_role("master")
        child.listen(0.2)
        frames.announce(VIP)
        child.listen(0.5)
    assert len(heard[0].announced(str(VIP))) == 5 + 1 + 5
    assert child.told("conflict") == []


def test_a_stream_of_claims_of_one_address_does_not_stop_the_refresh_of_the_others(
    hosts: Pair, tmp_path: Path
) -> None:
    often = VrrpConfig(51, interval=FAST, announcing=Announcing(1, 60.0, 1.0))
    with children(tmp_path, hosts.left) as (child,):
        child.serve(vip_group("web", f"{VIP}/24", "10.0.0.100/24", vrrp=often))
        child.until_role("master")
        child.listen(0.5)
        with listening(hosts.right) as heard:
            for _ in range(100):
                claim(hosts.right, b"\x02\x00\x00\x00\x01\x09")
                child.listen(0.04)
    assert len(heard[0].announced("10.0.0.100")) >= 1


def test_a_flood_of_claims_makes_no_flood_of_announcements_nor_of_events(
    hosts: Pair, tmp_path: Path
) -> None:
    """Forged, each from another MAC address, of one VIP of a group that has fifty; and the last
    word is the master's."""
    many = [f"{VIP}/24", *(f"10.0.0.{100 + n}/24" for n in range(49))]
    with children(tmp_path, hosts.left) as (child,):
        child.serve(vip_group("web", *many, vrrp=QUIET))
        child.until_role("master")
        child.listen(1.5)
        with listening(hosts.right) as heard:
            begun = time.monotonic()
            for number in range(CLAIMS):
                claim(hosts.right, b"\x02\x00\x00\x00\x01" + bytes([number]))
                child.listen(0.025)
            took = time.monotonic() - begun
            ended = time.time()
            child.listen(1.5)
    said = heard[0].announced(str(VIP))
    assert len(heard[0].announced()) == len(said), "nobody claimed the others"
    assert 5 <= len(said) - CLAIMS <= 5 * (took + 3)
    assert len([at for at in said if at > ended]) == 5, "the last word"
    assert len(child.told("conflict")) == BEGIN_MAX
