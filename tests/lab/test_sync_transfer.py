"""director2 learns the connections of director1 from a transfer, and from nothing else."""

from __future__ import annotations

from collections import Counter

import pytest

from lvsguard.vrrp.transfer_message import Again, Begin, Prepare, Prepared, Sent, Target
from tests.support.processes import wait_until
from tests.support.sync_traffic import (
    KINDS,
    SYNCID,
    balance,
    start_clients,
    start_servers,
    take_vips,
)
from tests.support.topology import Host, Network
from tests.support.transfer_child import transfer_child

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

COUNTS = {
    "tcp4": 60,
    "tcp6": 30,
    "udp4": 20,
    "udp6": 20,
    "sctp4": 10,
    "sticky4": 20,
    "sticky6": 10,
    "mark4": 10,
    "mark6": 10,
    "stickymark4": 5,
    "stickymark6": 5,
    "sip4": 5,
}
TEMPLATES = 4 + COUNTS["sip4"]
"""One for the one client of each persistent service, and one for each call of the sip one."""
TARGET = Target(interface="eth0", syncid=SYNCID)


def table(director: Host) -> Counter[str]:
    """What `ipvsadm -Lnc` shows, without the seconds left."""
    lines = director.run("ipvsadm", "-Lnc", "--persistent-conn").stdout.splitlines()[2:]
    return Counter(" ".join(word for word in line.split() if not _clock(word)) for line in lines)


def _clock(word: str) -> bool:
    minutes, _, seconds = word.partition(":")
    return len(word) == 5 and minutes.isdigit() and seconds.isdigit()


def backup(director: Host, syncid: int = SYNCID) -> None:
    """Run the kernel's backup daemon."""
    start = f"ipvsadm --start-daemon backup --mcast-interface eth0 --syncid {syncid}"
    director.run(*start.split())


def test_the_other_directors_table_becomes_the_same(network: Network) -> None:
    assert sum(COUNTS.values()) >= 200
    start_servers(network)
    for director in (network.director1, network.director2):
        balance(director, network.realservers)
    take_vips(network.director1)
    backup(network.director2)
    start_clients(network.client, COUNTS)
    wanted = table(network.director1)
    assert wanted.total() == sum(COUNTS.values()) + TEMPLATES
    assert not table(network.director2)

    with transfer_child("director1") as child:
        prepared = child.ask(Prepare())
        assert isinstance(prepared, Prepared)
        assert prepared.services == len(KINDS)
        sent = child.ask(Begin(target=TARGET))
        assert isinstance(sent, Sent), sent
        took = wait_until(lambda: table(network.director2) == wanted, 3, "all are there")
        print(sent, f"there after {took:.2f} s")
        # Both directors' entries are in one table of one kernel here: what the one gains moves the
        # place of the other's reader back, and templates of an engine may come twice.
        assert wanted.total() <= sent.entries <= wanted.total() + COUNTS["sip4"]
        assert (sent.unknown, sent.unreadable, sent.left_out) == (0, 0, 0)
        assert sent.seconds < 1

        again = child.ask(Again())
        assert isinstance(again, Sent)
        assert again.whole
        assert table(network.director2) == wanted

    assert counted(network.director2) == counted(network.director1)


def counted(director: Host) -> Counter[tuple[str, ...]]:
    """Active, inactive and persistent connections of each realserver of each service.

    Marked services count as one: which of those that share a realserver a connection came by,
    the connection table does not say.
    """
    found: Counter[tuple[str, ...]] = Counter()
    for options in ((), ("--persistent-conn",)):
        service = ""
        for line in director.run("ipvsadm", "-Ln", *options).stdout.splitlines()[3:]:
            words = line.split()
            if words[0] == "->":
                for column, number in enumerate(words[3:]):
                    found[service, words[1], *options, str(column)] += int(number)
            else:
                service = "FWM" if words[0] == "FWM" else " ".join(words[:2])
    return found
