"""What a real network answers to a probe, and which class of failure that is."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pytest

from lvsguard.core.config import Check, CheckKind, CheckSpec, HttpSpec, TcpSpec
from lvsguard.core.health import FailureClass, Result, Timing
from lvsguard.probes.engine import Engine, Loop
from tests.support.processes import run, wait_until
from tests.support.topology import VIP, Capture, Host, Network, seed_network
from tests.support.topology_web import start_web
from tests.unit.probes.realserver import probe

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

PORT, NUMBERS = 83, itertools.count()
HOST_DEAD, LOCAL = FailureClass.HOST_DEAD, FailureClass.LOCAL


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    artifacts: Path = tmp_path_factory.mktemp("network")
    with seed_network(artifacts) as network:
        yield network


def ask(
    director: Host,
    address: str,
    port: int = 80,
    kind: CheckKind = CheckKind.TCP,
    *,
    timeout: float = 2.0,
    source: str | None = None,
    own: IPv4Address | IPv6Address | None = None,
) -> Result:
    """Probe once from a director."""
    spec = CheckSpec(
        kind,
        Timing(timeout=timeout),
        source=None if source is None else ip_address(source),
        own=own,
        http=HttpSpec(expect_body="rs"),
        tcp=TcpSpec(),
    )
    check = Check(ip_address(address), port, spec)
    with (
        director.entered(),
        asyncio.Runner(loop_factory=lambda: Loop(Engine())) as runner,
    ):
        return runner.run(probe(check))


def of(result: Result) -> tuple[str, FailureClass | None]:
    return result.code, result.failure


def capture_text(capture: Capture) -> str:
    return run(["tcpdump", "-nn", "-r", str(capture.file)], check=False).stdout


def reject(host: Host, port: int, *how: str) -> None:
    host.run("iptables", "-A", "INPUT", "-p", "tcp", "--dport", str(port), "-j", *how)


def test_a_web_server_is_up_over_both_families(network: Network) -> None:
    web = start_web(network.rs1)
    try:
        for address in (network.rs1.address, network.rs1.address6):
            for kind in (CheckKind.HTTP, CheckKind.TCP):
                result = ask(network.director1, str(address), 80, kind)
                assert result.ok, result
    finally:
        web.kill()


def test_nobody_listening_is_a_refusal(network: Network) -> None:
    for kind in (CheckKind.HTTP, CheckKind.HTTPS, CheckKind.TCP):
        result = ask(network.director1, str(network.rs1.address), 81, kind)
        assert of(result) == ("L4CON", FailureClass.REFUSED)
        assert result.duration < 0.5


def test_a_firewall_that_drops_is_a_timeout(network: Network) -> None:
    reject(network.rs2, 7001, "DROP")
    result = ask(network.director1, str(network.rs2.address), 7001, timeout=0.5)
    assert of(result) == ("L4TOUT", FailureClass.TIMEOUT)


@pytest.mark.parametrize(
    ("port", "how"),
    [(7002, "icmp-host-unreachable"), (7003, "icmp-host-prohibited")],
)
def test_a_firewall_that_rejects_is_the_realservers_trouble(
    network: Network, port: int, how: str
) -> None:
    reject(network.rs2, port, "REJECT", "--reject-with", how)
    for kind in (CheckKind.TCP, CheckKind.HTTP, CheckKind.HTTPS):
        result = ask(network.director1, str(network.rs2.address), port, kind)
        assert of(result) == ("L4CON", FailureClass.WRONG), result
        assert "(ICMP from the realserver itself)" in result.reason


@pytest.fixture
def routed(network: Network) -> Iterator[Network]:
    """`rs2` behind a router, the client: 192.168.7.2 on a cable between the two."""
    network.add_cable(network.client, network.rs2)
    network.client.sysctl("net.ipv4.ip_forward", 1)
    route = ("192.168.7.0/24", "via", str(network.client.address))
    network.director1.run("ip", "route", "add", *route)
    yield network
    network.director1.run("ip", "route", "del", *route)
    network.client.sysctl("net.ipv4.ip_forward", 0)
    network.client.run("ip", "link", "delete", "eth1")


def test_a_router_tells_of_a_dead_host_and_of_its_own_rules(routed: Network) -> None:
    def found(address: str, port: int, kind: CheckKind) -> Result:
        return ask(routed.director1, address, port, kind, timeout=6.0)

    rule = ("FORWARD", "-p", "tcp", "--dport", "7005", "-j", "REJECT")
    routed.client.run("iptables", "-A", *rule, "--reject-with", "icmp-admin-prohibited")
    reject(routed.rs2, 7006, "REJECT", "--reject-with", "icmp-host-prohibited")
    for kind in (CheckKind.TCP, CheckKind.HTTPS):
        assert of(found("192.168.7.77", 80, kind)) == ("L4CON", HOST_DEAD)
        by_router = found("192.168.7.2", 7005, kind)
        assert of(by_router) == ("L4CON", FailureClass.WRONG), by_router
        assert f"(ICMP from {routed.client.address})" in by_router.reason
        by_itself = found("192.168.7.2", 7006, kind)
        assert of(by_itself) == ("L4CON", FailureClass.WRONG), by_itself
        assert "(ICMP from the realserver itself)" in by_itself.reason


def test_a_firewall_that_rejects_over_ipv6_is_the_realservers_trouble(network: Network) -> None:
    rule = ("INPUT", "-p", "tcp", "--dport", "7004", "-j", "REJECT")
    network.rs2.run("ip6tables", "-A", *rule, "--reject-with", "icmp6-adm-prohibited")
    for kind in (CheckKind.TCP, CheckKind.HTTP, CheckKind.HTTPS):
        result = ask(network.director1, str(network.rs2.address6), 7004, kind, timeout=4.0)
        assert of(result) == ("L4CON", FailureClass.WRONG), result
        assert result.reason.startswith("prohibited (ICMP from the realserver itself)")


def test_a_host_that_answers_no_arp_is_dead(network: Network) -> None:
    result = ask(network.director1, "10.0.0.77", timeout=6.0)
    assert of(result) == ("L4CON", HOST_DEAD)
    assert result.reason == "no route to host"


def test_no_route_is_the_directors_own_trouble(network: Network) -> None:
    for kind in (CheckKind.TCP, CheckKind.HTTPS):
        result = ask(network.director1, "192.0.2.1", kind=kind)
        assert of(result) == ("SOCKERR", LOCAL)
        assert "no route to the realserver" in result.reason


def test_a_route_of_type_unreachable_is_the_directors_own_trouble(network: Network) -> None:
    network.director1.run("ip", "route", "add", "unreachable", "198.51.100.0/24")
    assert of(ask(network.director1, "198.51.100.1")) == ("SOCKERR", LOCAL)


def test_a_route_of_type_prohibit_is_the_directors_own_trouble(network: Network) -> None:
    network.director1.run("ip", "-6", "route", "add", "prohibit", "2001:db8:dead::/48")
    for kind in (CheckKind.TCP, CheckKind.HTTPS):
        result = ask(network.director1, "2001:db8:dead::1", kind=kind)
        assert of(result) == ("SOCKERR", LOCAL), result


def test_a_link_that_is_down_is_the_directors_own_trouble(network: Network) -> None:
    network.director2.run("ip", "link", "set", "eth0", "down")
    try:
        result = ask(network.director2, str(network.rs1.address))
    finally:
        network.director2.run("ip", "link", "set", "eth0", "up")
    assert of(result) == ("SOCKERR", LOCAL)


def test_a_probe_comes_from_the_source_address(network: Network) -> None:
    network.director1.run("ip", "address", "add", "10.0.0.99/24", "dev", "eth0")
    capture = network.rs1.capture("source", "tcp port 82")
    before = capture.file.stat().st_size
    ask(network.director1, str(network.rs1.address), 82, source="10.0.0.99")
    wait_until(lambda: capture.file.stat().st_size > before, 5, "the packets are captured")
    packets = capture.stop()
    assert any("10.0.0.99." in packet and "10.0.0.42.82" in packet for packet in packets)
    assert not any("10.0.0.41." in packet for packet in packets)


def sources(network: Network, kind: CheckKind, own: IPv4Address) -> set[str]:
    """Probe rs2, where nobody listens; the addresses that its connections come from."""
    name = f"own-{next(NUMBERS)}"  # of its own: the log and the file of another would mislead
    capture = network.rs2.capture(name, f"dst port {PORT} and tcp[tcpflags] == tcp-syn")
    before = capture.file.stat().st_size
    ask(network.director2, str(network.rs2.address), PORT, kind, own=own, timeout=1.0)
    wait_until(lambda: capture.file.stat().st_size > before, 5, "the packets are captured")
    return set(re.findall(r"([\d.]+)\.\d+ > ", "\n".join(capture.stop())))


@pytest.fixture
def vip_first(network: Network) -> Iterator[Host]:
    """The second director after an address flush: its VIP came back before its own address."""
    director = network.director2
    director.run("ip", "-4", "address", "flush", "dev", "eth0")
    director.run("ip", "address", "add", f"{VIP}/24", "dev", "eth0")
    director.run("ip", "address", "add", f"{director.address}/24", "dev", "eth0")
    network.rs2.hold_vip()
    yield director
    network.rs2.run("ip", "link", "delete", "ipvs0")
    director.sysctl("net.ipv4.ip_nonlocal_bind", 0)
    director.run("ip", "-4", "address", "flush", "dev", "eth0")
    director.run("ip", "address", "add", f"{director.address}/24", "dev", "eth0")


KINDS = pytest.mark.parametrize("kind", [CheckKind.TCP, CheckKind.HTTP, CheckKind.HTTPS])


@KINDS
def test_a_probe_comes_from_the_own_address_though_the_vip_is_the_primary_one(
    network: Network, vip_first: Host, kind: CheckKind
) -> None:
    assert vip_first.addresses() == [f"{VIP}/24", f"{vip_first.address}/24"]
    chosen = vip_first.run("ip", "route", "get", str(network.rs2.address)).stdout
    assert f"src {VIP} " in chosen
    assert sources(network, kind, vip_first.address) == {str(vip_first.address)}
    # The realserver holds the VIP as well: it answers nothing, not even ARP, that comes from there.
    own = ask(vip_first, str(network.rs2.address), PORT, kind, own=vip_first.address)
    assert of(own) == ("L4CON", FailureClass.REFUSED)
    assert of(ask(vip_first, str(network.rs2.address), PORT, kind, timeout=0.5)) == (
        "L4TOUT",
        FailureClass.TIMEOUT,
    )


@KINDS
@pytest.mark.parametrize("nonlocal_bind", [0, 1])
def test_a_probe_goes_on_from_another_address_when_the_own_one_is_gone(
    network: Network, vip_first: Host, kind: CheckKind, nonlocal_bind: int
) -> None:
    vip_first.sysctl("net.ipv4.ip_nonlocal_bind", nonlocal_bind)
    vip_first.run("ip", "-4", "address", "flush", "dev", "eth0")
    vip_first.run("ip", "address", "add", "10.0.0.39/24", "dev", "eth0")
    result = ask(vip_first, str(network.rs2.address), PORT, kind, own=vip_first.address)
    assert of(result) == ("L4CON", FailureClass.REFUSED), result
    assert sources(network, kind, vip_first.address) == {"10.0.0.39"}


def test_a_probe_costs_few_packets_and_leaves_no_time_wait(network: Network) -> None:
    web = start_web(network.rs1)
    try:
        capture = network.director1.capture("packets", "tcp port 80")
        for _ in range(5):
            assert ask(network.director1, str(network.rs1.address), kind=CheckKind.HTTP).ok
        ask(network.director1, str(network.rs2.address), 80)
        refusal = f"{network.rs2.address}.80 > "
        wait_until(lambda: refusal in capture_text(capture), 5, "the last packet is captured")
        packets = [line for line in capture.stop() if str(network.rs1.address) in line]
        assert sum("[S]" in packet for packet in packets) == 5
        assert len(packets) <= 5 * 10, "\n".join(packets)
        states = network.director1.run("ss", "-Htan", "state", "time-wait").stdout
        assert states == ""
    finally:
        web.kill()
