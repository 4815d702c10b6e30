"""What passed the switch lately: a capture that is always on, of bounded size, for a failing test.

`Host.capture` is for a test that looks at packets itself.
"""

from __future__ import annotations

import shutil
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


@dataclass(slots=True)
class Tape:
    """tcpdump on the bridge. The bridge sees every frame, once, whoever it is for."""

    network: Network
    process: Process

    def cut(self, folder: Path) -> None:
        """Move what is on it to a folder, and go on with an empty one."""
        self.process.stop()
        for file in _files(self.network):
            shutil.move(file, folder)
        self.process = _tcpdump(self.network)

    def erase(self) -> None:
        """End it, and leave nothing."""
        self.process.stop()
        for file in (*_files(self.network), self.process.log):
            file.unlink()


def record(network: Network) -> Tape:
    """Start one, and wait until it listens."""
    return Tape(network, _tcpdump(network))


def _files(network: Network) -> list[Path]:
    return sorted(network.artifacts.glob(f"{SWITCH}.pcap*"))


def _tcpdump(network: Network) -> Process:
    where = ("ip", "netns", "exec", SWITCH)
    ring = ("-C", str(MEGABYTES), "-W", str(FILES), "-w", str(network.artifacts / f"{SWITCH}.pcap"))
    what = ("-Z", "root", "-n", "-s", str(BYTES), "-i", "br0")
    process = network.processes.start(f"{SWITCH}.tcpdump", [*where, "tcpdump", *what, *ring])
    process.wait_for("listening on")
    return process
