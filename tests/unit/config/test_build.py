from __future__ import annotations

from ipaddress import ip_address, ip_interface
from pathlib import Path

import pytest

from lvsguard.config.load import load, loads
from lvsguard.core.agent import Agent, AgentKind, AgentSpec
from lvsguard.core.config import (
    ArpSpec,
    CanaryKind,
    CanarySpec,
    Check,
    CheckKind,
    CheckSpec,
    Config,
    HttpSpec,
    IpvsSettings,
    OnFailure,
    OnStop,
    RealserverConfig,
    ServiceConfig,
    SorryServer,
    TcpSpec,
    TlsSpec,
    VipConfig,
    VipPath,
)
from lvsguard.core.health import Timing
from lvsguard.core.model import (
    Family,
    Forwarding,
    Persistence,
    Protocol,
    RealserverKey,
    ServiceKey,
    Tunnel,
    TunnelChecksum,
    TunnelKind,
    VipAddress,
)
from tests.unit.config.samples import EXAMPLE, HEAD, HOST, PLAIN, REALSERVERS, SERVICE

VIP4, VIP6 = ip_address("10.0.0.8"), ip_address("2001:db8::8")
WEB1, WEB2 = ip_address("10.0.0.42"), ip_address("10.0.0.43")
HTTP80 = ServiceKey.at(Protocol.TCP, VIP4, 80)


def one(text: str, director: str = "director1") -> ServiceConfig:
    """The only service of a config."""
    (service,) = loads(text, director=director).services
    return service


def test_the_example_is_the_seed_network() -> None:
    spec = CheckSpec(
        CheckKind.HTTP,
        Timing(1.0, 0.05, 1.0, 1.0, 2, 2),
        own=ip_address("10.0.0.41"),
        http=HttpSpec(path="/health", expect_status=frozenset({200})),
        canary=CanarySpec(),
        path=VipPath(VIP4, 80),
        arp=ArpSpec(interface="eth0", source=ip_address("10.0.0.41")),
    )
    config = load(EXAMPLE, interfaces=HOST)
    assert config == Config(
        director="director1",
        interface="eth0",
        vips=(VipConfig("web", (VipAddress("eth0", VIP4, 24),)),),
        services=(
            ServiceConfig(
                name="web",
                key=HTTP80,
                realservers=tuple(
                    RealserverConfig(
                        name, RealserverKey(address, 80), checks=(Check(address, 80, spec),)
                    )
                    for name, address in (("web1", WEB1), ("web2", WEB2))
                ),
                scheduler="rr",
            ),
        ),
        digest=config.digest,
        served=config.served,
        ipvs=IpvsSettings({"expire_nodest_conn": "1"}),
        admin_socket=Path("/run/lvsguard/lvsguard.sock"),
        state_directory=Path("/var/lib/lvsguard"),
        legs=frozenset({"eth0"}),
    )


def test_every_default_is_the_one_of_the_core() -> None:
    config = loads(PLAIN, director="director1", interfaces=HOST)
    assert config == Config(
        director="director1",
        interface="eth0",
        vips=(VipConfig("web", (VipAddress("eth0", VIP4, 24), VipAddress("eth0", VIP6, 64))),),
        services=(
            ServiceConfig(
                name="web",
                key=HTTP80,
                realservers=(
                    RealserverConfig("10.0.0.42", RealserverKey(WEB1, 80)),
                    RealserverConfig("10.0.0.43", RealserverKey(WEB2, 80)),
                ),
            ),
        ),
        digest=config.digest,
        served=config.served,
        ipvs=IpvsSettings({"expire_nodest_conn": "1"}),
        admin_socket=Path("/run/lvsguard/lvsguard.sock"),
        state_directory=Path("/var/lib/lvsguard"),
        legs=frozenset({"eth0"}),
    )


