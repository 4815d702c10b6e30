"""The watch of interfaces on a real kernel: what it says is what ip(8) did."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from lvsguard.kernel.interface_watch import InterfaceWatch
from tests.support.wire_pair import Pair, address, connect, namespaces_problem, pair

pytestmark = pytest.mark.skipif(
    bool(namespaces_problem()), reason=f"no network namespaces: {namespaces_problem()}"
)


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Pair]:
    with pair(tmp_path) as made:
        yield made


@pytest.fixture
def watch(hosts: Pair) -> Iterator[InterfaceWatch]:
    with hosts.left.entered():
        made = InterfaceWatch()
    yield made
    made.close()


def wait(watch: InterfaceWatch, holds: Callable[[], bool]) -> set[str]:
    """Read until it holds; which interfaces were told to have changed."""
    changed: set[str] = set()
    while not holds():
        readable, _, _ = select.select([watch], [], [], 5)
        assert readable, "the kernel reported nothing more"
        changed |= watch.read()
    return changed


def held(watch: InterfaceWatch) -> list[str]:
    state = watch.state("eth0")
    assert state is not None
    return [f"{one.address}/{one.prefix}" for one in state.addresses]


def test_it_knows_everything_from_the_start(hosts: Pair, watch: InterfaceWatch) -> None:
    wait(watch, lambda: (state := watch.state("eth0")) is not None and state.up)
    state = watch.state("eth0")
    assert state is not None
    assert (state.mtu, state.mac.hex(":")) == (1500, hosts.left.mac)
    assert held(watch) == ["10.0.0.41/24", "fd00::41/64", "fe80::41/64"]
    assert all(one.usable for one in state.addresses)
    assert watch.state("eth9") is None


def test_a_carrier_that_went_and_came_has_turned_twice(hosts: Pair, watch: InterfaceWatch) -> None:
    wait(watch, lambda: (state := watch.state("eth0")) is not None and state.up)
    before = watch.state("eth0")
    assert before is not None
    hosts.unplug()
    hosts.plug()
    wait(
        watch,
        lambda: (
            (state := watch.state("eth0")) is not None
            and state.up
            and state.turns == before.turns + 2
        ),
    )


def test_addresses_come_and_go(hosts: Pair, watch: InterfaceWatch) -> None:
    address(hosts.left, "10.0.0.8/24", "192.0.2.1/32")
    assert wait(watch, lambda: len(held(watch)) == 5) >= {"eth0"}
    state = watch.state("eth0")
    assert state is not None
    secondary = {one.address: one.secondary for one in state.addresses}
    assert secondary[ip_address("10.0.0.8")]
    assert not secondary[ip_address("192.0.2.1")]
    hosts.left.run("ip", "address", "del", "10.0.0.8/24", "dev", "eth0")
    wait(watch, lambda: "10.0.0.8/24" not in held(watch))


def test_duplicate_detection_in_progress_is_told(hosts: Pair, watch: InterfaceWatch) -> None:
    wait(watch, lambda: (state := watch.state("eth0")) is not None and state.up)
    hosts.left.run("ip", "address", "add", "fd00::99/64", "dev", "eth0")

    def usable() -> list[bool]:
        state = watch.state("eth0")
        assert state is not None
        return [one.usable for one in state.addresses if one.address == ip_address("fd00::99")]

    wait(watch, lambda: usable() == [False])
    wait(watch, lambda: usable() == [True])


def test_carrier_mtu_and_the_interface_itself_come_and_go(
    hosts: Pair, watch: InterfaceWatch
) -> None:
    wait(watch, lambda: (state := watch.state("eth0")) is not None and state.up)
    hosts.unplug()
    assert wait(watch, lambda: (state := watch.state("eth0")) is not None and not state.up) == {
        "eth0"
    }
    hosts.left.run("ip", "link", "set", "eth0", "mtu", "1400")
    wait(watch, lambda: (state := watch.state("eth0")) is not None and state.mtu == 1400)
    before = watch.state("eth0")
    hosts.left.run("ip", "link", "del", "eth0")
    wait(watch, lambda: watch.state("eth0") is None)
    connect(hosts.left, hosts.right)
    wait(watch, lambda: (state := watch.state("eth0")) is not None and state.up)
    after = watch.state("eth0")
    assert before is not None
    assert after is not None
    assert (before.name, after.name) == ("eth0", "eth0")
    wait(watch, lambda: held(watch) == ["10.0.0.41/24", "fd00::41/64", "fe80::41/64"])


def test_lost_events_are_made_good_by_reading_all_again(hosts: Pair) -> None:
    with hosts.left.entered():
        watch = InterfaceWatch(receive_buffer=4096)
        try:
            descriptor = watch.fileno()
            lines = [f"address add 192.0.2.{n}/32 dev lo" for n in range(1, 200)]
            hosts.left.run("ip", "-batch", "-", given="\n".join(lines))
            while len(state.addresses if (state := watch.state("lo")) else ()) < 199:
                readable, _, _ = select.select([watch], [], [], 5)
                assert readable
                watch.read()
            assert watch.fileno() == descriptor
        finally:
            watch.close()
