"""What a director says about flows it does not know is held back, and nothing else is."""

from __future__ import annotations

import contextlib
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

import pytest

from lvsguard.kernel.port import KernelError
from lvsguard.vrrp.holdback import Holdback
from tests.support.topology import VIP, Host, Network

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

VIP6 = IPv6Address("fd00::8")
OTHERS = [ip_address(0x0A630000 + n) for n in range(700)]
OTHERS6 = [ip_address((0xFD99 << 112) + n) for n in range(350)]
PATIENCE_S = 0.3


@pytest.fixture
def director(network: Network) -> Host:
    """A director that holds VIPs and has nothing that listens there."""
    director = network.director1
    director.run("ip", "address", "add", f"{VIP}/24", "dev", "eth0")
    director.run("ip", "address", "add", f"{VIP6}/64", "dev", "eth0", "nodad")
    return director


@contextlib.contextmanager
def holdback(director: Host, *interfaces: str) -> Iterator[Holdback]:
    with director.entered():
        holder = Holdback(interfaces or ("eth0",), [*OTHERS, VIP, *OTHERS6, VIP6])
    try:
        with director.entered():
            yield holder
    finally:
        with director.entered():
            holder.close()


def connect(client: Host, address: IPv4Address | IPv6Address, kind: int) -> str:
    """What a client hears: refused, open, or nothing."""
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    with client.entered():
        sock = socket.socket(family, kind)
    with sock:
        sock.settimeout(PATIENCE_S)
        try:
            sock.connect((str(address), 8099))
            if kind == socket.SOCK_DGRAM:
                sock.send(b"x")
                sock.recv(1)
        except ConnectionRefusedError:
            return "refused"
        except TimeoutError:
            return "nothing"
        return "open"


def tc(director: Host, command: str) -> None:
    director.run("tc", *command.split())


def qdiscs(director: Host) -> str:
    return director.run("tc", "qdisc", "show", "dev", "eth0").stdout


def filters(director: Host) -> str:
    return director.run("tc", "filter", "show", "dev", "eth0", "egress").stdout


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["tcp", "udp"])
@pytest.mark.parametrize("vip", [VIP, VIP6], ids=["ipv4", "ipv6"])
def test_nothing_is_refused_in_the_vips_name_while_armed(
    network: Network, director: Host, vip: IPv4Address | IPv6Address, kind: int
) -> None:
    client = network.client
    own = director.address if vip.version == 4 else director.address6
    with holdback(director) as holder:
        assert connect(client, vip, kind) == "refused"
        holder.arm()
        holder.arm()
        assert connect(client, vip, kind) == "nothing"
        assert connect(client, own, kind) == "refused"
        holder.release()
        assert not holder.armed
        assert connect(client, vip, kind) == "refused"


def test_a_program_on_the_director_answers_on_the_vip_while_armed(
    network: Network, director: Host
) -> None:
    with holdback(director) as holder:
        holder.arm()
        with director.entered():
            server = socket.create_server((str(VIP), 8099))
        with server:
            assert connect(network.client, VIP, socket.SOCK_STREAM) == "open"


def test_the_end_leaves_the_interface_as_it_was(director: Host) -> None:
    before = qdiscs(director)
    with holdback(director) as holder:
        holder.arm()
        assert "clsact" in qdiscs(director)
    assert qdiscs(director) == before


def test_what_others_hung_on_the_interface_stays(director: Host) -> None:
    tc(director, "qdisc add dev eth0 clsact")
    tc(director, "filter add dev eth0 egress pref 5 matchall action ok")
    before = filters(director)
    with holdback(director) as holder:
        holder.arm()
        assert filters(director) != before
    assert filters(director) == before
    assert "clsact" in qdiscs(director)


def test_a_qdisc_of_ours_stays_while_somebody_elses_filter_is_on_it(director: Host) -> None:
    with holdback(director) as holder:
        holder.arm()
        tc(director, "filter add dev eth0 ingress pref 5 matchall action ok")
    assert "clsact" in qdiscs(director)
    assert "pref 8848" not in filters(director)


def test_a_new_process_releases_what_a_killed_one_left(network: Network, director: Host) -> None:
    with director.entered():
        killed = Holdback(["eth0"], [VIP])
        killed.arm()
        assert connect(network.client, VIP, socket.SOCK_STREAM) == "nothing"
    with holdback(director):
        assert connect(network.client, VIP, socket.SOCK_STREAM) == "refused"
    killed.close()


def test_an_ingress_qdisc_is_left_alone_and_told_of(director: Host) -> None:
    tc(director, "qdisc add dev eth0 ingress")
    with holdback(director) as holder:
        with pytest.raises(KernelError, match=r"ingress qdisc.*tc qdisc replace"):
            holder.arm()
        assert not holder.armed
    assert "ingress" in qdiscs(director)


def test_a_missing_interface_is_named(director: Host) -> None:
    with (
        holdback(director, "eth7") as holder,
        pytest.raises(KernelError, match=r"on eth7.*ip link"),
    ):
        holder.arm()
