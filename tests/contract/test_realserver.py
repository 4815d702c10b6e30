"""The realserver side on a real kernel: quiet, restored to the byte, whatever comes between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_address

import pytest

from lvsguard.core.model import IPAddress
from lvsguard.kernel.port import KernelError
from lvsguard.realserver.check import CheckItem, check, passed
from lvsguard.realserver.model import ArpMode, Change, RealserverSetup, host_interface
from lvsguard.realserver.setup import down, up
from tests.contract.realserver_net import Wire, dummy_problem, namespaces_problem, wire

pytestmark = pytest.mark.skipif(
    bool(namespaces_problem()), reason=f"no network namespaces: {namespaces_problem()}"
)


def needs_dummy(function: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that makes a dummy link, which many hosts' kernels cannot."""
    absent = dummy_problem()
    pytest.mark.skipif(bool(absent), reason=f"no dummy link: {absent}")(function)
    pytest.mark.kernel(function)
    return function


QUIET_LINK = "lo" if dummy_problem() else "ipvs0"
"""The link of most tests: the default one where the kernel can make it."""
QUIET_KIND = "ifb" if dummy_problem() else "dummy"
GUARDS = [ArpMode.SYSCTL, ArpMode.ARPTABLES, ArpMode.NFTABLES]
VIP, VIP2, VIP6, RIP = map(ip_address, ("10.0.0.8", "10.0.0.9", "fd00::8", "10.0.0.42"))


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    with wire(tmp_path_factory.mktemp("realserver") / "record") as made:
        yield made


@pytest.fixture
def bare(hosts: Wire) -> Wire:
    """The two hosts with nothing set up."""
    hosts.reset()
    return hosts


@pytest.fixture(params=["here", pytest.param("lab", marks=pytest.mark.kernel)])
def lab(bare: Wire) -> Wire:
    """The same twice: on the host's kernel (lo, nftables) and the lab's (dummy, old arptables)."""
    return bare


@pytest.fixture(params=GUARDS)
def mode(request: pytest.FixtureRequest, bare: Wire) -> ArpMode:
    wanted = ArpMode(request.param)
    if wanted is ArpMode.NFTABLES:
        trial = bare.realserver.attempt("nft add table arp trial")
        if trial.returncode:
            pytest.skip(f"nft has no arp family on this kernel: {trial.stderr.strip()}")
        bare.realserver.run("nft delete table arp trial")
    return wanted


@pytest.fixture
def setup(mode: ArpMode) -> RealserverSetup:
    return RealserverSetup(vips=(VIP, VIP2, VIP6), rip=RIP, link=QUIET_LINK, mode=mode)


def do_up(lab: Wire, setup: RealserverSetup) -> tuple[Change, ...]:
    return lab.realserver.call(lambda: up(setup, lab.host))


def do_down(lab: Wire, link: str | None = None) -> tuple[Change, ...]:
    return lab.realserver.call(lambda: down(lab.host, link))


def do_check(lab: Wire, setup: RealserverSetup) -> tuple[CheckItem, ...]:
    return lab.realserver.call(lambda: check(setup, lab.host.sysctl))


def test_without_a_guard_the_vip_is_answered_for_and_asked_as(lab: Wire) -> None:
    """The control: the trap that everything else here is about is real."""
    do_up(lab, RealserverSetup(vips=(VIP,), link=QUIET_LINK, mode=ArpMode.NONE))
    assert lab.answers_arp("10.0.0.8")
    assert lab.asks_as("10.0.0.8")


def test_up_keeps_the_vip_quiet_and_check_agrees(lab: Wire, setup: RealserverSetup) -> None:
    assert not passed(do_check(lab, setup))
    do_up(lab, setup)
    for vip in ("10.0.0.8", "10.0.0.9"):
        assert not lab.answers_arp(vip)
        assert not lab.asks_as(vip)
    assert not lab.answers_nd("fd00::8")
    assert lab.answers_arp("10.0.0.42"), "the RIP is still answered for"
    assert lab.answers_nd("fd00::42")
    items = do_check(lab, setup)
    assert passed(items), [item for item in items if item.remedy]


def test_down_restores_everything(lab: Wire, setup: RealserverSetup) -> None:
    before = lab.snapshot()
    assert do_up(lab, setup)
    assert lab.snapshot() != before
    assert do_down(lab)
    assert lab.snapshot() == before
    assert list(lab.host.directory.iterdir()) == []


def test_a_second_up_changes_nothing_and_the_originals_stay(
    bare: Wire, setup: RealserverSetup
) -> None:
    bare.realserver.sysctl("all/arp_announce", 1)
    before = bare.snapshot()
    do_up(bare, setup)
    assert do_up(bare, setup) == ()
    do_down(bare)
    assert bare.snapshot() == before


