"""The IPVS table: the same rules in memory and on the real kernel, with ipvsadm as the witness."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from errno import EEXIST, EINVAL, ENOENT, ERANGE, ESRCH
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
    VirtualService,
)
from lvsguard.core.scheduler import SCHEDULERS, flag_names
from lvsguard.core.step import (
    AddRealserver,
    AddService,
    DeleteRealserver,
    DeleteService,
    EditRealserver,
    EditService,
    IpvsStep,
)
from tests.support.ipvs_rig import FakeRig, Rig, does, holds, linux_rig
from tests.support.ipvs_table import steps_to

VIP, VIP6 = ip_address("10.0.0.8"), ip_address("2001:db8::8")
WEB = ServiceKey.at(Protocol.TCP, VIP, 80)
WEB6 = ServiceKey.at(Protocol.TCP, VIP6, 80)
DNS = ServiceKey.at(Protocol.UDP, VIP, 53)
FOREIGN = ServiceKey.at(Protocol.TCP, ip_address("10.0.0.99"), 99)
MARK, MARK6 = ServiceKey.marked(7), ServiceKey.marked(7, Family.INET6)
ONE, TWO = (RealserverKey(ip_address(f"10.0.0.{n}"), 80) for n in (42, 43))
ONE6 = RealserverKey(ip_address("2001:db8::42"), 80)
RR = VirtualService("rr")
UP = Realserver(1)
# ip_vs_twos came with Linux 5.10 and is not built everywhere.
HERE = sorted(SCHEDULERS - {"twos"})

KEYS = [
    WEB,
    ServiceKey.at(Protocol.UDP, VIP, 80),
    ServiceKey.at(Protocol.SCTP, VIP, 80),
    ServiceKey.at(Protocol.TCP, VIP, 65535),
    WEB6,
    ServiceKey.at(Protocol.UDP, VIP6, 80),
    ServiceKey.at(Protocol.SCTP, VIP6, 80),
    MARK,
    MARK6,
    ServiceKey.marked(4294967295),
]
SETTINGS = [
    *[VirtualService(scheduler) for scheduler in HERE],
    *[
        VirtualService(scheduler, frozenset(flags))
        for scheduler in ("sh", "mh", "wlc")
        for one, two, _three in [flag_names(scheduler)]
        for flags in ({one}, {two}, {one, two})
    ],
    VirtualService("wlc", frozenset({"flag-1", "flag-2", "flag-3"})),
    VirtualService("rr", persistence=Persistence()),
    VirtualService("rr", persistence=Persistence(1, 1)),
    VirtualService("rr", persistence=Persistence(31 * 86400, 24)),
    VirtualService("sh", frozenset({"sh-port"}), Persistence(600, 16), one_packet=True),
]
ENTRIES = [
    *[Realserver(weight) for weight in (0, 1, 2, 65535)],
    Realserver(1, Forwarding.NAT),
    Realserver(1, Forwarding.TUN, Tunnel()),
    *[
        Realserver(1, Forwarding.TUN, Tunnel(TunnelKind.GUE, 6080, checksum))
        for checksum in TunnelChecksum
    ],
    Realserver(1, Forwarding.TUN, Tunnel(TunnelKind.GUE, 65535)),
    Realserver(1, Forwarding.TUN, Tunnel(TunnelKind.GRE)),
    Realserver(1, Forwarding.TUN, Tunnel(TunnelKind.GRE, 0, TunnelChecksum.FULL)),
    Realserver(1, upper_threshold=10),
    Realserver(1, upper_threshold=10, lower_threshold=10),
    Realserver(0, Forwarding.NAT, None, 4294967295, 4294967294),
]


@pytest.fixture(params=["fake", pytest.param("linux", marks=pytest.mark.kernel)])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    if request.param == "fake":
        yield FakeRig()
    else:
        async with linux_rig() as real:
            yield real


@pytest.mark.parametrize("key", KEYS, ids=str)
async def test_a_service_of_every_kind_comes_and_goes(rig: Rig, key: ServiceKey) -> None:
    await does(rig, AddService(key, RR))
    await holds(rig, {key: RR})
    await does(rig, DeleteService(key))
    await holds(rig, {})


async def test_services_are_told_apart_by_the_whole_key(rig: Rig) -> None:
    table = {key: VirtualService(HERE[n]) for n, key in enumerate(KEYS)}
    await does(rig, *steps_to(table))
    await holds(rig, table)


async def test_every_setting_is_added_edited_and_read_back(rig: Rig) -> None:
    table = {
        ServiceKey.at(Protocol.UDP, VIP, 1000 + n): settings for n, settings in enumerate(SETTINGS)
    }
    await does(rig, *steps_to(table))
    await holds(rig, table)
    turned = dict(zip(table, reversed(SETTINGS), strict=True))
    await does(rig, *[EditService(key, turned[key], table[key]) for key in table])
    await holds(rig, turned)


@pytest.mark.parametrize("prefix", [1, 64, 128])
async def test_persistence_of_ipv6_has_a_prefix(rig: Rig, prefix: int) -> None:
    service = VirtualService("rr", persistence=Persistence(60, prefix))
    await does(rig, AddService(WEB6, service))
    await holds(rig, {WEB6: service})
    await does(rig, EditService(WEB6, RR, service))
    await holds(rig, {WEB6: RR})


async def test_a_persistence_engine_is_set_and_taken_away(rig: Rig) -> None:
    sip = VirtualService("rr", persistence=Persistence(60, 32, "sip"))
    plain = VirtualService("rr", persistence=Persistence(60, 32))
    await does(rig, AddService(DNS, sip))
    await holds(rig, {DNS: sip})
    await does(rig, EditService(DNS, plain, sip))
    await holds(rig, {DNS: plain})


async def test_a_generic_flag_reads_back_by_its_name(rig: Rig) -> None:
    await does(rig, AddService(WEB, VirtualService("sh", frozenset({"flag-2"}))))
    await holds(rig, {WEB: VirtualService("sh", frozenset({"sh-port"}))})


async def test_the_third_flag_of_a_scheduler_that_names_two_is_kept(rig: Rig) -> None:
    """ipvsadm can set it and does not print it."""
    third = VirtualService("mh", frozenset({"mh-port", "flag-3"}))
    await does(rig, AddService(WEB, third))
    assert (await rig.ipvs.read()).services == {WEB: third}


async def test_every_entry_is_added_edited_and_read_back(rig: Rig) -> None:
    keys = [RealserverKey(ip_address(f"10.0.1.{n}"), 80) for n in range(len(ENTRIES))]
    entries = dict(zip(keys, ENTRIES, strict=True))
    await does(rig, *steps_to({WEB: replace(RR, realservers=entries)}))
    await holds(rig, {WEB: replace(RR, realservers=entries)})
    _agree_on_thresholds(rig, entries)
    turned = dict(zip(keys, reversed(ENTRIES), strict=True))
    await does(rig, *[EditRealserver(WEB, key, turned[key], entries[key]) for key in keys])
    await holds(rig, {WEB: replace(RR, realservers=turned)})
    _agree_on_thresholds(rig, turned)


async def test_editing_the_weight_leaves_everything_else(rig: Rig) -> None:
    full = Realserver(5, Forwarding.TUN, Tunnel(TunnelKind.GUE, 6080), 100, 50)
    await does(rig, AddService(WEB, RR), AddRealserver(WEB, ONE, full))
    quiescent = replace(full, weight=0)
    await does(rig, EditRealserver(WEB, ONE, quiescent, full))
    await holds(rig, {WEB: replace(RR, realservers={ONE: quiescent})})


@pytest.mark.parametrize("method", [Forwarding.DR, Forwarding.NAT, Forwarding.TUN])
async def test_a_realserver_on_the_director_keeps_its_forwarding_method(
    rig: Rig, method: Forwarding
) -> None:
    own = RealserverKey(ip_address("127.0.0.1"), 80)
    entry = Realserver(1, method, Tunnel() if method is Forwarding.TUN else None)
    await does(rig, AddService(WEB, RR), AddRealserver(WEB, own, entry))
    await holds(rig, {WEB: replace(RR, realservers={own: entry})})


@pytest.mark.parametrize(
    ("service", "realserver"), [(WEB6, ONE6), (WEB6, ONE), (WEB, ONE6), (MARK, ONE), (MARK6, ONE6)]
)
async def test_families_meet_in_a_tunnel(
    rig: Rig, service: ServiceKey, realserver: RealserverKey
) -> None:
    entry = Realserver(1, Forwarding.TUN, Tunnel())
    await does(rig, AddService(service, RR), AddRealserver(service, realserver, entry))
    await holds(rig, {service: replace(RR, realservers={realserver: entry})})
    await does(rig, DeleteRealserver(service, realserver))
    await holds(rig, {service: RR})


async def test_deleting_a_service_takes_its_realservers_along(rig: Rig) -> None:
    table = {WEB: replace(RR, realservers={ONE: UP, TWO: UP}), DNS: RR}
    await does(rig, *steps_to(table))
    await does(rig, DeleteService(WEB), AddService(WEB, RR))
    await holds(rig, {WEB: RR, DNS: RR})


async def test_editing_a_service_leaves_its_realservers(rig: Rig) -> None:
    await does(rig, *steps_to({WEB: replace(RR, realservers={ONE: UP, TWO: Realserver(0)})}))
    await does(rig, EditService(WEB, VirtualService("wlc"), RR))
    await holds(rig, {WEB: VirtualService("wlc", realservers={ONE: UP, TWO: Realserver(0)})})


SH = VirtualService("sh")


@pytest.mark.parametrize(
    ("step", "errno", "stale"),
    [
        (AddService(WEB, SH), EEXIST, True),
        (AddRealserver(WEB, ONE, Realserver(9)), EEXIST, True),
        (EditService(DNS, SH, RR), ESRCH, True),
        (DeleteService(DNS), ESRCH, True),
        (AddRealserver(DNS, ONE, UP), ESRCH, True),
        (EditRealserver(DNS, ONE, UP, Realserver(2)), ESRCH, True),
        (DeleteRealserver(DNS, ONE), ESRCH, True),
        (EditRealserver(WEB, TWO, UP, Realserver(2)), ENOENT, True),
        (DeleteRealserver(WEB, TWO), ENOENT, True),
        (AddService(DNS, VirtualService("no-such")), ENOENT, False),
        (EditService(WEB, VirtualService("no-such"), RR), ENOENT, False),
        (
            AddService(DNS, VirtualService("rr", persistence=Persistence(engine="none-such"))),
            ENOENT,
            False,
        ),
        (AddRealserver(WEB, TWO, Realserver(-1)), ERANGE, False),
        (EditRealserver(WEB, ONE, Realserver(2147483648), UP), ERANGE, False),
        (AddRealserver(WEB, TWO, Realserver(1, lower_threshold=1)), ERANGE, False),
        (AddRealserver(WEB, ONE6, UP), EINVAL, False),
        (AddRealserver(WEB, TWO, Realserver(1, Forwarding.LOCAL)), EINVAL, False),
    ],
    ids=str,
)
async def test_a_refused_step_says_why_and_changes_nothing(
    rig: Rig, step: IpvsStep, errno: int, stale: bool
) -> None:
    table = {WEB: replace(RR, realservers={ONE: UP})}
    await does(rig, *steps_to(table))
    (failed,) = await rig.ipvs.apply([step])
    assert failed.step == step
    assert failed.errno == errno
    assert failed.stale is stale
    assert failed.message.startswith(str(step))
    await holds(rig, table)


async def test_a_missing_scheduler_is_named_with_its_module(rig: Rig) -> None:
    (failed,) = await rig.ipvs.apply([AddService(WEB, VirtualService("no-such"))])
    assert "no scheduler no-such" in failed.message
    assert "modprobe -a ip_vs_no-such" in failed.message


async def test_a_thousand_steps_fail_where_they_are_wrong_and_only_there(rig: Rig) -> None:
    keys = [RealserverKey(ip_address(f"10.1.{n >> 8}.{n & 255}"), 80) for n in range(1000)]
    await does(rig, AddService(WEB, RR))
    steps: list[IpvsStep] = [AddRealserver(WEB, key, UP) for key in keys]
    steps[0] = DeleteRealserver(WEB, keys[0])
    steps[300] = AddRealserver(WEB, keys[299], Realserver(2))
    steps[301] = AddRealserver(WEB, keys[301], Realserver(-1))
    steps[500] = AddRealserver(DNS, keys[500], UP)
    steps[999] = EditService(WEB, VirtualService("no-such"), RR)
    number = {id(step): n for n, step in enumerate(steps)}
    failures = await rig.ipvs.apply(steps)
    assert [(number[id(f.step)], f.errno) for f in failures] == [
        (0, ENOENT),
        (300, EEXIST),
        (301, ERANGE),
        (500, ESRCH),
        (999, ENOENT),
    ]
    left = {key: UP for n, key in enumerate(keys) if n not in (0, 300, 301, 500, 999)}
    await holds(rig, {WEB: replace(RR, realservers=left)})


async def test_later_steps_of_a_batch_see_the_earlier_ones(rig: Rig) -> None:
    await does(
        rig,
        AddService(WEB, RR),
        AddRealserver(WEB, ONE, UP),
        EditRealserver(WEB, ONE, Realserver(7), UP),
        AddRealserver(WEB, TWO, UP),
        DeleteRealserver(WEB, TWO),
        EditService(WEB, SH, RR),
    )
    await holds(rig, {WEB: replace(SH, realservers={ONE: Realserver(7)})})


async def test_no_steps_are_no_writes(rig: Rig) -> None:
    await does(rig)
    await holds(rig, {})
    assert rig.ipvs.writes == 0


async def test_what_somebody_else_made_is_seen_and_left(rig: Rig) -> None:
    theirs = RealserverKey(TWO.address, FOREIGN.port)
    foreign = VirtualService("wlc", persistence=Persistence(), realservers={theirs: Realserver(3)})
    rig.by_hand(*steps_to({FOREIGN: foreign}))
    await does(rig, AddService(WEB, RR))
    await holds(rig, {FOREIGN: foreign, WEB: RR})
    await does(rig, DeleteService(WEB))
    await holds(rig, {FOREIGN: foreign})


async def test_what_somebody_else_changes_is_seen_at_the_next_read(rig: Rig) -> None:
    table = {WEB: replace(RR, realservers={ONE: UP, TWO: UP}), DNS: RR}
    await does(rig, *steps_to(table))
    await holds(rig, table)
    rig.by_hand(EditRealserver(WEB, ONE, Realserver(7), UP))
    await holds(rig, {WEB: replace(RR, realservers={ONE: Realserver(7), TWO: UP}), DNS: RR})
    rig.by_hand(DeleteRealserver(WEB, ONE), EditService(DNS, SH, RR))
    await holds(rig, {WEB: replace(RR, realservers={TWO: UP}), DNS: SH})
    rig.by_hand(DeleteService(WEB), DeleteService(DNS))
    await holds(rig, {})


async def test_an_unchanged_service_is_the_same_object(rig: Rig) -> None:
    table = {WEB: replace(RR, realservers={ONE: UP, TWO: UP}), DNS: RR}
    await does(rig, *steps_to(table))
    first = (await rig.ipvs.read()).services
    again = (await rig.ipvs.read()).services
    assert all(again[key] is first[key] for key in table)
    await does(rig, EditRealserver(WEB, ONE, Realserver(7), UP))
    after = (await rig.ipvs.read()).services
    assert after[DNS] is first[DNS]
    assert after[WEB].realservers[TWO] == UP


async def test_the_steps_print_as_commands_that_do_the_same(rig: Rig) -> None:
    """What `plan --format ipvsadm` prints can be run."""
    table = {
        WEB: VirtualService(
            "sh",
            frozenset({"sh-port"}),
            Persistence(600, 24),
            realservers={
                ONE: Realserver(3, upper_threshold=10, lower_threshold=5),
                TWO: Realserver(0, Forwarding.TUN, Tunnel(TunnelKind.GUE, 6080)),
            },
        ),
        WEB6: VirtualService("wlc", realservers={ONE6: UP}),
        MARK: VirtualService("mh", frozenset({"mh-fallback"})),
    }
    rig.by_hand(*steps_to(table))
    await holds(rig, table)


def _agree_on_thresholds(rig: Rig, entries: dict[RealserverKey, Realserver]) -> None:
    seen = rig.thresholds()
    if seen is not None:
        assert seen == {
            str(key): (entry.upper_threshold, entry.lower_threshold)
            for key, entry in entries.items()
        }
