"""Steps print as the commands they equal, in the syntax of ipvsadm(8), and know their place.

Every command here was accepted by ipvsadm 1.31 on a Linux 6.1 kernel.
"""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from lvsguard.core.model import (
    Family,
    Forwarding,
    Persistence,
    Protocol,
    Realserver,
    RealserverKey,
    ServiceKey,
    Tunnel,
    TunnelChecksum,
    TunnelKind,
    VipAddress,
    VirtualService,
)
from lvsguard.core.step import (
    AddAddress,
    AddRealserver,
    AddService,
    DeleteRealserver,
    DeleteService,
    EditRealserver,
    EditService,
    Phase,
    RemoveAddress,
    Step,
    phase,
    subject,
)
from tests.unit.core.sample import MARK, ON_ETH0, ONE, VIP, WEB, serving

SIX = ServiceKey.at(Protocol.TCP, ip_address("2001:db8::8"), 80)
ONE6 = RealserverKey(ip_address("2001:db8::42"), 80)
MARK6 = ServiceKey.marked(7, Family.INET6)
FALLBACK = frozenset({"sh-port", "sh-fallback"})


@pytest.mark.parametrize(
    ("key", "wanted", "command"),
    [
        (WEB, VirtualService("rr"), "-A -t 10.0.0.8:80 -s rr"),
        (
            ServiceKey.at(Protocol.UDP, VIP, 53),
            VirtualService("wlc", one_packet=True),
            "-A -u 10.0.0.8:53 -s wlc -o",
        ),
        (
            ServiceKey.at(Protocol.SCTP, VIP, 2905),
            VirtualService("wrr"),
            "-A --sctp-service 10.0.0.8:2905 -s wrr",
        ),
        (
            ServiceKey.at(Protocol.TCP, VIP, 0),
            VirtualService("wlc", persistence=Persistence()),
            "-A -t 10.0.0.8 -s wlc -p 300",
        ),
        (
            WEB,
            VirtualService("rr", persistence=Persistence(60, 24)),
            "-A -t 10.0.0.8:80 -s rr -p 60 -M 255.255.255.0",
        ),
        (
            WEB,
            VirtualService("rr", persistence=Persistence(60, 1)),
            "-A -t 10.0.0.8:80 -s rr -p 60 -M 128.0.0.0",
        ),
        (
            ServiceKey.at(Protocol.UDP, VIP, 5060),
            VirtualService("rr", persistence=Persistence(60, engine="sip")),
            "-A -u 10.0.0.8:5060 -s rr -p 60 --pe sip",
        ),
        (WEB, VirtualService("sh", FALLBACK), "-A -t 10.0.0.8:80 -s sh -b sh-fallback,sh-port"),
        (
            WEB,
            VirtualService("wlc", frozenset({"flag-2", "flag-1"})),
            "-A -t 10.0.0.8:80 -s wlc -b flag-1,flag-2",
        ),
        (SIX, VirtualService("rr"), "-A -t [2001:db8::8]:80 -s rr"),
        (
            SIX,
            VirtualService("rr", persistence=Persistence(300, 64)),
            "-A -t [2001:db8::8]:80 -s rr -p 300 -M 64",
        ),
        (
            SIX,
            VirtualService("rr", persistence=Persistence(300, 128)),
            "-A -t [2001:db8::8]:80 -s rr -p 300",
        ),
        (MARK, VirtualService("wlc"), "-A -f 7 -s wlc"),
        (MARK6, VirtualService("wlc"), "-A -f 7 -6 -s wlc"),
    ],
)
def test_a_new_service_prints_as_ipvsadm_adds_it(
    key: ServiceKey, wanted: VirtualService, command: str
) -> None:
    assert str(AddService(key, wanted)) == f"ipvsadm {command}"


def test_an_edited_service_prints_all_its_settings_since_ipvsadm_resets_the_others() -> None:
    wanted = VirtualService("sh", FALLBACK, Persistence(60))
    assert str(EditService(WEB, wanted, VirtualService("rr"))) == (
        "ipvsadm -E -t 10.0.0.8:80 -s sh -p 60 -b sh-fallback,sh-port"
    )


