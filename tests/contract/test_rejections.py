"""Who rejects a probe, as the kernel tells it: a realserver, a router, or this director.

`left` is the director; `right` is the realserver or a router to it. Real ICMP, no IPVS.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, ip_address

import pytest

from lvsguard.core.config import Check, CheckKind, CheckSpec, TcpSpec, VipPath
from lvsguard.core.health import FailureClass, Result, Timing
from lvsguard.probes.engine import Engine, Loop
from tests.support.topology import Host
from tests.support.wire_pair import Pair, namespaces_problem, pair
from tests.unit.probes.realserver import probe

pytestmark = pytest.mark.skipif(bool(namespaces_problem()), reason=namespaces_problem() or "-")

RIP, RIP6 = "10.0.0.40", "fd00::40"
WRONG, HOST_DEAD = ("L4CON", FailureClass.WRONG), ("L4CON", FailureClass.HOST_DEAD)
KINDS = (CheckKind.TCP, CheckKind.HTTP, CheckKind.HTTPS)
TAKES_THE_CONNECTION = """\
import socket, time
server = socket.create_server(("::", 7), family=socket.AF_INET6, dualstack_ipv6=True)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with pair(tmp_path_factory.mktemp("rejections")) as made:
        for family in ("ipv4", "ipv6"):
            made.left.sysctl(f"net.{family}.neigh.eth0.retrans_time_ms", 100)
        # It says all that a test asks for; by default one message a second for each peer.
        made.right.sysctl("net.ipv4.icmp_ratelimit", 0)
        made.right.sysctl("net.ipv6.icmp.ratelimit", 0)
        made.right.start("server", "python3", "-c", TAKES_THE_CONNECTION).wait_for("ready")
        yield made


@contextmanager
def rejecting(host: Host, address: str, how: str, chain: str, *match: str) -> Iterator[None]:
    """Have a host's firewall reject TCP for an address with an ICMP message."""
    tool = "ip6tables" if ":" in address else "iptables"
    rule = [chain, "-d", address, "-p", "tcp", *match, "-j", "REJECT", "--reject-with", how]
    done = host.run(tool, "-A", *rule, check=False)
    if done.returncode:
        pytest.skip(f"{tool}: {done.stderr.strip()}")
    try:
        yield
    finally:
        host.run(tool, "-D", *rule)


@pytest.fixture(scope="module")
def router(hosts: Pair) -> Iterator[Pair]:
    """`right` leads on to other networks, as far as it does."""
    hosts.right.sysctl("net.ipv4.ip_forward", 1)
    hosts.right.sysctl("net.ipv6.conf.all.forwarding", 1)
    for how, number in (("prohibit", 1), ("unreachable", 2)):
        for network, gateway in ((f"198.18.{number}.0/24", RIP), (f"2001:db8:{number}::/48", RIP6)):
            hosts.right.run("ip", "route", "add", how, network)
            hosts.left.run("ip", "route", "add", network, "via", gateway)
    yield hosts
    hosts.right.sysctl("net.ipv4.ip_forward", 0)
    hosts.right.sysctl("net.ipv6.conf.all.forwarding", 0)


def ask(
    hosts: Pair,
    address: str,
    kind: CheckKind = CheckKind.TCP,
    *,
    port: int = 7000,
    timeout: float = 5.0,
    path: VipPath | None = None,
) -> Result:
    spec = CheckSpec(kind, Timing(timeout=timeout), tcp=TcpSpec(), path=path)
    with (
        hosts.left.entered(),
        asyncio.Runner(loop_factory=lambda: Loop(Engine())) as runner,
    ):
        return runner.run(probe(Check(ip_address(address), port, spec)))


def of(result: Result) -> tuple[str, FailureClass | None]:
    return result.code, result.failure