def test_every_key_arrives() -> None:
    config = loads(
        """
        [director]
        name = "one"
        interface = "eth0"
        resync = "500ms"
        removal_grace = "5m"
        probers = 4
        on_stop = "remove"
        [[vip]]
        name = "web"
        addresses = ["10.0.0.8"]
        interface = "eth1"
        [[service]]
        name = "dns"
        address = "10.0.0.8:53"
        protocol = "udp"
        scheduler = "mh"
        scheduler_flags = ["mh-port", "mh-fallback"]
        forwarding = "nat"
        one_packet = true
        on_failure = "quiesce"
        quorum = 3
        quorum_hysteresis = 0
        panic_below = 0.25
        slow_start = "30s"
        sorry_server = { address = "10.0.0.50:5353", forwarding = "nat" }
        persistence = { timeout = "2m", prefix = "255.255.255.0", engine = "sip" }
        [[service.realserver]]
        address = "10.0.0.42"
        name = "ns1"
        port = 5353
        weight = 3
        upper_threshold = 100
        lower_threshold = 50
        [ipvs]
        tcp_timeout = "15m"
        tcp_fin_timeout = 120
        udp_timeout = "5m"
        drop_entry = 1
        sloppy_tcp = true
        expire_quiescent_template = false
        [telemetry]
        listen = false
        status_page = false
        [admin]
        socket = "/tmp/a.sock"
        group = "ops"
        [state]
        directory = "/srv/state"
        """
    )
    assert config == Config(
        director="one",
        interface="eth0",
        vips=(VipConfig("web", (VipAddress("eth1", VIP4, 32),)),),
        services=(
            ServiceConfig(
                name="dns",
                key=ServiceKey.at(Protocol.UDP, VIP4, 53),
                realservers=(
                    RealserverConfig(
                        "ns1", RealserverKey(WEB1, 5353), 3, Forwarding.NAT, None, 100, 50
                    ),
                ),
                scheduler="mh",
                flags=frozenset({"mh-port", "mh-fallback"}),
                persistence=Persistence(120, 24, "sip"),
                one_packet=True,
                forwarding=Forwarding.NAT,
                on_failure=OnFailure.QUIESCE,
                quorum=3,
                sorry_server=SorryServer(
                    RealserverKey(ip_address("10.0.0.50"), 5353), Forwarding.NAT
                ),
                panic_below=0.25,
                passive=False,
                slow_start=30.0,
            ),
        ),
        digest=config.digest,
        served=config.served,
        resync=0.5,
        removal_grace=300.0,
        probers=4,
        on_stop=OnStop.REMOVE,
        ipvs=IpvsSettings(
            {
                "expire_nodest_conn": "1",
                "expire_quiescent_template": "0",
                "sloppy_tcp": "1",
                "drop_entry": "1",
            },
            900,
            120,
            300,
        ),
        telemetry_listen=None,
        status_page=False,
        admin_socket=Path("/tmp/a.sock"),
        admin_group="ops",
        state_directory=Path("/srv/state"),
    )


def test_every_key_of_a_check_arrives() -> None:
    service = one(
        SERVICE
        + """
        [[service.check]]
        kind = "https"
        interval = "5s"
        fast_interval = "100ms"
        down_interval = "10s"
        timeout = "3s"
        rise = 3
        fall = 4
        port = 8443
        canary = { port = 8080 }
        arp = { interval = "100ms", tries = 5 }
        source = "10.0.0.41"
        method = "POST"
        path = "/health?full=1"
        host = "www.example.org:443"
        headers = { X-Probe = "1" }
        body = "ping"
        expect_status = [200, "300-301"]
        expect_body = "ok"
        expect_regex = "^ok$"
        max_body = 100
        verify = true
        server_name = "cert.example.org"
        ca_file = "/etc/ssl/ca.pem"
        [[service.check]]
        kind = "tcp"
        send = "PING\\r\\n"
        expect = "é"
        [[service.realserver]]
        address = "10.0.0.42"
        """
    )
    first = CheckSpec(
        CheckKind.HTTPS,
        Timing(5.0, 0.1, 10.0, 3.0, 3, 4),
        8443,
        ip_address("10.0.0.41"),
        None,
        HttpSpec(
            "POST",
            "/health?full=1",
            "www.example.org:443",
            (("X-Probe", "1"),),
            "ping",
            frozenset({200, 300, 301}),
            "ok",
            "^ok$",
            100,
        ),
        TlsSpec(True, "cert.example.org", "/etc/ssl/ca.pem"),
        canary=CanarySpec(8080),
        arp=ArpSpec(0.1, 5),
    )
    second = CheckSpec(
        CheckKind.TCP,
        tcp=TcpSpec(b"PING\r\n", "é".encode()),
        canary=CanarySpec(),
        arp=ArpSpec(),
    )
    assert service.realservers[0].checks == (Check(WEB1, 8443, first), Check(WEB1, 80, second))


