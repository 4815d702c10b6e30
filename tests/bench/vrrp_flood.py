"""What a flood of VRRP packets costs a director: `python -m tests.bench.vrrp_flood [SECONDS]`.

One host floods the other over a cable, in namespaces; the receiver reads as the VRRP process
does. For each kind of flood: packets sent a second; CPU of the receiving process for each packet
sent and in all; and how many of the master's adverts (one each 100 ms) it heard. Needs root.
"""

from __future__ import annotations

import select
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from lvsguard.vrrp.link import Link
from tests.contract.vrrp_ends import ADVERT, End, end, group
from tests.support.wire_pair import Pair, pair

EVERY = 0.1
"""Seconds between the master's adverts."""


@dataclass(frozen=True, slots=True)
class Result:
    """One flood."""

    sent: int
    seconds: float
    cpu: float
    """Seconds of CPU of the receiving process."""
    adverts: int
    heard: int
    longest_gap: float
    """Seconds between two adverts that were heard."""


def flood(hosts: Pair, master: End, receiver: End, kind: str, seconds: float) -> Result:
    """Flood the left host from the right, and let the right's master speak meanwhile."""
    link = receiver.link
    drain(link)
    source = master.send(group(4))
    (advert,) = receiver.hear()
    link.trust(advert)
    sender = hosts.right.start(f"flood.{kind}", sys.executable, "-m", "tests.support.flood",
                               str(seconds), kind)  # fmt: skip
    spoken = heard = 0
    gap, last, cpu = 0.0, time.monotonic(), 0.0
    due = time.monotonic()
    while sender.running:
        now = time.monotonic()
        if now >= due:
            master.send(group(4), ADVERT)
            spoken, due = spoken + 1, due + EVERY
        timer = link.timer()
        wait = max(0.0, min(due, due if timer is None else timer) - now)
        begin = time.process_time()
        select.select([link], [], [], wait)
        now = time.monotonic()
        good = sum(one.payload == ADVERT and one.source == source for one in link.read(now))
        cpu += time.process_time() - begin
        if good:
            heard, gap, last = heard + good, max(gap, now - last), now
    sent, took = sender.text().split()
    return Result(int(sent), float(took), cpu, spoken, heard, gap)


def drain(link: Link) -> None:
    """Read what is left of the flood before, and let the pressure go."""
    end_at = time.monotonic() + 1.5
    while time.monotonic() < end_at:
        select.select([link], [], [], 0.05)
        link.read(time.monotonic(), urgent=True)


def main(seconds: float) -> None:
    """Print a line for each kind."""
    with (
        tempfile.TemporaryDirectory() as folder,
        pair(Path(folder)) as hosts,
        end(hosts.right) as master,
        end(hosts.left) as receiver,
    ):
        for kind in ("vrid", "noise", "forged", "spoofed", "replayed"):
            receiver.link.discarded.clear()
            result = flood(hosts, master, receiver, kind, seconds)
            receiver.link.count_overflow()
            print(
                f"{kind:8} {result.sent / result.seconds:9,.0f} packets/s"
                f"  {result.cpu / result.sent * 1e6:6.3f} us of CPU a packet"
                f"  {result.cpu / result.seconds:6.1%} of a CPU"
                f"  adverts heard {result.heard}/{result.adverts}"
                f"  longest gap {result.longest_gap:.2f} s"
                f"  {dict(receiver.link.discarded)}"
            )


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 3.0)