def test_a_second_down_touches_nothing(bare: Wire, setup: RealserverSetup) -> None:
    do_up(bare, setup)
    do_down(bare)
    before = bare.snapshot()
    assert do_down(bare) == ()
    assert bare.snapshot() == before


def test_down_without_any_up_touches_nothing(bare: Wire) -> None:
    before = bare.snapshot()
    assert do_down(bare) == ()
    assert bare.snapshot() == before


def test_what_was_there_before_up_is_there_after_down(lab: Wire, setup: RealserverSetup) -> None:
    host = lab.realserver
    host.run("ip addr add 10.0.0.8/32 dev lo")
    host.run("arptables -A INPUT -d 10.0.0.8 -j DROP")
    host.run("arptables -A INPUT -i eth0 -d 10.0.0.77 -j DROP")
    host.sysctl("all/arp_ignore", 2)
    host.sysctl("lo/arp_announce", 1)
    before = lab.snapshot()
    do_up(lab, setup)
    assert host.sysctl("all/arp_ignore") == "2", "2 is quiet, and stricter than what up sets"
    do_down(lab)
    assert lab.snapshot() == before


def test_up_mends_what_somebody_took_away(bare: Wire, setup: RealserverSetup) -> None:
    before = bare.snapshot()
    do_up(bare, setup)
    host = bare.realserver
    ready = host.sysctl("all/arp_ignore")
    host.run(f"ip addr del 10.0.0.9/32 dev {setup.link}")
    host.sysctl("all/arp_ignore", 0)
    host.run("arptables -F")
    host.attempt("nft delete table arp lvsguard_arp")
    assert not passed(do_check(bare, setup))
    do_up(bare, setup)
    assert passed(do_check(bare, setup))
    if setup.mode is ArpMode.SYSCTL:
        assert host.sysctl("all/arp_ignore") == ready
    host.sysctl("all/arp_ignore", int(ready))
    do_down(bare)
    assert bare.snapshot() == before


def test_up_goes_over_to_another_list_of_vips(bare: Wire, setup: RealserverSetup) -> None:
    before = bare.snapshot()
    do_up(bare, setup)
    fewer = replace(setup, vips=(VIP2,))
    do_up(bare, fewer)
    assert "10.0.0.8" not in bare.realserver.run("ip -j addr")
    assert "10.0.0.8 " not in bare.realserver.run("arptables -L -n")
    assert passed(do_check(bare, fewer))
    do_down(bare)
    assert bare.snapshot() == before


def test_up_goes_over_to_another_mode(bare: Wire, setup: RealserverSetup) -> None:
    before = bare.snapshot()
    other = ArpMode.SYSCTL if setup.mode is not ArpMode.SYSCTL else ArpMode.ARPTABLES
    for wanted in (replace(setup, mode=other), setup):
        do_up(bare, wanted)
        assert passed(do_check(bare, wanted))
    do_up(bare, replace(setup, mode=ArpMode.NONE))
    assert bare.realserver.sysctl("all/arp_ignore") == "0"
    assert bare.realserver.sysctl("all/arp_announce") == "0"
    left = bare.snapshot()
    for tables in ("arptables -L -n", "nft list table arp lvsguard_arp"):
        assert left[tables] == before[tables]
    do_down(bare)
    assert bare.snapshot() == before


def test_one_of_two_setups_goes_and_the_other_stays_quiet(bare: Wire, mode: ArpMode) -> None:
    bare.realserver.run(f"ip link add quiet0 type {QUIET_KIND}")
    before = bare.snapshot()
    first = RealserverSetup(vips=(VIP,), rip=RIP, link="lo", mode=mode)
    second = RealserverSetup(vips=(VIP, VIP2), rip=RIP, link="quiet0", mode=mode)
    do_up(bare, first)
    do_up(bare, second)
    do_down(bare, "lo")
    assert passed(do_check(bare, second))
    assert not bare.answers_arp("10.0.0.8")
    do_down(bare, "quiet0")
    assert bare.snapshot() == before


@needs_dummy
def test_lo_serves_as_well_where_a_dummy_could_be_made(bare: Wire) -> None:
    before = bare.snapshot()
    setup = RealserverSetup(vips=(VIP, VIP6), link="lo")
    do_up(bare, setup)
    assert passed(do_check(bare, setup))
    assert not bare.answers_arp("10.0.0.8")
    do_down(bare)
    assert bare.snapshot() == before


