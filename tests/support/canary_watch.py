"""Canaries as a director's own table of connections has them, without asking lvsguard."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.processes import wait_until

if TYPE_CHECKING:
    from tests.support.topology import Host

APART_S = 0.15
"""A connection that stands for so long is no probe's, where servers answer."""


def connections(director: Host, realserver: Host, port: int = 80) -> frozenset[str]:
    """Local ports of the director's connections to a realserver that stand."""
    with director.entered():
        lines = Path("/proc/thread-self/net/tcp").read_text().splitlines()[1:]
    there = f"{bytes(reversed(realserver.address.packed)).hex().upper()}:{port:04X}"
    established = (fields for line in lines if (fields := line.split())[3] == "01")
    return frozenset(f[1] for f in established if f[2] == there)


def canaries(director: Host, realserver: Host, port: int = 80) -> frozenset[str]:
    """Those that idle there, told from probes by how long they stand."""
    before = connections(director, realserver, port)
    if not before:
        return before
    time.sleep(APART_S)
    return before & connections(director, realserver, port)


def wait_for_canary(director: Host, realserver: Host, port: int = 80, within_s: float = 5) -> None:
    """Wait until one stands."""

    def stands() -> bool:
        return bool(canaries(director, realserver, port))

    wait_until(stands, within_s, f"a canary to port {port} of {realserver.name}")
