"""What it costs to hand over a table of 100,000 connections.

    python -m tests.bench.sync_transfer [connections]
    tests/lab/run --limit 300 python -m tests.bench.sync_transfer [connections]

Anywhere: reading the text of such a table and writing its messages, that is, all that is done in
Python. On a kernel with IPVS also a transfer from one director to another, twice: from a file with
the text of the table, which is what a kernel costs that finds its place in it again (Linux 6.14),
and as the transfer process does it, from /proc, where earlier kernels search from the start for
each page. Of each it says what arrived. At the end a director of higher priority joins: when it
preempts, what it knows by then, and how late the master's adverts (one each 100 ms) were meanwhile,
beside a time in which nothing happens and beside a real-time process that only sleeps.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from math import inf
from operator import sub
from pathlib import Path

from lvsguard.core.vrrp import VrrpConfig
from lvsguard.vrrp.conntable import ConnectionTable, Tally
from lvsguard.vrrp.flow_facts import FlowFacts
from lvsguard.vrrp.joining import JOIN_MAX_S
from lvsguard.vrrp.message import LATENESS, Put, SyncTarget
from lvsguard.vrrp.sync_codec import encode
from lvsguard.vrrp.transfer_message import RATE, Again, Begin, Prepare, Sent, Target
from tests.support.ipvs_table import from_ipvsadm
from tests.support.stillness import Stillness, stillness
from tests.support.sync_traffic import (
    GROUP,
    PORT,
    SIZE_MAX,
    SYNCID,
    backup,
    balance,
    connections,
    fill,
    send_text,
)
from tests.support.topology import VIP, Network, seed_network
from tests.support.transfer_child import transfer_child
from tests.support.vrrp_child import FAST, Child, children, listening, vip_group

CONNECTIONS = 100_000
RUNS = 5
IDLE_S = 10.0
OTHER_SYNCID = SYNCID - 1
SERVICES = """\
-A -t 10.0.0.8:80 -s rr
-a -t 10.0.0.8:80 -r 10.0.0.42:80 -g -w 1
-a -t 10.0.0.8:80 -r 10.0.0.43:80 -g -w 1
-A -t [fd00::8]:80 -s rr
-a -t [fd00::8]:80 -r [fd00::42]:80 -g -w 1
-a -t [fd00::8]:80 -r [fd00::43]:80 -g -w 1
"""


def ipv4(count: int) -> Iterator[str]:
    """Lines of /proc/net/ip_vs_conn."""
    for n in range(count):
        ends = f"0A{n:06X} {1024 + n % 60000:04X} 0A000008 0050 0A0000{42 + n % 2:02X} 0050"
        yield f"TCP {ends} ESTABLISHED {n % 900:7d}\n"


def ipv6(count: int) -> Iterator[str]:
    """The same, with longer addresses."""
    net = "fd00:0000:0000:0000:0000:0000"
    for n in range(count):
        client = f"{net}:{n >> 16:04x}:{n & 65535:04x} {1024 + n % 60000:04X}"
        server = f"{net}:0000:{0x42 + n % 2:04x} 0050"
        yield f"TCP {client} {net}:0000:0008 0050 {server} ESTABLISHED {n % 900:7d}\n"


def in_python(folder: Path, count: int) -> None:
    """Read text, write messages."""
    facts = FlowFacts(from_ipvsadm(SERVICES))
    for name, lines in (("IPv4", ipv4(count)), ("IPv6", ipv6(count))):
        file = folder / name
        file.write_text("".join(lines))
        reads, writes, again = [], [], []
        for _ in range(RUNS):
            tally = Tally()
            table = ConnectionTable(facts, path=file)
            begun = time.perf_counter()
            entries = [entry for slice_ in table.read(tally) for entry in slice_]
            reads.append(time.perf_counter() - begun)
            assert (tally.entries, tally.unknown) == (count, 0)
            begun = time.perf_counter()
            messages = list(encode(entries, SYNCID, SIZE_MAX))
            writes.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            assert not any(table.read(tally, new_only=True))
            again.append(time.perf_counter() - begun)
        print(
            f"{name}: {count} connections, {len(messages)} messages: read {min(reads):.2f} s, write"
            f" {min(writes):.2f} s, read again with nothing new {min(again):.3f} s;"
            f" paced at {RATE} messages/s: {len(messages) / RATE:.2f} s at least"
        )


def from_file(network: Network, folder: Path, count: int) -> None:
    """Send what a kernel without a search would give."""
    seconds, entries = send_text(network, folder)
    report("from a file", seconds, entries, network, count)


def from_proc(network: Network, count: int) -> None:
    """Send as it is done."""
    with transfer_child("director1") as child:
        child.ask(Prepare())
        for name, message in (
            ("from /proc", Begin(target=Target(interface="eth0", syncid=SYNCID))),
            ("again, nothing new", Again()),
        ):
            used = child.cpu_s()
            sent = child.ask(message)
            assert isinstance(sent, Sent), sent
            report(name, sent.seconds, sent.entries, network, count)
            print(f"  {child.cpu_s() - used:.2f} s of processor time")


def report(name: str, seconds: float, entries: int, network: Network, count: int) -> None:
    """Print one transfer."""
    time.sleep(0.5)
    print(f"{name}: {entries} sent in {seconds:.2f} s, {connections(network.director2)} of {count}")


def joining(network: Network, folder: Path, count: int) -> None:
    """director2 joins while director1 is master: from its first word until it has taken over."""
    sync = SyncTarget(interface="eth0", sync_id=SYNCID, group=GROUP, port=PORT)
    directors = (network.director1, network.director2)
    with stillness(folder) as still, children(folder, *directors) as (master, joins):
        master.serve(_group(100), sync=sync)
        master.until_role("master")
        master.listen(1)
        with watched("nothing happens", network, master, still):
            master.listen(IDLE_S)
        with watched("a director joins", network, master, still):
            joins.serve(_group(200), sync=sync)
            begun = time.monotonic()
            joins.until_role("backup")
            while joins.role() == "backup" and time.monotonic() < begun + JOIN_MAX_S + 10:
                joins.listen(0.1)
                master.listen(0.1)
            took, known = time.monotonic() - begun, connections(network.director2)
        for told in joins.told("table-received") + joins.told("table-failed"):
            print(f"  {told.kind}: {told.fields}")
        print(f"  {joins.role()} after {took:.2f} s, with {known} of {count} connections")


def _group(priority: int) -> Put:
    return vip_group("web", f"{VIP}/24", vrrp=VrrpConfig(51, priority, FAST))


@contextmanager
def watched(what: str, network: Network, master: Child, still: Stillness) -> Iterator[None]:
    """Print how late director1's adverts were meanwhile: on the wire, and by its own count."""
    before, begun = master.fresh_counts().lateness, time.monotonic()
    with listening(network.director2, what.replace(" ", "-")) as heard:
        yield
    late = sorted(
        (after - first - FAST) * 1000
        for first, after in pairwise(heard[0].adverts(str(network.director1.address), 100))
    )
    after = master.fresh_counts().lateness
    counted = [
        f"{n} within {bound * 1000:g} ms"
        for n, bound in zip(map(sub, after, before), (*LATENESS, inf), strict=True)
        if n
    ]
    print(
        f"{what}, {time.monotonic() - begun:.1f} s: {len(late) + 1} adverts, on the wire late by"
        f" {late[len(late) // 2]:.1f} ms at the median, {late[-1]:.1f} ms at most;"
        f" by its own count {', '.join(counted)};"
        f" an idle real-time timer: {still.longest_s(begun) * 1000:.1f} ms at most"
    )