def test_a_setting_that_somebody_else_changed_is_left(bare: Wire) -> None:
    do_up(bare, RealserverSetup(vips=(VIP,), link="lo"))
    bare.realserver.sysctl("all/arp_ignore", 8)
    left = [change for change in do_down(bare) if change.left]
    assert [str(change) for change in left] == [
        "net/ipv4/conf/all/arp_ignore: left at 8, set by somebody else; it was 0 before"
    ]
    assert bare.realserver.sysctl("all/arp_ignore") == "8"


@needs_dummy
def test_a_link_that_somebody_else_uses_too_is_left(bare: Wire) -> None:
    do_up(bare, RealserverSetup(vips=(VIP,), link="ipvs0"))
    bare.realserver.run("ip addr add 10.9.9.9/32 dev ipvs0")
    assert [change.subject for change in do_down(bare) if change.left] == ["ipvs0"]
    assert "10.9.9.9" in bare.realserver.run("ip addr show ipvs0")
    assert "10.0.0.8" not in bare.realserver.run("ip addr show ipvs0")


@needs_dummy
def test_a_link_that_was_down_is_down_again(bare: Wire) -> None:
    bare.realserver.run("ip link add ipvs0 type dummy")
    before = bare.snapshot()
    do_up(bare, RealserverSetup(vips=(VIP, VIP6), link="ipvs0"))
    do_down(bare)
    after = bare.snapshot()
    assert after == before


def test_a_link_with_a_dot_in_its_name_is_handled(bare: Wire) -> None:
    bare.realserver.run(f"ip link add web.8 type {QUIET_KIND}")
    before = bare.snapshot()
    setup = RealserverSetup(vips=(VIP,), link="web.8")
    do_up(bare, setup)
    assert bare.realserver.sysctl("web.8/arp_ignore") == "1"
    assert passed(do_check(bare, setup))
    do_down(bare)
    assert bare.snapshot() == before


@pytest.mark.parametrize("vip", [VIP, VIP6])
def test_a_vip_that_eth0_holds_is_refused_before_any_change(bare: Wire, vip: IPAddress) -> None:
    bare.realserver.batch(f"addr add {host_interface(vip)} dev eth0 nodad")
    before = bare.snapshot()
    with pytest.raises(KernelError, match=r"also on eth0.*remove it\s+there"):
        do_up(bare, RealserverSetup(vips=(vip,), link="lo"))
    assert bare.snapshot() == before


def test_eth0_as_the_link_is_refused_where_it_would_answer(bare: Wire) -> None:
    for setup in (
        RealserverSetup(vips=(VIP,), link="eth0"),
        RealserverSetup(vips=(VIP6,), link="eth0", rip=RIP, mode=ArpMode.ARPTABLES),
    ):
        with pytest.raises(KernelError, match="use a dummy link"):
            do_up(bare, setup)
    setup = RealserverSetup(vips=(VIP,), link="eth0", rip=RIP, mode=ArpMode.ARPTABLES)
    do_up(bare, setup)
    assert not bare.answers_arp("10.0.0.8")


def test_ipv6_is_quiet_without_any_guard_unless_eth0_holds_it(lab: Wire) -> None:
    """ndisc_recv_ns looks for the target on the receiving interface only."""
    setup = RealserverSetup(vips=(VIP6,), link=QUIET_LINK, mode=ArpMode.NONE)
    do_up(lab, setup)
    assert not lab.answers_nd("fd00::8")
    assert passed(do_check(lab, setup))
    lab.realserver.run("ip addr add fd00::8/128 dev eth0 nodad")
    assert lab.answers_nd("fd00::8")
    assert not passed(do_check(lab, setup))


@pytest.mark.parametrize(
    ("name", "value", "quiet"),
    [
        ("all/arp_ignore", 0, False),
        ("all/arp_ignore", 1, True),
        ("all/arp_ignore", 2, True),
        ("all/arp_ignore", 3, False),
        ("all/arp_ignore", 4, False),
        ("all/arp_ignore", 8, True),
        ("eth0/arp_ignore", 3, False),
        ("eth0/arp_ignore", 2, True),
        ("all/arp_announce", 0, False),
        ("all/arp_announce", 1, False),
        ("all/arp_announce", 3, False),
        ("eth0/arp_announce", 2, True),
    ],
)
def test_check_says_of_each_value_what_the_kernel_does(
    bare: Wire, name: str, value: int, quiet: bool
) -> None:
    setup = RealserverSetup(vips=(VIP,), link="lo")
    do_up(bare, setup)
    bare.realserver.sysctl(name, value)
    assert passed(do_check(bare, setup)) == quiet
    loud = bare.answers_arp("10.0.0.8") if "ignore" in name else bare.asks_as("10.0.0.8")
    assert loud != quiet