@pytest.mark.parametrize(
    ("protocol", "written", "canary"),
    [
        ("tcp", "", CanarySpec()),
        ("tcp", "canary = true", CanarySpec()),
        ("tcp", "canary = false", None),
        ("tcp", "canary = {}", CanarySpec()),
        ("tcp", 'canary = { kind = "tcp" }', CanarySpec(None, CanaryKind.TCP)),
        ("udp", 'canary = { kind = "tcp", port = 80 }', CanarySpec(80, CanaryKind.TCP)),
        ("udp", "", None),
        ("udp", "canary = true", CanarySpec()),
        ("udp", "canary = { port = 80 }", CanarySpec(80)),
    ],
)
def test_a_check_has_a_canary_unless_it_is_told_or_the_service_is_not_tcp(
    protocol: str, written: str, canary: CanarySpec | None
) -> None:
    service = one(
        SERVICE
        + f"""
        protocol = "{protocol}"
        [service.check]
        kind = "tcp"
        {written}
        [[service.realserver]]
        address = "10.0.0.42"
        """
    )
    assert service.realservers[0].checks[0].spec.canary == canary


@pytest.mark.parametrize(
    ("written", "address", "arp"),
    [
        ("", "10.0.0.42", ArpSpec(interface="eth0", source=ip_address("10.0.0.41"))),
        ("arp = true", "10.0.0.42", ArpSpec(interface="eth0", source=ip_address("10.0.0.41"))),
        (
            'source = "10.0.0.41"',
            "10.0.0.42",
            ArpSpec(interface="eth0", source=ip_address("10.0.0.41")),
        ),
        ("arp = { tries = 2 }", "192.0.2.42", ArpSpec(tries=2)),
        ("", "192.0.2.42", ArpSpec()),
        ("", "127.0.0.1", ArpSpec()),
        ("arp = false", "10.0.0.42", None),
    ],
)
def test_a_host_is_asked_by_arp_where_it_is_on_a_link_unless_it_is_told_otherwise(
    written: str, address: str, arp: ArpSpec | None
) -> None:
    text = (
        SERVICE
        + f"""
        [service.check]
        kind = "tcp"
        {written}
        [[service.realserver]]
        address = "{address}"
        """
    )
    interfaces = {**HOST, "lo": [ip_interface("127.0.0.1/8")]}
    (service,) = loads(text, interfaces=interfaces).services
    assert service.realservers[0].checks[0].spec.arp == arp


@pytest.mark.parametrize(
    ("written", "tunnel"),
    [
        ("", None),
        ('forwarding = "tun"', Tunnel()),
        (
            'forwarding = "tun"\ntunnel = { kind = "gue", port = 6080 }',
            Tunnel(TunnelKind.GUE, 6080),
        ),
    ],
)
@pytest.mark.parametrize(("port", "asked"), [("", 80), ("port = 8080", 8080)])
def test_a_check_via_the_vip_knows_the_vip_and_the_forwarding_of_its_realserver(
    written: str, tunnel: Tunnel | None, port: str, asked: int
) -> None:
    service = one(
        SERVICE
        + f"""
        [service.check]
        kind = "tcp"
        via = "vip"
        {port}
        [[service.realserver]]
        address = "10.0.0.42"
        [[service.realserver]]
        address = "10.0.0.43"
        {written}
        """
    )
    first, second = (realserver.checks[0] for realserver in service.realservers)
    assert first.spec.path == VipPath(ip_address("10.0.0.8"), asked)
    assert second.spec.path == VipPath(ip_address("10.0.0.8"), asked, tunnel)
    assert (second.address, second.port) == (ip_address("10.0.0.43"), asked)


@pytest.mark.parametrize(
    ("written", "fast", "down"),
    [
        ("", 0.05, 1.0),
        ('interval = "2s"', 0.05, 2.0),
        ('interval = "40ms", timeout = "40ms"', 0.04, 0.04),
        ('interval = "2s", fast_interval = "1s", down_interval = "500ms"', 1.0, 0.5),
    ],
)
def test_intervals_that_are_not_written_follow_interval(
    written: str, fast: float, down: float
) -> None:
    keys = f", {written}" if written else ""
    service = one(f'{SERVICE}check = {{ kind = "tcp"{keys} }}\n{REALSERVERS}')
    timing = service.realservers[0].checks[0].spec.timing
    assert (timing.fast_interval, timing.down_interval) == (fast, down)


