"""Packets of somebody who means no good: what they change, what they cost, how they are counted.

director1 leads four VIP groups against director2: one by multicast that believes anybody, and three
that do not: unicast from named peers, a password (version 2), and a key. An advert of priority 255
that is well-formed and not to be told from a director's wins the first: VRRP without
authentication has no defence on its own network (RFC 9568 section 9). The other three keep their
role. A sender that forges the address of a peer and knows the password is past those two as well:
only the key helps, also against a resignation in the master's name.

A guest with one CPU cannot send 100,000 packets a second and receive them: what it reaches is
asserted (`FLOODED`); `tests/contract/test_vrrp_flood.py` does the rest on a host. How late the
master's adverts are is held against an idle real-time process beside the test, for the guest's
kernel cannot be preempted while it sends a packet through.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import Counter
from ipaddress import IPv4Address
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lvsguard.vrrp.advert import Version
from tests.support import vrrp_director as lab
from tests.support.director import Director, tell, wall
from tests.support.pace import slowness
from tests.support.processes import wait_until
from tests.support.vrrp_attack import Attacker, advert, attacker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.stillness import Stillness
    from tests.support.topology import Host, Network

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

DOWN1 = 3 + (256 - 150) / 256
SLACK = 1.0
KEY = "00112233445566778899aabbccddeeff" * 2
VIPS = {
    name: IPv4Address(f"10.0.0.{8 + n}") for n, name in enumerate(("open", "peer", "word", "key"))
}
VRIDS = {name: 51 + 10 * n for n, name in enumerate(VIPS)}
FLOOD_S = 3.0
FLOODED = 15_000
"""Packets a second, at the least."""
LATE_S = 0.02
"""How much later than due an advert may be."""
DISCARDED = ("ttl", "vrid", "version", "short")
SAMPLED = 4000
"""Enough packets for one of them to be the one in 256 that the kernel lets through to be named."""


def groups(host: Host, priority: int, other: Host) -> list[lab.Group]:
    """The four VIP groups of a director."""
    more = {
        "open": lab.vrrp(priority, vrid=VRIDS["open"]),
        "peer": lab.vrrp(priority, vrid=VRIDS["peer"], peers=(str(other.address),)),
        "word": lab.vrrp(priority, vrid=VRIDS["word"], version=2, password="seesaw"),
        "key": lab.vrrp(priority, vrid=VRIDS["key"], more=f'auth = {{ keys = {{ 1 = "{KEY}" }} }}'),
    }
    return [lab.Group(name, (f"{VIPS[name]}/24",), vrrp) for name, vrrp in more.items()]


class Pair:
    """Two directors, and what the first one says of itself."""

    def __init__(self, network: Network) -> None:
        first, second = network.director1, network.director2
        self.network = network
        self.one = lab.launch(first, lab.setup(*groups(first, 150, second)))
        self.two = lab.launch(second, lab.setup(*groups(second, 100, first)))

    def roles(self, director: Director) -> dict[str, str]:
        return {vip.name: vip.role for vip in director.status().vips}

    def settle(self) -> None:
        """director1 leads all."""
        leads, follows = dict.fromkeys(VIPS, "master"), dict.fromkeys(VIPS, "backup")
        wait_until(
            lambda: self.roles(self.one) == leads and self.roles(self.two) == follows,
            2 * DOWN1 + 4,
            "director1 leads, director2 follows",
            every_s=0.1,
        )

    def counted(self, metric: str, **labels: str) -> float:
        """A counter of director1; 0 when there is none. It is told each second."""
        found = self.one.metrics().get(f"lvsguard_vrrp_{metric}_total", {})
        return found.get(frozenset(labels.items()), 0.0)


@pytest.fixture(scope="module")
def shared_pair(shared_network: Network) -> Iterator[Pair]:
    pair = Pair(shared_network)
    yield pair
    lab.crash(pair.one)
    lab.crash(pair.two)


@pytest.fixture
def pair(shared_pair: Pair) -> Pair:
    shared_pair.settle()
    return shared_pair


@pytest.fixture
def villain(shared_network: Network) -> Iterator[Attacker]:
    with attacker(shared_network.rs1) as villain:
        yield villain


def test_what_is_not_as_it_must_be_is_dropped_and_counted(pair: Pair, villain: Attacker) -> None:
    since, own, good = wall(), pair.network.director1.address, advert()
    before = pair.one.metrics()
    villain.send(good, ttl=254, times=SAMPLED)  # came through a router
    villain.send(advert(99), times=SAMPLED)  # another virtual router
    villain.send(b"\x41" + good[1:], times=SAMPLED)  # version 4
    villain.send(good[:6], times=SAMPLED)
    villain.send(good[:6] + b"\0\0" + good[8:], times=5)  # the checksum
    villain.send(good[:-1], times=5)  # cut off
    villain.send(good[:3] + b"\x02" + good[4:], times=5)  # more addresses than there are
    villain.send(good[:4] + b"\0\0" + good[6:], times=5)  # an interval of zero
    villain.send(advert(VRIDS["word"]), times=5)  # version 3 where 2 is spoken
    villain.send(advert(VRIDS["word"], version=Version.V2), times=5)  # no password
    villain.send(advert(VRIDS["word"], version=Version.V2, password=b"wrong"), times=5)
    villain.send(advert(VRIDS["key"]), times=5)  # no signature
    villain.send(advert(VRIDS["peer"], to=own), to=own, times=5)  # no peer
    villain.send(advert(VRIDS["peer"]), times=5)  # by multicast

    def rejected(vip: str) -> dict[str, float]:
        there = pair.one.metrics().get("lvsguard_vrrp_adverts_rejected_total", {})
        old = before.get("lvsguard_vrrp_adverts_rejected_total", {})
        found = {dict(labels)["reason"]: n - old.get(labels, 0) for labels, n in there.items()
                 if dict(labels)["vip"] == vip}  # fmt: skip
        return {reason: n for reason, n in found.items() if n}

    wanted = {
        "open": {"checksum": 5, "length": 10, "interval": 5},
        "word": {"version": 5, "auth-mismatch": 5, "auth-data": 5},
        "key": {"hmac-missing": 5},
        "peer": {"peer": 5, "cast": 5},
    }
    with contextlib.suppress(AssertionError):  # counts are told each second
        wait_until(lambda: {vip: rejected(vip) for vip in wanted} == wanted, 6, "all are told")
    assert {vip: rejected(vip) for vip in wanted} == wanted

    def discarded() -> dict[str, float]:
        counted = pair.one.metrics().get("lvsguard_vrrp_packets_discarded_total", {})
        return {dict(labels)["reason"]: n for labels, n in counted.items()}

    with contextlib.suppress(AssertionError):
        wait_until(lambda: min(discarded().get(r, 0) for r in DISCARDED) >= 256, 6, "all are told")
    assert min(discarded().get(reason, 0) for reason in DISCARDED) >= 256, discarded()
    assert set(pair.roles(pair.one).values()) == {"master"}
    assert pair.one.events("role", since) == pair.two.events("role", since) == []
    reasons = {str(e.data["reason"]) for e in pair.one.events("advert-rejected", since)}
    assert reasons >= {"checksum", "hmac-missing", "auth-data", "peer"}


def test_priority_255_wins_only_where_anybody_is_believed(pair: Pair, villain: Attacker) -> None:
    since = wall()
    said = [
        advert(VRIDS["open"], vip=VIPS["open"]),
        advert(VRIDS["peer"], vip=VIPS["peer"]),
        advert(VRIDS["word"], vip=VIPS["word"], version=Version.V2),
        advert(VRIDS["key"], vip=VIPS["key"]),
    ]
    end = time.monotonic() + 2
    while time.monotonic() < end:
        for one in said:
            villain.send(one)
        time.sleep(0.02)
    assert pair.roles(pair.one) == {**dict.fromkeys(VIPS, "master"), "open": "backup"}
    assert {str(e.data["vip"]) for e in pair.one.events("role", since)} == {"open"}
    begun = time.monotonic()
    pair.settle()
    tell("priority 255 is silent", back_s=time.monotonic() - begun)
    assert pair.two.events("role", since) == []  # the higher priority takes it back


def test_a_forged_resignation_counts_where_anybody_is_believed_until_the_master_speaks(
    pair: Pair, villain: Attacker
) -> None:
    """A priority 0 in the master's name: the backup may take over, and the master answers at once.
    (Its kernel keeps from the master what comes from its own address.) Without the password, from
    no peer's side of the cast, or without the key it is nothing."""
    since, master = wall(), pair.network.director1.address
    gone = [
        advert(VRIDS["open"], vip=VIPS["open"], priority=0, source=master),
        advert(VRIDS["peer"], vip=VIPS["peer"], priority=0, source=master),
        advert(VRIDS["word"], vip=VIPS["word"], priority=0, source=master, version=Version.V2),
        advert(VRIDS["key"], vip=VIPS["key"], priority=0, source=master),
    ]
    for _ in range(3):
        for one in gone:
            villain.send(one, source=master)
        time.sleep(0.5)
    time.sleep(1)
    moved = pair.two.events("role", since)
    taken = [e for e in moved if e.data["after"] == "master"]
    tell("forged resignation", takeovers=len(taken))
    assert {str(e.data["vip"]) for e in moved} <= {"open"}
    heard = [e for e in pair.two.events("", since) if "leaves as planned" in e.text]
    assert {str(e.data["vip"]) for e in heard} == {"open"}
    assert pair.one.events("role", since) == []
    pair.settle()
    for vip in VIPS.values():
        assert lab.holders(pair.network, f"{vip}/24") == ["director1"]


