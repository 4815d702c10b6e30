"""Checks that go to the VIP of one realserver, over a real cable between two real kernels.

`left` is the director, `right` the realserver. No IPVS is needed: what the probe sends passes it.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
import trustme

from lvsguard.core.config import (
    Check,
    CheckKind,
    CheckSpec,
    HttpSpec,
    TcpSpec,
    TlsSpec,
    VipPath,
)
from lvsguard.core.health import FailureClass, Result, Timing
from lvsguard.core.model import Tunnel, TunnelChecksum, TunnelKind
from lvsguard.probes.engine import Engine, Loop
from tests.support.topology import Host
from tests.support.wire_pair import Pair, namespaces_problem, pair
from tests.unit.probes.realserver import probe

pytestmark = pytest.mark.skipif(bool(namespaces_problem()), reason=namespaces_problem() or "-")

VIP, VIP6 = IPv4Address("10.0.0.8"), IPv6Address("fd00::8")
RIP, RIP6 = IPv4Address("10.0.0.40"), IPv6Address("fd00::40")
OWN: dict[int, IPv4Address | IPv6Address] = {
    4: IPv4Address("10.0.0.41"),
    6: IPv6Address("fd00::41"),
}
BODY = "x" * 200_000
SERVER = """\
import http.server, ssl, sys, socket
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        host, port = self.connection.getsockname()[:2]
        body = b"x" * 200000 if self.path == "/long" else f"[{host}]:{port}".encode()
        self.send_response(500 if self.path == "/" + host else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
server = Server((sys.argv[1], int(sys.argv[2])), Answer)
if len(sys.argv) > 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print("ready", flush=True)
server.serve_forever()
"""
ASKER = """\
import asyncio
from ipaddress import IPv4Address
from lvsguard.core.config import Check, CheckKind, CheckSpec, VipPath
from lvsguard.probes.engine import Engine, Loop
from tests.unit.probes.realserver import probe
spec = CheckSpec(CheckKind.HTTP, path=VipPath(IPv4Address("10.0.0.8"), 80))
with asyncio.Runner(loop_factory=lambda: Loop(Engine())) as runner:
    result = runner.run(probe(Check(IPv4Address("10.0.0.40"), 80, spec)))
print(result.code, result.failure, result.reason)
"""
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with pair(tmp_path_factory.mktemp("pair")) as hosts:
        hosts.right.sysctl("net.ipv4.conf.all.arp_ignore", 1)
        hold(hosts.right, VIP, VIP6)
        serve(hosts.right, "0.0.0.0", 80)
        serve(hosts.right, "::", 81)
        yield hosts


def hold(host: Host, *vips: IPv4Address | IPv6Address) -> None:
    for vip in vips:
        nodad = ("nodad",) if vip.version == 6 else ()
        host.run("ip", "address", "add", f"{vip}/{vip.max_prefixlen}", "dev", "lo", *nodad)


def rename(host: Host, name: str, new: str) -> None:
    """Linux 6.2 and later rename what is up; here it is taken down, which costs its routes."""
    host.run("ip", "link", "set", name, "down")
    host.run("ip", "link", "set", name, "name", new)
    host.run("ip", "link", "set", new, "up")
    host.run("ip", "address", "replace", "fd00::41/64", "dev", new, "nodad")


def serve(host: Host, address: str, port: int, *more: str) -> None:
    process = host.start(
        f"server{next(NUMBERS)}", sys.executable, "-c", SERVER, address, str(port), *more
    )
    process.wait_for("ready")


def ask(
    hosts: Pair,
    port: int = 80,
    kind: CheckKind = CheckKind.HTTP,
    *,
    vip: IPv4Address | IPv6Address = VIP,
    realserver: IPv4Address | IPv6Address = RIP,
    http: HttpSpec | None = None,
    tls: TlsSpec | None = None,
    tunnel: Tunnel | None = None,
    timeout: float = 2.0,
) -> Result:
    """Probe once from the director; again when the machine kept it from running meanwhile."""
    spec = CheckSpec(
        kind,
        Timing(timeout=timeout),
        http=http or HttpSpec(),
        tls=tls,
        tcp=TcpSpec(),
        own=OWN[vip.version],
        path=VipPath(vip, port, tunnel),
    )
    for _ in range(5):
        with (
            hosts.left.entered(),
            asyncio.Runner(loop_factory=lambda: Loop(Engine())) as runner,
        ):
            result = runner.run(probe(Check(realserver, port, spec)))
        if "not counted" not in result.reason:
            break
    return result


def of(result: Result) -> tuple[str, FailureClass | None]:
    return result.code, result.failure


def expecting(text: str) -> HttpSpec:
    return HttpSpec(expect_body=text)


def test_the_realserver_is_asked_on_the_vip(hosts: Pair) -> None:
    assert of(ask(hosts, http=expecting("[10.0.0.8]:80"))) == ("L7OK", None)
    assert of(ask(hosts, kind=CheckKind.TCP)) == ("L4OK", None)


def test_the_realserver_is_asked_on_the_vip_over_ipv6(hosts: Pair) -> None:
    result = ask(hosts, 81, vip=VIP6, realserver=RIP6, http=expecting("[fd00::8]:81"))
    assert of(result) == ("L7OK", None), result


def test_a_director_that_holds_the_vip_asks_just_the_same(hosts: Pair) -> None:
    hosts.left.run("ip", "address", "add", f"{VIP}/24", "dev", "eth0")
    hosts.left.run("ip", "address", "add", f"{VIP6}/64", "dev", "eth0", "nodad")
    try:
        result = ask(hosts, http=expecting("[10.0.0.8]:80"))
        result6 = ask(hosts, 81, vip=VIP6, realserver=RIP6, http=expecting("[fd00::8]:81"))
    finally:
        hosts.left.run("ip", "address", "del", f"{VIP}/24", "dev", "eth0")
        hosts.left.run("ip", "address", "del", f"{VIP6}/64", "dev", "eth0")
    assert of(result) == of(result6) == ("L7OK", None), (result, result6)


def test_nothing_is_left_in_the_directors_kernel(hosts: Pair) -> None:
    def seen() -> list[str]:
        shown = ("rule", "-6 rule", "route show table all", "-6 route show table all", "link")
        return [
            *(hosts.left.run("ip", *what.split()).stdout for what in shown),
            hosts.left.run("sysctl", "net.ipv4.conf", "net.ipv6.conf", check=False).stdout,
        ]

    before = seen()
    assert ask(hosts).ok
    assert seen() == before


def test_an_interface_that_is_renamed_costs_one_probe(hosts: Pair) -> None:
    check = Check(
        RIP, 80, CheckSpec(CheckKind.HTTP, Timing(timeout=2.0), own=OWN[4], path=VipPath(VIP, 80))
    )

    async def asked() -> list[Result]:
        first = await probe(check)
        rename(hosts.left, "eth0", "wan0")
        return [first, *[await probe(check) for _ in range(2)]]

    try:
        with (
            hosts.left.entered(),
            asyncio.Runner(loop_factory=lambda: Loop(Engine())) as runner,
        ):
            first, second, third = runner.run(asked())
    finally:
        rename(hosts.left, "wan0", "eth0")
    assert first.ok
    assert second.ok or second.failure is FailureClass.LOCAL, second
    assert third.ok, third


def test_a_long_answer_comes_whole(hosts: Pair) -> None:
    http = HttpSpec(path="/long", expect_regex=f"^x{{{len(BODY)}}}$", max_body=1 << 20)
    assert of(ask(hosts, http=http, timeout=20)) == ("L7OK", None)


def test_a_lossy_cable_costs_time_and_no_verdict(hosts: Pair) -> None:
    netem = "tc qdisc add dev eth0 root netem loss 10% delay 5ms 5ms"
    done = hosts.right.run(*netem.split(), check=False)
    if done.returncode:
        pytest.skip(f"{netem}: {done.stderr.strip()}")
    try:
        results = [ask(hosts, timeout=10) for _ in range(20)]
    finally:
        hosts.right.run(*["tc", "qdisc", "del", "dev", "eth0", "root"])
    assert all(result.ok for result in results), results


def test_a_missing_vip_is_told_from_a_server_that_is_down(hosts: Pair) -> None:
    other = IPv4Address("10.0.0.9")
    result = ask(hosts, vip=other)
    assert of(result) == ("L4TOUT", FailureClass.VIP_PATH)
    assert "10.0.0.40:80 answers, the VIP 10.0.0.9:80 does not" in result.reason
    assert "the VIP is not set up there" in result.reason
    assert "lvsguard realserver check --vip 10.0.0.9 --rip 10.0.0.40" in result.reason


def test_a_missing_vip_is_found_over_ipv6(hosts: Pair) -> None:
    result = ask(hosts, 81, vip=IPv6Address("fd00::9"), realserver=RIP6)
    assert of(result) == ("L4TOUT", FailureClass.VIP_PATH)


def test_a_server_that_listens_on_its_own_address_only_is_told(hosts: Pair) -> None:
    serve(hosts.right, str(RIP), 8081)
    result = ask(hosts, 8081)
    assert of(result) == ("L4CON", FailureClass.VIP_PATH)
    assert "10.0.0.40:8081 answers, the VIP 10.0.0.8:8081 refuses connections" in result.reason
    assert "listens on its own address only" in result.reason
    assert result.duration < 1


@pytest.mark.parametrize(
    ("vip", "realserver", "port", "tool", "how", "words"),
    [
        (VIP, RIP, 80, "iptables", "icmp-port-unreachable", "port unreachable (ICMP)"),
        (VIP, RIP, 80, "iptables", "icmp-admin-prohibited", "prohibited (ICMP)"),
        (VIP6, RIP6, 81, "ip6tables", "icmp6-adm-prohibited", "prohibited (ICMP)"),
    ],
)
def test_a_firewall_that_rejects_on_the_vip_is_told_at_once(
    hosts: Pair,
    vip: IPv4Address | IPv6Address,
    realserver: IPv4Address | IPv6Address,
    port: int,
    tool: str,
    how: str,
    words: str,
) -> None:
    rule = ["-A", "INPUT", "-d", str(vip), "-j", "REJECT", "--reject-with", how]
    done = hosts.right.run(tool, *rule, check=False)
    if done.returncode:
        pytest.skip(f"{tool}: {done.stderr.strip()}")
    try:
        result = ask(hosts, port, vip=vip, realserver=realserver, timeout=10)
    finally:
        hosts.right.run(tool, "-F")
    assert of(result) == ("L4CON", FailureClass.VIP_PATH)
    assert words in result.reason
    assert result.duration < 4


def test_a_prober_without_the_right_to_send_frames_says_so(hosts: Pair) -> None:
    done = hosts.left.run(
        "setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw", sys.executable, "-c", ASKER
    )
    assert done.stdout.startswith("SOCKERR local this director may not send frames of its own")
    assert "CAP_NET_RAW" in done.stdout


def test_a_server_that_is_down_is_down(hosts: Pair) -> None:
    result = ask(hosts, 8099)
    assert of(result) == ("L4CON", FailureClass.REFUSED)
    assert "VIP" not in result.reason


def test_another_answer_on_the_vip_is_told(hosts: Pair) -> None:
    result = ask(hosts, http=HttpSpec(path="/10.0.0.8"))
    assert of(result) == ("L7STS", FailureClass.VIP_PATH)
    assert "500 Internal Server Error, expected 200" in result.reason


def test_a_wrong_answer_on_both_is_the_servers_own(hosts: Pair) -> None:
    result = ask(hosts, http=HttpSpec(expect_status=frozenset({204})))
    assert of(result) == ("L7STS", FailureClass.WRONG)


def test_a_host_that_is_gone_is_no_vip_trouble(hosts: Pair) -> None:
    result = ask(hosts, realserver=IPv4Address("10.0.0.77"), timeout=0.5)
    assert result.failure in {FailureClass.TIMEOUT, FailureClass.HOST_DEAD}


def test_a_realserver_behind_a_router_cannot_be_asked_so(hosts: Pair) -> None:
    hosts.left.run("ip", "route", "add", "192.0.2.0/24", "via", str(RIP))
    try:
        result = ask(hosts, realserver=IPv4Address("192.0.2.1"))
    finally:
        hosts.left.run("ip", "route", "del", "192.0.2.0/24")
    assert of(result) == ("SOCKERR", FailureClass.LOCAL)
    assert "not on the link but behind 10.0.0.40" in result.reason


def test_a_director_that_is_a_realserver_too_asks_itself_plainly(hosts: Pair) -> None:
    serve(hosts.left, "10.0.0.41", 8090)
    http = expecting("[10.0.0.41]:8090")
    assert of(ask(hosts, 8090, realserver=OWN[4], http=http)) == ("L7OK", None)
    refused = ask(hosts, 8091, realserver=OWN[4])
    assert of(refused) == ("L4CON", FailureClass.REFUSED)


def test_https_verifies_the_name_on_the_vip(hosts: Pair, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate, ca_file = tmp_path / "server.pem", tmp_path / "ca.pem"
    authority.issue_cert("www.example.org").private_key_and_cert_chain_pem.write_to_path(
        str(certificate)
    )
    authority.cert_pem.write_to_path(str(ca_file))
    serve(hosts.right, "0.0.0.0", 8443, str(certificate))
    http = HttpSpec(host="www.example.org", expect_body="[10.0.0.8]:8443")
    good = ask(hosts, 8443, CheckKind.HTTPS, http=http, tls=TlsSpec(ca_file=str(ca_file)))
    assert of(good) == ("L7OK", None), good
    unknown = ask(hosts, 8443, CheckKind.HTTPS, http=http, tls=TlsSpec())
    assert of(unknown) == ("L6RSP", FailureClass.WRONG), unknown
    assert "CA is unknown" in unknown.reason


@pytest.mark.parametrize("kind", list(TunnelKind))
@pytest.mark.parametrize("checksum", [TunnelChecksum.NONE, TunnelChecksum.FULL])
def test_a_tunnelled_realserver_is_asked_in_an_envelope(
    hosts: Pair, kind: TunnelKind, checksum: TunnelChecksum
) -> None:
    if kind is TunnelKind.IPIP and checksum is TunnelChecksum.FULL:
        pytest.skip("ipip has no checksum")
    make = {
        TunnelKind.IPIP: ["ip link add tun9 type ipip local 10.0.0.40"],
        TunnelKind.GRE: ["ip link add tun9 type gre local 10.0.0.40"],
        TunnelKind.GUE: [
            "ip link add tun9 type ipip local 10.0.0.40",
            "ip fou add port 6080 gue",
        ],
    }[kind]
    if kind is TunnelKind.GRE and checksum is TunnelChecksum.FULL:
        make[0] += " icsum"
    for command in make:
        done = hosts.right.run(*command.split(), check=False)
        if done.returncode:
            hosts.right.run("ip", "link", "del", "tun9", check=False)
            pytest.skip(f"{command}: {done.stderr.strip()}")
    hosts.right.run("ip", "link", "set", "tun9", "up")
    # The bare packet to the VIP is dropped: only one that came out of the tunnel is answered.
    hosts.right.run(*["iptables", "-A", "INPUT", "-i", "eth0", "-d", "10.0.0.8", "-j", "DROP"])
    hosts.right.sysctl("net.ipv4.conf.tun9.rp_filter", 0)
    hosts.right.sysctl("net.ipv4.conf.all.rp_filter", 0)
    try:
        port = 6080 if kind is TunnelKind.GUE else 0
        bare = ask(hosts, timeout=0.5)
        result = ask(hosts, tunnel=Tunnel(kind, port, checksum), http=expecting("[10.0.0.8]:80"))
    finally:
        hosts.right.run("iptables", "-F")
        hosts.right.run("ip", "link", "del", "tun9")
        if kind is TunnelKind.GUE:
            hosts.right.run(*["ip", "fou", "del", "port", "6080"])
    assert of(bare) == ("L4TOUT", FailureClass.VIP_PATH)
    assert of(result) == ("L7OK", None), result