def test_realservers_share_the_service_s_check_and_may_replace_it() -> None:
    service = one(
        f'{SERVICE}check = {{ kind = "tcp", port = 81 }}\n{REALSERVERS}'
        'check = { kind = "none" }\n'
        '[[service.realserver]]\naddress = "10.0.0.44"\ncheck = [{ kind = "http" }]\n'
        '[[service.realserver]]\naddress = "10.0.0.45"\n'
    )
    first, without, own, last = service.realservers
    assert (str(first.checks[0]), without.checks) == ("tcp 10.0.0.42:81", ())
    assert [str(check) for check in own.checks] == ["http 10.0.0.44:80"]
    assert first.checks[0].spec is last.checks[0].spec


def test_ports_follow_the_service_and_only_nat_has_its_own() -> None:
    nat = one(f'{SERVICE}forwarding = "nat"\n{REALSERVERS}port = 8080\n')
    assert [str(rs.key) for rs in nat.realservers] == ["10.0.0.42:80", "10.0.0.43:8080"]
    dr = one(f"{SERVICE}{REALSERVERS}port = 80\n")
    assert [str(rs.key) for rs in dr.realservers] == ["10.0.0.42:80", "10.0.0.43:80"]
    every = one(
        f'{HEAD}[[service]]\nname = "all"\naddress = "10.0.0.8"\npersistence = "1h"\n{REALSERVERS}'
    )
    assert [str(rs.key) for rs in every.realservers] == ["10.0.0.42", "10.0.0.43"]
    assert every.persistence == Persistence(3600, 32)


def test_a_realserver_twice_in_a_service_goes_by_its_port() -> None:
    service = one(
        f'{SERVICE}forwarding = "nat"\n{REALSERVERS}port = 8080\n'
        '[[service.realserver]]\naddress = "10.0.0.43"\nport = 8081\n'
    )
    assert [rs.name for rs in service.realservers] == [
        "10.0.0.42:80",
        "10.0.0.43:8080",
        "10.0.0.43:8081",
    ]


def test_firewall_marks() -> None:
    v4 = one(f'{HEAD}[[service]]\nname = "m"\nfwmark = 7\n{REALSERVERS}')
    assert v4.key == ServiceKey.marked(7)
    assert v4.realservers[0].key == RealserverKey(WEB1, 0)
    v6 = one(
        f'{HEAD}[[service]]\nname = "m"\nfwmark = 7\nfamily = "inet6"\nforwarding = "nat"\n'
        'persistence = { timeout = 10 }\n[[service.realserver]]\naddress = "2001:db8::42"\n'
        "port = 80"
    )
    assert v6.key == ServiceKey.marked(7, Family.INET6)
    assert v6.persistence == Persistence(10, 128)
    assert str(v6.realservers[0].key) == "[2001:db8::42]:80"


def test_tunnels_are_inherited_by_what_is_tunnelled() -> None:
    service = one(
        f'{SERVICE}tunnel = {{ kind = "gue", port = 6080, checksum = "remcsum" }}\n'
        f'forwarding = "tun"\n{REALSERVERS}tunnel = {{}}\n'
        '[[service.realserver]]\naddress = "10.0.0.44"\nforwarding = "dr"\n'
        '[[service.realserver]]\naddress = "2001:db8::42"\n'
    )
    gue = Tunnel(TunnelKind.GUE, 6080, TunnelChecksum.REMOTE)
    assert [rs.tunnel for rs in service.realservers] == [gue, Tunnel(), None, gue]
    assert [rs.forwarding for rs in service.realservers] == ["tun", "tun", "dr", "tun"]


def test_connections_are_ended_with_their_realserver_unless_all_services_quiesce() -> None:
    quiet = f'{SERVICE}on_failure = "quiesce"\n{REALSERVERS}'
    assert loads(quiet).ipvs.sysctls == {}
    both = f'{quiet}[[service]]\nname = "b"\naddress = "10.0.0.8:81"\n{REALSERVERS}'
    assert loads(both).ipvs.sysctls == {"expire_nodest_conn": "1"}
    off = f"{PLAIN}[ipvs]\nexpire_nodest_conn = false\n"
    assert loads(off).ipvs.sysctls == {"expire_nodest_conn": "0"}


def test_clients_of_a_sorry_server_that_leaves_reconnect_at_once() -> None:
    text = f'{SERVICE}on_failure = "quiesce"\nsorry_server = "10.0.0.50"\n{REALSERVERS}'
    assert loads(text).ipvs.sysctls == {"expire_nodest_conn": "1"}