@pytest.mark.parametrize("kind", ["noise", "vrid", "forged", "spoofed"])
def test_a_flood_costs_little_and_changes_nothing(pair: Pair, kind: str, still: Stillness) -> None:
    slow, network, since = slowness(), pair.network, wall()
    pid = lab.child(pair.one)
    number = f"flood.{kind}"
    ours = "proto 112 and src 10.0.0.41 and dst 224.0.0.18"
    capture = network.director1.capture(number, ours)
    quiet = _cpu(pid)
    time.sleep(FLOOD_S)
    before, begun = _cpu(pid), time.monotonic()
    flood = network.rs1.start(
        number, sys.executable, "-m", "tests.support.flood", str(FLOOD_S), kind
    )
    flood.wait(FLOOD_S + 10)
    share = (_cpu(pid) - before) / FLOOD_S
    sent, took = flood.text().split()
    per_second = int(sent) / float(took)
    heard = [one.at for one in lab.adverts(capture) if one.vrid == VRIDS["open"]]
    gaps = [after - first for first, after in pairwise(heard)]
    tell(
        f"flood of {kind}",
        per_second=round(per_second),
        cpu=share,
        idle_cpu=(before - quiet) / FLOOD_S,
        longest_gap_s=max(gaps),
        guest_still_s=still.longest_s(begun),
    )
    assert per_second >= FLOODED / slow
    assert share < 0.4
    assert max(gaps) <= 1 + still.longest_s(begun) + LATE_S * slow
    assert pair.one.events("role", since) == []
    time.sleep(1.2)
    counted = pair.one.metrics()
    dropped: Counter[str] = Counter()  # each VIP group counts, from 0 on
    for name in ("packets_discarded", "adverts_rejected"):
        for labels, n in counted[f"lvsguard_vrrp_{name}_total"].items():
            dropped[dict(labels)["reason"]] += int(n)
    reason = {"noise": "version", "vrid": "vrid"}.get(kind, "checksum")
    assert dropped[reason] > 0, dropped
    # The backup is flooded as well, and hears its master all the same.
    assert pair.two.events("role", since) == []


def _cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
