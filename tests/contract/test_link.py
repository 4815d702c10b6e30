"""Interfaces over rtnetlink on a real kernel: what is read is what ip(8) shows."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable, Iterator
from ipaddress import ip_interface
from pathlib import Path
from typing import Any, TypeVar

import pytest
from pyroute2.iproute.linux import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from lvsguard.kernel.link import Link, LinkAddress, Links, link_name_problem, open_links
from lvsguard.kernel.port import KernelError
from tests.contract.realserver_net import Wire, dummy_problem, namespaces_problem, wire

pytestmark = pytest.mark.skipif(
    bool(namespaces_problem()), reason=f"no network namespaces: {namespaces_problem()}"
)
KIND = "ifb" if dummy_problem() else "dummy"
T = TypeVar("T")
_open: Callable[[], Any] = AsyncIPRoute  # the library is not typed


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    with wire(tmp_path_factory.mktemp("link")) as made:
        yield made


@pytest.fixture
def lab(hosts: Wire) -> Wire:
    hosts.reset()
    return hosts


def ask(lab: Wire, work: Callable[[Links], Awaitable[T]]) -> T:
    async def body() -> T:
        async with open_links() as links:
            return await work(links)

    return lab.realserver.call(body)


def read(lab: Wire, name: str) -> Link | None:
    found = ask(lab, lambda links: links.read())
    return next((link for link in found if link.name == name), None)


def test_links_are_read_with_kind_state_and_addresses(lab: Wire) -> None:
    lo, eth0 = read(lab, "lo"), read(lab, "eth0")
    assert lo is not None
    assert eth0 is not None
    assert (lo.loopback, lo.up, lo.kind, lo.speaks_arp) == (True, True, "", False)
    assert (eth0.loopback, eth0.up, eth0.kind, eth0.speaks_arp) == (False, True, "veth", True)
    assert eth0.mac in lab.realserver.run("ip -br link show eth0")
    assert set(eth0.addresses) == {
        LinkAddress(ip_interface("10.0.0.42/24")),
        LinkAddress(ip_interface("fd00::42/64")),
    }


def test_a_link_is_made_raised_and_deleted_once(lab: Wire) -> None:
    assert ask(lab, lambda links: links.add("web.8", KIND))
    assert not ask(lab, lambda links: links.add("web.8", KIND))
    link = read(lab, "web.8")
    assert link is not None
    assert (link.kind, link.up, link.speaks_arp) == (KIND, False, False)
    ask(lab, lambda links: links.set_up("web.8", up=True))
    link = read(lab, "web.8")
    assert link is not None
    assert link.up
    assert ask(lab, lambda links: links.delete("web.8"))
    assert not ask(lab, lambda links: links.delete("web.8"))
    assert read(lab, "web.8") is None


@pytest.mark.parametrize("text", ["10.0.0.8/32", "10.9.0.8/24", "fd00::8/128"])
def test_an_address_is_added_and_deleted_once(lab: Wire, text: str) -> None:
    address = ip_interface(text)
    assert ask(lab, lambda links: links.add_address("eth0", address))
    assert not ask(lab, lambda links: links.add_address("eth0", address))
    assert text in lab.realserver.run("ip addr show eth0")
    link = read(lab, "eth0")
    assert link is not None
    assert LinkAddress(address, settled=True) in link.addresses, "IPv6 without detection"
    assert ask(lab, lambda links: links.delete_address("eth0", address))
    assert not ask(lab, lambda links: links.delete_address("eth0", address))
    assert text not in lab.realserver.run("ip addr show eth0")


def test_an_address_under_detection_is_not_settled(lab: Wire) -> None:
    lab.realserver.run("ip addr add fd00::9/64 dev eth0")
    link = read(lab, "eth0")
    assert link is not None
    assert LinkAddress(ip_interface("fd00::9/64"), settled=False) in link.addresses


def test_default_routes_name_their_interface(lab: Wire) -> None:
    assert ask(lab, lambda links: links.default_route_links()) == frozenset()
    lab.realserver.run("ip route add default via 10.0.0.1 dev eth0")
    eth0 = read(lab, "eth0")
    assert eth0 is not None
    assert ask(lab, lambda links: links.default_route_links()) == {eth0.index}


def test_what_is_not_there_is_told(lab: Wire) -> None:
    with pytest.raises(KernelError, match="there is no interface eth9") as caught:
        ask(lab, lambda links: links.add_address("eth9", ip_interface("10.0.0.8/32")))
    assert caught.value.errno == errno.ENODEV
    assert not ask(lab, lambda links: links.delete_address("eth9", ip_interface("10.0.0.8/32")))
    with pytest.raises(KernelError, match="no such interface type: load its module"):
        ask(lab, lambda links: links.add("ipvs0", "nosuchkind"))


def test_ipv6_that_is_turned_off_is_told_with_the_setting(lab: Wire) -> None:
    path = Path("/proc/sys/net/ipv6/conf/lo/disable_ipv6")
    lab.realserver.do(lambda: path.write_text("1"))
    try:
        with pytest.raises(KernelError, match="disable_ipv6=0"):
            ask(lab, lambda links: links.add_address("lo", ip_interface("fd00::8/128")))
    finally:
        lab.realserver.do(lambda: path.write_text("0"))


@pytest.mark.parametrize(
    "name",
    [
        ".",
        "..",
        "a/b",
        "a:b",
        "a b",
        "a\tb",
        "a\xa0b",
        "à",
        "a" * 16,
        "é" * 8,
        "eth0.1",
        "a" * 15,
        "é" * 7,
    ],
)
def test_a_name_is_a_problem_when_the_kernel_refuses_it(lab: Wire, name: str) -> None:
    async def kernel_takes() -> bool:
        route: Any = _open()
        try:
            await route.link("add", ifname=name, kind=KIND)
        except NetlinkError as error:
            if error.code not in {errno.EINVAL, errno.ERANGE}:
                raise
            return False
        finally:
            route.close()
        return True

    assert lab.realserver.call(kernel_takes) == (link_name_problem(name) is None)


@pytest.mark.parametrize("name", ["", "web%d", "100%"])
def test_a_name_that_the_kernel_would_replace_is_a_problem(lab: Wire, name: str) -> None:
    with pytest.raises(KernelError, match="cannot be made"):
        ask(lab, lambda links: links.add(name, KIND))
