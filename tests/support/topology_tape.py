"""What passed the switch lately: a capture that is always on, of bounded size, for a failing test.

`Host.capture` is for a test that looks at packets itself.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.topology import SWITCH

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Process
    from tests.support.topology import Network

FILES, MEGABYTES = 3, 4
"""A ring: the oldest file is written over when the last one is full."""
BYTES = 192
"""Of each packet: its headers and the beginning of a request."""
LAST_S = 0.5
"""For tcpdump to take what is on its way to it."""


@dataclass(slots=True)
class Tape:
    """tcpdump on the bridge. The bridge sees every frame, once, whoever it is for."""

    network: Network
    process: Process

    def cut(self, folder: Path) -> None:
        """Move what is on it to a folder, and go on with an empty one."""
        time.sleep(LAST_S)
        self.process.stop()
        for file in _ring(self.network).iterdir():
            shutil.move(file, folder)
        self.process = _tcpdump(self.network)

    def erase(self) -> None:
        """End it, and leave nothing."""
        self.process.stop()
        shutil.rmtree(_ring(self.network))


def record(network: Network) -> Tape:
    """Start one, and wait until it listens."""
    _ring(network).mkdir()
    return Tape(network, _tcpdump(network))


def _ring(network: Network) -> Path:
    return network.artifacts / SWITCH


def _tcpdump(network: Network) -> Process:
    where = ("ip", "netns", "exec", SWITCH)
    file = _ring(network) / f"{SWITCH}.pcap"
    ring = ("-C", str(MEGABYTES), "-W", str(FILES), "-w", str(file))
    # At once and unbuffered: the kernel would hand packets over in blocks, the last one too late.
    at_once = ("--immediate-mode", "-U")
    what = ("-Z", "root", "-n", "-s", str(BYTES), *at_once, "-i", "br0")
    process = network.processes.start(f"{SWITCH}.tcpdump", [*where, "tcpdump", *what, *ring])
    process.wait_for("listening on")
    return process
