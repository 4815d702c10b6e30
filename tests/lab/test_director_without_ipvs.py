"""A kernel whose ip_vs is not loaded: it is loaded, or named, and waited for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.director import make_director, tell, wall
from tests.support.processes import run, wait_until
from tests.support.topology import VIP
from tests.support.topology_web import start_web

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.topology import Network

pytestmark = pytest.mark.without_ipvs

AUTOLOAD = Path("/proc/sys/kernel/modprobe")


@pytest.fixture
def unloaded(network: Network) -> Iterator[Network]:
    """The seed network on a kernel without ip_vs; and so it is again afterwards."""
    assert not Path("/proc/net/ip_vs").exists()
    yield network
    network.processes.close()
    network.director1.run("ipvsadm", "-C")
    run(["modprobe", "-r", "ip_vs_rr", "ip_vs"])


@pytest.fixture
def hardened(unloaded: Network) -> Iterator[Network]:
    """The same with its realservers, on a kernel that loads no module by itself."""
    for realserver in unloaded.realservers:
        realserver.hold_vip()
        start_web(realserver)
    before = AUTOLOAD.read_text()
    AUTOLOAD.write_text("/bin/false\n")
    yield unloaded
    AUTOLOAD.write_text(before)


def test_a_module_that_can_be_loaded_is(unloaded: Network) -> None:
    director = make_director(unloaded.director1)
    start_s = director.start()
    assert len(director.table()) == 3
    assert director.health().trouble == []
    tell("loaded by itself", start_s=start_s)
    director.kill()


def test_a_missing_module_is_named_and_waited_for(hardened: Network) -> None:
    director, since = make_director(hardened.director1), wall()
    hidden = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$1"; shift; exec "$@"', "sh")
    modules = Path("/lib/modules").resolve()
    process = director.launch(under=(*hidden, str(modules)))  # its own modprobe finds no module
    process.wait_for("modprobe ip_vs", 20)
    wait_until((director.place / "lvsguard.sock").exists, 5, "it serves its socket")
    trouble, *_ = director.health().trouble  # after 10 s: and that no pass has ended
    for words in (
        "this kernel has no IPVS",
        "the module ip_vs is not loaded",
        "run `modprobe ip_vs`",
    ):
        assert words in trouble
    assert director.readiness()[0] is False
    assert "10.0.0.8/24" not in director.host.addresses()  # no VIP that nobody would serve
    assert process.running
    assert len(director.events("kernel-error", since)) == 1
    run(["modprobe", "-a", "ip_vs", "ip_vs_rr"])
    served_s = director.wait_for_weights(5, rs1=1, rs2=1)
    assert hardened.client.get(VIP)[0] == 200
    assert director.health().trouble == []
    assert len(director.events("kernel-recovered", since)) == 1
    tell("loaded by hand", served_s=served_s)