def between_directors(folder: Path, count: int) -> None:
    """A table on director1, sent to director2."""
    with filled(folder, count) as network:
        begun = time.monotonic()
        with network.director1.entered():
            Path("/proc/thread-self/net/ip_vs_conn").read_bytes()
        print(f"{os.uname().release}: /proc gives the table in {time.monotonic() - begun:.2f} s")
        # Both directors' entries are in one table of one kernel here, through which a search goes:
        # so what comes from /proc costs up to three times of what it does on two hosts.
        from_file(network, folder, count)
        from_proc(network, count)
        received(network)
    with filled(folder, count) as network:
        joining(network, folder, count)
        received(network)


@contextmanager
def filled(folder: Path, count: int) -> Iterator[Network]:
    """The seed network with so many connections on director1, of which director2 knows none."""
    with seed_network(folder) as network:
        for director, syncid in ((network.director1, OTHER_SYNCID), (network.director2, SYNCID)):
            balance(director, network.realservers)
            backup(director, syncid)
        fill(network, director=network.director1, numbers=range(count), syncid=OTHER_SYNCID)
        yield network


def received(network: Network) -> None:
    """Print whether the peer's socket overflowed."""
    with network.director2.entered():
        lines = Path("/proc/thread-self/net/snmp").read_text().splitlines()
    names, values = (line.split() for line in lines if line.startswith("Udp:"))
    counted = dict(zip(names, values, strict=True))
    print(f"the peer's socket overflowed {counted['RcvbufErrors']} times")


def main() -> None:
    """All that can be measured here."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else CONNECTIONS
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000)
    with tempfile.TemporaryDirectory() as name:
        in_python(Path(name), count)
        if os.geteuid() == 0 and Path("/proc/net/ip_vs").exists():
            between_directors(Path(name), count)


if __name__ == "__main__":
    main()
