"""What an ICMP error says of a realserver that could not be connected to."""

from __future__ import annotations

import errno
from ipaddress import IPv4Address, IPv6Address

import pytest

from lvsguard.core.health import FailureClass
from lvsguard.core.model import IPAddress
from lvsguard.probes.icmp import Unreachable, connect_failed

OWN, ROUTER, REALSERVER = (IPv4Address(f"10.0.0.{n}") for n in (41, 1, 40))
OWN6, ROUTER6, REALSERVER6 = (IPv6Address(f"fd00::{n}") for n in (41, 1, 40))
EHOST, ENET, EACCES = errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES
WRONG, HOST_DEAD = FailureClass.WRONG, FailureClass.HOST_DEAD


@pytest.mark.parametrize(
    ("number", "code", "sender", "failure"),
    [
        # firewalld's and RHEL's default, and the others that say it is a rule
        (EHOST, 10, REALSERVER, WRONG),
        (EHOST, 13, REALSERVER, WRONG),
        (ENET, 9, REALSERVER, WRONG),
        (EHOST, 1, REALSERVER, WRONG),
        (ENET, 0, REALSERVER, WRONG),
        (EACCES, 1, REALSERVER6, WRONG),
        (EHOST, 3, REALSERVER6, WRONG),
        (ENET, 0, REALSERVER6, WRONG),
        # a router on the way: a rule of its own says nothing of the host, a missing host does
        (EHOST, 10, ROUTER, WRONG),
        (EHOST, 13, ROUTER, WRONG),
        (EACCES, 1, ROUTER6, WRONG),
        (EHOST, 1, ROUTER, HOST_DEAD),
        (ENET, 0, ROUTER, HOST_DEAD),
        (EHOST, 3, ROUTER6, HOST_DEAD),
        (ENET, 0, ROUTER6, HOST_DEAD),
        # the director's own kernel: nobody answers on the link; and its own firewall
        (EHOST, 1, OWN, HOST_DEAD),
        (EHOST, 3, OWN6, HOST_DEAD),
        (EHOST, 13, OWN, FailureClass.LOCAL),
        (EACCES, 1, OWN6, FailureClass.LOCAL),
    ],
)
def test_who_says_so_and_its_code_decide(
    number: int, code: int, sender: IPAddress, failure: FailureClass
) -> None:
    four = sender.version == 4
    said = Unreachable(code, sender, OWN if four else OWN6)
    assert connect_failed(number, said, REALSERVER if four else REALSERVER6).failure is failure


def test_without_the_message_the_number_decides() -> None:
    assert connect_failed(EHOST, None, REALSERVER).failure is HOST_DEAD
    assert connect_failed(EACCES, None, REALSERVER6).failure is WRONG
    assert connect_failed(errno.ECONNREFUSED, None, REALSERVER).failure is FailureClass.REFUSED


def test_a_director_that_is_the_realserver_too_is_told_of_the_realservers_firewall() -> None:
    assert connect_failed(EHOST, Unreachable(10, OWN, OWN), OWN).failure is WRONG


def test_the_reason_says_who_and_what_to_do() -> None:
    by_itself = connect_failed(EHOST, Unreachable(10, REALSERVER, OWN), REALSERVER)
    assert by_itself.code == "L4CON"
    assert by_itself.reason == (
        "host prohibited (ICMP from the realserver itself): its firewall rejects the probe;"
        " look there, and let this director in"
    )
    on_the_way = connect_failed(EHOST, Unreachable(13, ROUTER, OWN), REALSERVER)
    assert on_the_way.reason == (
        "prohibited (ICMP from 10.0.0.1): a firewall on the way rejects the probe;"
        " look there, and let this director through"
    )