def test_a_sorry_server_has_the_port_and_forwarding_of_its_service() -> None:
    tunnelled = f'{SERVICE}forwarding = "tun"\ntunnel = {{ kind = "gre" }}\n'
    plain = one(f'{tunnelled}sorry_server = "10.0.0.50"\n{REALSERVERS}')
    key = RealserverKey(ip_address("10.0.0.50"), 80)
    assert plain.sorry_server == SorryServer(key, Forwarding.TUN, Tunnel(TunnelKind.GRE))
    own = 'sorry_server = { address = "10.0.0.50", forwarding = "dr" }'
    other = one(f"{tunnelled}{own}\n{REALSERVERS}")
    assert other.sorry_server == SorryServer(key, Forwarding.DR)


def test_persistent_clients_leave_a_drained_realserver() -> None:
    text = f'{SERVICE}persistence = "5m"\non_failure = "quiesce"\n{REALSERVERS}'
    assert loads(text).ipvs.sysctls == {"expire_quiescent_template": "1"}


SHARED = """
[director]
interface = { director1 = "eth0", director2 = "bond0" }
resync = { director1 = "1s", director2 = "2s" }
[[vip]]
name = "web"
addresses = ["10.0.0.8/24"]
interface = { director1 = "vlan1", director2 = "vlan2" }
[[service]]
name = "web"
address = "10.0.0.8:80"
quorum = { director1 = 1, director2 = 2 }
check = { kind = "tcp", source = { director1 = "10.0.0.41", director2 = "10.0.0.40" } }
[[service.realserver]]
address = "10.0.0.42"
weight = { director1 = 10, director2 = 20 }
upper_threshold = { director1 = 0, director2 = 9 }
[telemetry]
listen = { director1 = "10.0.0.41:1", director2 = false }
"""


@pytest.mark.parametrize(
    ("director", "values"),
    [
        ("director1", ["eth0", 1.0, "vlan1", 1, "10.0.0.41", 10, 0, ("10.0.0.41", 1)]),
        ("director2", ["bond0", 2.0, "vlan2", 2, "10.0.0.40", 20, 9, None]),
    ],
)
def test_one_file_serves_several_directors(director: str, values: list[object]) -> None:
    config = loads(SHARED, director=director)
    (service,) = config.services
    (realserver,) = service.realservers
    assert config.director == director
    assert [
        config.interface,
        config.resync,
        config.vips[0].addresses[0].interface,
        service.quorum,
        str(realserver.checks[0].spec.source),
        realserver.weight,
        realserver.upper_threshold,
        config.telemetry_listen,
    ] == values


def test_an_agent_is_the_services_unless_the_realserver_has_its_own_or_none() -> None:
    service = one(
        SERVICE
        + """
agent = { port = 9100, step = 0.25, send = "web\\n" }
[[service.realserver]]
address = "10.0.0.42"
weight = { director1 = 20, director2 = 10 }
[[service.realserver]]
address = "10.0.0.43"
agent = { kind = "http", port = 80, path = "/load", interval = "5s", timeout = "2s" }
[[service.realserver]]
address = "10.0.0.44"
agent = false
"""
    )
    assert [realserver.agent for realserver in service.realservers] == [
        Agent(WEB1, 9100, 20, AgentSpec(step=0.25, send=b"web\n")),
        Agent(WEB2, 80, 1, AgentSpec(AgentKind.HTTP, 5.0, 2.0, path="/load")),
        None,
    ]


def test_without_an_agent_nobody_is_asked() -> None:
    assert [r.agent for r in one(PLAIN).realservers] == [None, None]


def test_the_counters_of_tcp_services_are_watched_unless_told_otherwise() -> None:
    udp = PLAIN.replace('address = "10.0.0.8:80"', 'address = "10.0.0.8:80"\nprotocol = "udp"')
    off = PLAIN.replace('address = "10.0.0.8:80"', 'address = "10.0.0.8:80"\npassive = false')
    assert [one(text).passive for text in (PLAIN, udp, off)] == [True, False, False]


@pytest.mark.parametrize(
    ("rule", "weight", "other"),
    [
        ("quorum = 1", "10", False),
        ("slow_start = { director1 = '1s', director2 = '2s' }", "10", False),
        ("quorum = { director1 = 1, director2 = 2 }", "10", True),
        ("panic_below = { director1 = 0.5, director2 = 0 }", "10", True),
        ("", "{ director1 = 10, director2 = 0 }", True),
    ],
)
def test_services_are_marked_of_which_directors_may_have_others_in(
    rule: str, weight: str, other: bool
) -> None:
    service = SERVICE + rule + "\n"
    members = f'[[service.realserver]]\naddress = "10.0.0.42"\nweight = {weight}\n'
    assert one(service + members).per_director is other
