"""The realserver side when it is killed, raced, or not allowed to do its work."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lvsguard.realserver.record_file import FILE
from lvsguard.realserver.setup import down
from tests.contract.realserver_net import Wire, namespaces_problem, wire

pytestmark = pytest.mark.skipif(
    bool(namespaces_problem()), reason=f"no network namespaces: {namespaces_problem()}"
)
UP = """
import asyncio, sys
from ipaddress import ip_address
from pathlib import Path
from lvsguard.kernel.port import KernelError
from lvsguard.realserver.model import RealserverSetup
from lvsguard.realserver.session import Host
from lvsguard.realserver.setup import up
setup = RealserverSetup(vips=tuple(map(ip_address, ("10.0.0.8", "10.0.0.9", "fd00::8"))), link="lo")
try:
    print(len(asyncio.run(up(setup, Host(directory=Path(sys.argv[1]))))))
except KernelError as error:
    sys.exit(str(error))
"""
ALL_CHANGES = 4 + 3
"""Four settings and three addresses."""


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    with wire(tmp_path_factory.mktemp("realserver") / "record") as made:
        yield made


@pytest.fixture
def lab(hosts: Wire) -> Wire:
    hosts.reset()
    return hosts


def start_up(lab: Wire, *prefix: str) -> subprocess.Popen[str]:
    """Start `up` in a process of its own, in the realserver's namespace."""
    argv = (*prefix, sys.executable, "-c", UP, str(lab.host.directory))
    return lab.realserver.do(
        lambda: subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    )


def vips(lab: Wire) -> set[str]:
    links = json.loads(lab.realserver.run("ip -j addr show lo"))
    return {a["local"] for a in links[0]["addr_info"]} - {"127.0.0.1", "::1"}


@pytest.mark.parametrize("delay_ms", [0, 1, 2, 4, 6, 8, 12, 16])
def test_killed_at_any_moment_it_is_quiet_and_down_restores(lab: Wire, delay_ms: int) -> None:
    lab.realserver.sysctl("all/arp_announce", 1)
    before = lab.snapshot()
    process = start_up(lab)
    while not (lab.host.directory / FILE).exists() and process.poll() is None:
        time.sleep(0.0005)
    time.sleep(delay_ms / 1000)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    if "10.0.0.8" in vips(lab):
        assert lab.realserver.sysctl("all/arp_ignore") == "1"
        assert lab.realserver.sysctl("all/arp_announce") == "2"
    lab.realserver.call(lambda: down(lab.host))
    assert lab.snapshot() == before
    assert not (lab.host.directory / FILE).exists()


def test_two_at_once_do_the_work_once(lab: Wire) -> None:
    processes = [start_up(lab) for _ in range(2)]
    done = sorted(int(process.communicate(timeout=60)[0]) for process in processes)
    assert done == [0, ALL_CHANGES]
    assert vips(lab) == {"10.0.0.8", "10.0.0.9", "fd00::8"}


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed (util-linux)")
def test_without_the_capability_it_says_which_and_changes_nothing(lab: Wire) -> None:
    lab.realserver.sysctl("all/arp_ignore", 1)
    lab.realserver.sysctl("all/arp_announce", 2)
    lab.realserver.sysctl("lo/arp_ignore", 1)
    lab.realserver.sysctl("lo/arp_announce", 2)
    before = lab.snapshot()
    process = start_up(lab, "setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "cannot add address 10.0.0.8/32 to lo: Operation not permitted" in said
    assert "CAP_NET_ADMIN is needed" in said
    assert lab.snapshot() == before


def test_with_kernel_settings_read_only_it_says_so_before_any_address(lab: Wire) -> None:
    before = lab.snapshot()
    script = 'mount -o bind,ro /proc/sys /proc/sys && exec "$@"'
    process = start_up(lab, "unshare", "-m", "sh", "-c", script, "sh")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Read-only file system" in said
    assert "ProtectKernelTunables=no" in said
    assert lab.snapshot() == before


def test_with_a_record_that_cannot_be_written_nothing_is_done(lab: Wire, tmp_path: Path) -> None:
    """A full disk, as a file system of two blocks."""
    before = lab.snapshot()
    script = f'mount -t tmpfs -o size=4096,nr_inodes=1 none "{tmp_path}" && exec "$@"'
    argv = ("unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-c", UP, str(tmp_path))
    done = lab.realserver.do(
        lambda: subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    )
    assert done.returncode == 1
    assert "No space left on device; nothing was changed that is not recorded" in done.stderr
    assert lab.snapshot() == before
