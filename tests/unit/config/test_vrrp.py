"""Elections and connection sync, as the config writes them and as everybody else reads them."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface
from pathlib import Path

import pytest

from lvsguard.config.load import loads
from lvsguard.config.problem import ConfigError
from lvsguard.core.config import Config
from lvsguard.core.vrrp import (
    Announcing,
    Checksum,
    ConnectionSync,
    HmacAuth,
    HmacMode,
    Track,
    TrackKind,
    Version,
    VrrpConfig,
)
from tests.unit.config.samples import HOST, PLAIN, REALSERVERS

SEED = """
[director]
interface = "eth0"
[[vip]]
name = "web"
addresses = ["10.0.0.8/24"]
[vip.vrrp]
vrid = 51
"""
SERVICE = f'\n[[service]]\nname = "web"\naddress = "10.0.0.8:80"\n{REALSERVERS}'


def config(body: str = "", director: str = "director1", head: str = SEED) -> Config:
    return loads(f"{head}{body}{SERVICE}", director=director)


def vrrp(body: str = "", director: str = "director1", head: str = SEED) -> VrrpConfig:
    """The only election of a config."""
    (found,) = (vip.vrrp for vip in config(body, director, head).vips)
    assert found is not None
    return found


def test_every_default_is_the_one_of_the_core() -> None:
    assert vrrp() == VrrpConfig(vrid=51)
    assert config("[sync]\n").sync == ConnectionSync("eth0")
    plain = loads(PLAIN)
    assert (plain.vips[0].vrrp, plain.sync, plain.vrrp_grace) == (None, None, 30.0)
    track = vrrp('[[vip.vrrp.track]]\nservice = "web"\n').track
    assert track == (Track(TrackKind.SERVICE, "web"),)


def test_a_vip_with_an_election_is_no_lone_one() -> None:
    lone = '[[vip]]\nname = "lone"\naddresses = ["10.0.0.9/24"]\n'
    both = config(lone)
    assert [str(a.address) for a in both.lone_addresses] == ["10.0.0.9"]
    assert len(both.addresses) == 2


def test_every_key_arrives() -> None:
    found = vrrp(
        """
        priority = 150
        interval = "250ms"
        checksum = "rfc9568"
        peers = ["10.0.0.40", "10.0.0.39"]
        source = "10.0.0.41"
        unicast_ttl = 255
        strict = true
        preempt_delay = "1m"
        start_delay = "5s"
        heartbeat = ["eth1", "eth2"]
        virtual_mac = true
        unready_drop = 50
        announce = { repeat = 3, delay = "2s", refresh = 90 }
        [vip.vrrp.auth]
        keys = { 1 = "KEY1", 7 = "KEY7" }
        send_key = 7
        mode = "permissive"
        window = "10s"
        [[vip.vrrp.track]]
        service = "web"
        drop = 60
        interval = "2s"
        rise = 3
        fall = 4
        [[vip.vrrp.track]]
        interface = "eth1"
        [[vip.vrrp.track]]
        file = "/run/maintenance"
        [[vip.vrrp.track]]
        command = ["/bin/healthy", "the web"]
        interval = "500ms"
        [[vip.vrrp.track]]
        command = ["/bin/healthy"]
        interval = "5s"
        timeout = "3s"
        """.replace("KEY1", "ab" * 32).replace("KEY7", "CD" * 64)
    )
    assert found == VrrpConfig(
        vrid=51,
        priority=150,
        interval=0.25,
        version=Version.V3,
        checksum=Checksum.RFC9568,
        auth=HmacAuth({1: b"\xab" * 32, 7: b"\xcd" * 64}, 7, HmacMode.PERMISSIVE, 10),
        peers=(ip_address("10.0.0.40"), ip_address("10.0.0.39")),
        source=ip_address("10.0.0.41"),
        unicast_ttl=255,
        strict=True,
        preempt_delay=60.0,
        start_delay=5.0,
        heartbeat=("eth1", "eth2"),
        virtual_mac=True,
        unready_drop=50,
        announcing=Announcing(3, 2.0, 90.0),
        track=(
            Track(TrackKind.SERVICE, "web", 60, interval=2.0, rise=3, fall=4),
            Track(TrackKind.INTERFACE, "eth1"),
            Track(TrackKind.FILE, "/run/maintenance"),
            Track(
                TrackKind.COMMAND,
                "/bin/healthy 'the web'",
                argv=("/bin/healthy", "the web"),
                interval=0.5,
                timeout=0.5,
            ),
            Track(
                TrackKind.COMMAND,
                "/bin/healthy",
                argv=("/bin/healthy",),
                interval=5.0,
                timeout=3.0,
            ),
        ),
    )


def test_every_key_of_version_2_and_of_sync_arrives() -> None:
    found = config(
        """
        version = 2
        interval = 3
        password = "pässwd"
        preempt = false
        [sync]
        interface = { director1 = "eth1", director2 = "eth2" }
        sync_id = 51
        group = "ff02::81"
        port = 8849
        threshold = 2
        period = 0
        """,
        "director2",
    )
    assert found.vips[0].vrrp == VrrpConfig(
        51, version=Version.V2, interval=3.0, password="pässwd".encode(), preempt=False
    )
    assert found.sync == ConnectionSync("eth2", 51, ip_address("ff02::81"), 8849, 2, 0)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [('"10ms"', 0.01), ("0.07", 0.07), ('"290ms"', 0.29), ('"40.95s"', 40.95), ("1", 1.0)],
)
def test_intervals_of_version_3_are_hundredths_of_a_second(written: str, seconds: float) -> None:
    assert vrrp(f"interval = {written}\n").interval == seconds


SHARED = """
priority = { director1 = 150, director2 = 100, director3 = 50 }
peers = { director1 = "10.0.0.41", director2 = ["10.0.0.40"], director3 = "10.0.0.39" }
heartbeat = { director1 = ["eth1"], director2 = ["bond1"], director3 = [] }
unready_drop = { director1 = 100, director2 = 50, director3 = 25 }
preempt_delay = { director1 = "1m", director2 = 0, director3 = 0 }
[[vip.vrrp.track]]
interface = { director1 = "eth2", director2 = "bond2", director3 = "eth3" }
drop = { director1 = 100, director2 = 50, director3 = 25 }
"""


@pytest.mark.parametrize(
    ("director", "priority", "source", "peers", "heartbeat", "drop", "tracked"),
    [
        ("director1", 150, "10.0.0.41", ["10.0.0.40", "10.0.0.39"], ("eth1",), 100, "eth2"),
        ("director2", 100, "10.0.0.40", ["10.0.0.41", "10.0.0.39"], ("bond1",), 50, "bond2"),
        ("director3", 50, "10.0.0.39", ["10.0.0.41", "10.0.0.40"], (), 25, "eth3"),
    ],
)
def test_one_file_serves_all_directors_and_nobody_is_its_own_peer(
    director: str,
    priority: int,
    source: str,
    peers: list[str],
    heartbeat: tuple[str, ...],
    drop: int,
    tracked: str,
) -> None:
    found = vrrp(SHARED, director)
    assert (found.priority, str(found.source), found.heartbeat) == (priority, source, heartbeat)
    assert [str(peer) for peer in found.peers] == peers
    assert (found.unready_drop, found.track[0].drop, found.track[0].subject) == (
        drop,
        drop,
        tracked,
    )


@pytest.mark.parametrize("heartbeat", ["", 'heartbeat = ["eth1"]'])
def test_an_advert_on_a_second_path_has_room_for_two_addresses_less(heartbeat: str) -> None:
    most = 253 if heartbeat else 255
    for count in (most, most + 1):
        more = [f'"10.1.{n // 200}.{n % 200 + 1}/16"' for n in range(count - 1)]
        addresses = ", ".join(['"10.0.0.8/24"', *more])
        head = SEED.replace('"10.0.0.8/24"', addresses).replace(
            "[vip.vrrp]", "routed = true\n[vip.vrrp]"
        )
        if count == most:
            assert vrrp(heartbeat, head=head).vrid == 51
            continue
        with pytest.raises(
            ConfigError, match=f"{count} IPv4 addresses; an advert.* at most {most}"
        ):
            vrrp(heartbeat, head=head)


def test_a_host_that_is_no_director_reads_the_file_as_the_first_one() -> None:
    text = f"{SEED}{SHARED}{SERVICE}"
    with pytest.raises(ConfigError, match='no value for this director, "web1"'):
        loads(text, director="web1")
    assert loads(text, bystander=True).director == "director1"
    alone = loads(PLAIN.replace("[director]", '[director]\nname = "alone"'), bystander=True)
    assert alone.director == "alone"


def test_a_source_that_is_written_wins_over_the_own_entry_of_the_peers() -> None:
    assert str(vrrp(f'source = "10.0.0.44"\n{SHARED}').source) == "10.0.0.44"


def test_a_vip_of_both_families_has_peers_and_sources_of_both() -> None:
    found = vrrp(
        'peers = { director1 = ["2001:db8::41", "10.0.0.41"],'
        ' director2 = ["10.0.0.40", "2001:db8::40"] }\n',
        head=SEED.replace('"]', '", "2001:db8::8/64"]'),
    )
    assert (str(found.source), str(found.source6)) == ("10.0.0.41", "2001:db8::41")
    assert [str(peer) for peer in found.peers] == ["10.0.0.40", "2001:db8::40"]


def test_the_source_of_an_ipv6_vip_is_a_link_local_one_or_with_peers_any() -> None:
    six = SEED.replace("10.0.0.8/24", "2001:db8::8/64")
    service = SERVICE.replace("10.0.0.8:80", "[2001:db8::8]:80").replace("10.0.0.", "2001:db8::")
    host: dict[str, list[IPv4Interface | IPv6Interface]] = {
        "eth0": [ip_interface("2001:db8::41/64"), ip_interface("fe80::41/64")]
    }
    for body in (
        'source = "fe80::41"\n',
        'source = "2001:db8::41"\npeers = "2001:db8::40"\n',
    ):
        (vip,) = loads(f"{six}{body}{service}", interfaces=host).vips
        assert vip.vrrp is not None
        assert vip.vrrp.source in {one.ip for one in host["eth0"]}


def test_one_vrid_may_serve_two_interfaces_and_two_families() -> None:
    more = (
        '[[vip]]\nname = "b"\naddresses = ["10.0.0.9/24"]\ninterface = "eth1"\n'
        "[vip.vrrp]\nvrid = 51\n"
        '[[vip]]\nname = "c"\naddresses = ["2001:db8::9/64"]\n[vip.vrrp]\nvrid = 51\n'
    )
    assert len(config(more).vips) == 3


@pytest.mark.parametrize(
    ("mode", "told"), [(0o755, None), (0o700, None), (0o777, "may be changed by"), (0o644, "chmod")]
)
def test_a_command_is_a_program_that_not_everybody_can_change(
    tmp_path: Path, mode: int, told: str | None
) -> None:
    program = tmp_path / "healthy"
    program.touch()
    program.chmod(mode)
    text = f'{SEED}[[vip.vrrp.track]]\ncommand = ["{program}"]\n{SERVICE}'
    if told is None:
        assert loads(text, interfaces=HOST).vips[0].vrrp is not None
        return
    with pytest.raises(ConfigError, match=told) as caught:
        loads(text, interfaces=HOST)
    assert [one.key for one in caught.value.problems] == ["vip[0].vrrp.track[0].command"]


def test_an_interface_s_network_is_asked_of_a_vip_with_an_election_too() -> None:
    assert loads(f"{SEED}{SERVICE}", interfaces=HOST).vips[0].vrrp is not None