PROHIBITED = [
    (RIP, "icmp-host-prohibited", "host prohibited"),
    (RIP, "icmp-net-prohibited", "network prohibited"),
    (RIP, "icmp-admin-prohibited", "prohibited"),
    (RIP6, "icmp6-adm-prohibited", "prohibited"),
    (RIP6, "icmp6-policy-fail", "source address rejected"),
    (RIP6, "icmp6-reject-route", "route rejected"),
]
UNREACHABLE = [
    (RIP, "icmp-host-unreachable", "host unreachable"),
    (RIP, "icmp-net-unreachable", "network unreachable"),
    (RIP6, "icmp6-addr-unreachable", "address unreachable"),
    (RIP6, "icmp6-no-route", "no route"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("address", "how", "words"), PROHIBITED + UNREACHABLE)
def test_a_realserver_that_rejects_a_probe_lives(
    hosts: Pair, address: str, how: str, words: str, kind: CheckKind
) -> None:
    with rejecting(hosts.right, address, how, "INPUT"):
        result = ask(hosts, address, kind)
    assert of(result) == WRONG, result
    assert result.reason.startswith(f"{words} (ICMP from the realserver itself): ")
    assert "firewall" in result.reason
    assert "this director" in result.reason
    assert result.duration < 0.9  # the first message is believed, not that of the next SYN


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("address", "sender"), [("198.18.1.1", RIP), ("2001:db8:1::1", RIP6)], ids=["ipv4", "ipv6"]
)
def test_a_router_that_prohibits_it_says_nothing_of_the_host(
    router: Pair, address: str, sender: str, kind: CheckKind
) -> None:
    result = ask(router, address, kind)
    assert of(result) == WRONG, result
    assert result.reason.startswith(f"prohibited (ICMP from {sender}): ")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("address", ["198.18.2.1", "2001:db8:2::1"])
def test_a_router_that_cannot_reach_the_host_calls_it_dead(
    router: Pair, address: str, kind: CheckKind
) -> None:
    assert of(ask(router, address, kind)) == HOST_DEAD


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("address", ["10.0.0.77", "fd00::77"])
def test_a_host_that_nobody_answers_for_on_the_link_is_dead(
    hosts: Pair, address: str, kind: CheckKind
) -> None:
    result = ask(hosts, address, kind)
    assert of(result) == HOST_DEAD, result
    assert result.reason == "no route to host"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("address", "how"), [(RIP, "icmp-admin-prohibited"), (RIP6, "icmp6-adm-prohibited")]
)
def test_the_directors_own_firewall_is_its_own_trouble(
    hosts: Pair, address: str, how: str, kind: CheckKind
) -> None:
    with rejecting(hosts.left, address, how, "OUTPUT"):
        result = ask(hosts, address, kind)
    assert of(result) == ("SOCKERR", FailureClass.LOCAL), result
    assert "a firewall rule of this director forbids it" in result.reason


def test_one_who_rejects_on_its_own_address_too_is_not_dead(hosts: Pair) -> None:
    with rejecting(hosts.right, RIP, "icmp-host-prohibited", "INPUT"):
        result = ask(hosts, RIP, timeout=1.0, path=VipPath(IPv4Address("10.0.0.8"), 7000))
    assert of(result) == WRONG, result


@pytest.mark.parametrize("kind", [CheckKind.HTTP, CheckKind.HTTPS])
@pytest.mark.parametrize(
    ("address", "how"), [(RIP, "icmp-host-prohibited"), (RIP6, "icmp6-adm-prohibited")]
)
def test_what_is_rejected_of_a_connection_that_stands_does_not_break_it(
    hosts: Pair, address: str, how: str, kind: CheckKind
) -> None:
    with rejecting(hosts.right, address, how, "INPUT", "--tcp-flags", "PSH", "PSH"):
        result = ask(hosts, address, kind, port=7, timeout=1.0)
    assert result.failure is FailureClass.TIMEOUT, result
    assert result.code == ("L7TOUT" if kind is CheckKind.HTTP else "L6TOUT")
