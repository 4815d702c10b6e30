"""The lab's kernel: every IPVS scheduler where IPVS is wanted, and no ip_vs where it is not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import run

if TYPE_CHECKING:
    from tests.support.topology import Network

SCHEDULERS = ["rr", "wrr", "lc", "wlc", "fo", "ovf", "lblc", "lblcr", "dh", "sh", "mh", "sed", "nq"]


@pytest.mark.kernel
@pytest.mark.lab
def test_every_scheduler_can_be_used(network: Network) -> None:
    for mark, scheduler in enumerate(SCHEDULERS, start=1):
        network.director1.run("ipvsadm", "-A", "-f", str(mark), "-s", scheduler)
    assert [line.split()[4] for line in network.director1.ipvs()] == SCHEDULERS


@pytest.mark.without_ipvs
def test_ip_vs_is_not_loaded_but_could_be() -> None:
    assert not Path("/proc/net/ip_vs").exists()
    assert run(["modprobe", "--dry-run", "ip_vs"]).returncode == 0