@pytest.mark.parametrize(
    ("key", "command"),
    [
        (WEB, "-D -t 10.0.0.8:80"),
        (SIX, "-D -t [2001:db8::8]:80"),
        (MARK, "-D -f 7"),
        (MARK6, "-D -f 7 -6"),
    ],
)
def test_a_deleted_service_prints_as_ipvsadm_deletes_it(key: ServiceKey, command: str) -> None:
    assert str(DeleteService(key)) == f"ipvsadm {command}"


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (Realserver(1), "-g -w 1"),
        (Realserver(0), "-g -w 0"),
        (Realserver(65535, Forwarding.NAT), "-m -w 65535"),
        (Realserver(1, Forwarding.TUN), "-i -w 1"),
        (Realserver(1, Forwarding.TUN, Tunnel()), "-i -w 1"),
        (
            Realserver(1, Forwarding.TUN, Tunnel(TunnelKind.GUE, 6080)),
            "-i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum",
        ),
        (
            Realserver(1, Forwarding.TUN, Tunnel(TunnelKind.GUE, 6080, TunnelChecksum.REMOTE)),
            "-i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum",
        ),
        (
            Realserver(1, Forwarding.TUN, Tunnel(TunnelKind.GRE, 0, TunnelChecksum.FULL)),
            "-i -w 1 --tun-type gre --tun-csum",
        ),
        (Realserver(1, upper_threshold=100), "-g -w 1 -x 100"),
        (Realserver(1, upper_threshold=100, lower_threshold=50), "-g -w 1 -x 100 -y 50"),
    ],
)
def test_a_realserver_prints_as_ipvsadm_adds_and_edits_it(entry: Realserver, words: str) -> None:
    assert str(AddRealserver(WEB, ONE, entry)) == (
        f"ipvsadm -a -t 10.0.0.8:80 -r 10.0.0.42:80 {words}"
    )
    assert str(EditRealserver(WEB, ONE, entry, Realserver(9))) == (
        f"ipvsadm -e -t 10.0.0.8:80 -r 10.0.0.42:80 {words}"
    )


@pytest.mark.parametrize(
    ("key", "realserver", "command"),
    [
        (WEB, ONE, "-d -t 10.0.0.8:80 -r 10.0.0.42:80"),
        (SIX, ONE6, "-d -t [2001:db8::8]:80 -r [2001:db8::42]:80"),
        (MARK, RealserverKey(ONE.address, 0), "-d -f 7 -r 10.0.0.42"),
        (MARK6, RealserverKey(ONE6.address, 0), "-d -f 7 -6 -r 2001:db8::42"),
    ],
)
def test_a_deleted_realserver_prints_as_ipvsadm_deletes_it(
    key: ServiceKey, realserver: RealserverKey, command: str
) -> None:
    assert str(DeleteRealserver(key, realserver)) == f"ipvsadm {command}"


def test_addresses_print_as_ip_writes_them() -> None:
    six = VipAddress("bond0.7", ip_address("2001:db8::8"), 128)
    assert str(AddAddress(ON_ETH0)) == "ip addr add 10.0.0.8/24 dev eth0"
    assert str(RemoveAddress(ON_ETH0)) == "ip addr del 10.0.0.8/24 dev eth0"
    assert str(RemoveAddress(ON_ETH0, moved=True)) == "ip addr del 10.0.0.8/24 dev eth0"
    assert str(AddAddress(six)) == "ip addr add 2001:db8::8/128 dev bond0.7"


# -- phase and subject -------------------------------------------------------------------------

WANTED = serving({ONE: 1})


@pytest.mark.parametrize(
    ("step", "where"),
    [
        (RemoveAddress(ON_ETH0), Phase.WITHDRAW),
        (AddService(WEB, WANTED), Phase.SERVE),
        (EditService(WEB, WANTED, WANTED), Phase.SERVE),
        (AddRealserver(WEB, ONE, Realserver(0)), Phase.GROW),
        (EditRealserver(WEB, ONE, Realserver(2), Realserver(1)), Phase.GROW),
        (EditRealserver(WEB, ONE, Realserver(1), Realserver(1, Forwarding.NAT)), Phase.GROW),
        (EditRealserver(WEB, ONE, Realserver(1), Realserver(2)), Phase.SHRINK),
        (DeleteRealserver(WEB, ONE), Phase.SHRINK),
        (DeleteService(WEB), Phase.RETIRE),
        (AddAddress(ON_ETH0), Phase.ANNOUNCE),
        (RemoveAddress(ON_ETH0, moved=True), Phase.VACATE),
    ],
)
def test_every_step_has_its_phase(step: Step, where: Phase) -> None:
    assert phase(step) is where


def test_the_phases_are_the_safety_order() -> None:
    assert [p.name for p in sorted(Phase)] == [
        "WITHDRAW",
        "SERVE",
        "GROW",
        "SHRINK",
        "RETIRE",
        "ANNOUNCE",
        "VACATE",
    ]


def test_a_step_belongs_to_its_address_whatever_the_port_and_interface() -> None:
    assert subject(DeleteService(WEB)) == subject(AddAddress(ON_ETH0)) == VIP
    assert subject(AddAddress(VipAddress("eth1", VIP, 32))) == VIP
    assert subject(DeleteRealserver(WEB, ONE)) == VIP


def test_a_step_of_a_mark_belongs_to_that_mark_and_family() -> None:
    assert subject(DeleteService(MARK)) == MARK
    assert subject(DeleteService(MARK6)) == MARK6 != MARK
