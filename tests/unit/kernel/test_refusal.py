"""Every refusal says what was wanted, what is wrong and what to do."""

from __future__ import annotations

from errno import (
    EAFNOSUPPORT,
    EEXIST,
    EINVAL,
    EIO,
    ENODEV,
    ENOENT,
    EPERM,
    ERANGE,
    ESRCH,
)
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
    TunnelKind,
    VirtualService,
)
from lvsguard.core.scheduler import normal_flags
from lvsguard.core.step import (
    AddRealserver,
    AddService,
    DeleteRealserver,
    DeleteService,
    EditRealserver,
    EditService,
    IpvsStep,
)
from lvsguard.kernel.port import KernelError, SyncDaemon, SyncRole, Timeouts
from lvsguard.kernel.refusal import (
    check_sync,
    check_timeouts,
    failure,
    modules_of,
    refusal,
    sync_refused,
)
from tests.support.golden import Golden

WEB = ServiceKey.at(Protocol.TCP, ip_address("10.0.0.8"), 80)
WEB6 = ServiceKey.at(Protocol.TCP, ip_address("2001:db8::8"), 80)
ONE = RealserverKey(ip_address("10.0.0.42"), 80)
ONE6 = RealserverKey(ip_address("2001:db8::42"), 80)
RR = VirtualService("rr")
SIP = VirtualService("mh", persistence=Persistence(engine="sip"))
UP = Realserver(1)


def entry(realserver: Realserver, key: RealserverKey = ONE) -> IpvsStep:
    return AddRealserver(WEB, key, realserver)


def service(settings: VirtualService, key: ServiceKey = WEB) -> IpvsStep:
    return AddService(key, settings)


@pytest.mark.parametrize(
    ("step", "errno", "why"),
    [
        (entry(Realserver(-1)), ERANGE, "weight -1: give one from 0 to 65535"),
        (entry(Realserver(65536)), ERANGE, "weight 65536: give one from 0 to 65535"),
        (entry(Realserver(2147483648)), ERANGE, "weight 2147483648"),
        (entry(Realserver(1, upper_threshold=-1)), ERANGE, "thresholds -1 and 0"),
        (entry(Realserver(1, upper_threshold=2**32)), ERANGE, "give 0 to 4294967295"),
        (entry(Realserver(1, lower_threshold=5)), ERANGE, "is above the upper threshold 0"),
        (entry(Realserver(1, Forwarding.LOCAL)), EINVAL, "give dr, nat or tun"),
        (entry(Realserver(1), ONE6), EINVAL, "only tun can do that"),
        (entry(Realserver(1, tunnel=Tunnel())), EINVAL, "a tunnel with forwarding dr"),
        (
            entry(Realserver(1, Forwarding.TUN, Tunnel(TunnelKind.GUE))),
            ERANGE,
            "gue port 0: give one from 1 to 65535",
        ),
        (
            entry(Realserver(1, Forwarding.TUN, Tunnel(TunnelKind.GRE, 1))),
            EINVAL,
            "only gue has one",
        ),
        (entry(UP, RealserverKey(ONE.address, 65536)), ERANGE, "port 65536"),
        (DeleteRealserver(WEB, RealserverKey(ONE.address, -1)), ERANGE, "port -1"),
        (EditRealserver(WEB, ONE, Realserver(-1), UP), ERANGE, "weight -1"),
        (service(VirtualService("")), EINVAL, "scheduler ''"),
        (service(VirtualService("x" * 16)), EINVAL, "give a name as in ipvsadm"),
        (service(VirtualService("rr\0")), EINVAL, "give a name as in ipvsadm"),
        (service(VirtualService("rr", frozenset({"sh-port"}))), EINVAL, "no flag sh-port"),
        (service(VirtualService("rr", persistence=Persistence(0))), ERANGE, "timeout 0"),
        (service(VirtualService("rr", persistence=Persistence(2**31))), ERANGE, "1 to 2678400 s"),
        (service(VirtualService("rr", persistence=Persistence(1, 0))), ERANGE, "from 1 to 32"),
        (service(VirtualService("rr", persistence=Persistence(1, 33))), ERANGE, "from 1 to 32"),
        (
            service(VirtualService("rr", persistence=Persistence(1, 129)), WEB6),
            ERANGE,
            "from 1 to 128",
        ),
        (
            service(VirtualService("rr", persistence=Persistence(1, 32, "s" * 16))),
            EINVAL,
            "such as sip",
        ),
        (service(RR, ServiceKey.marked(0)), ERANGE, "firewall mark 0: give one from 1"),
        (DeleteService(ServiceKey.marked(2**32)), ERANGE, "to 4294967295"),
        (service(RR, ServiceKey.at(Protocol.TCP, WEB.address or ONE.address, -1)), ERANGE, "port"),
        (
            service(RR, ServiceKey(Family.INET, None, ONE.address, 80)),
            EINVAL,
            "give tcp, udp or sctp",
        ),
        (EditService(WEB, VirtualService("x" * 16), RR), EINVAL, "give a name as in ipvsadm"),
    ],
)
def test_what_the_kernel_would_misunderstand_is_never_sent(
    step: IpvsStep, errno: int, why: str
) -> None:
    refused = refusal(step)
    assert refused is not None
    assert refused.errno == errno
    assert why in refused.message
    assert refused.message.startswith(str(step))
    assert not refused.stale


@pytest.mark.parametrize(
    "step",
    [
        entry(Realserver(0)),
        entry(Realserver(65535, Forwarding.NAT, None, 2**32 - 1, 2**32 - 1)),
        entry(Realserver(1, Forwarding.TUN, None), ONE6),
        entry(Realserver(1, Forwarding.TUN, Tunnel(TunnelKind.GUE, 65535)), ONE6),
        service(VirtualService("fifteen-letters", persistence=Persistence(31 * 86400, 1))),
        service(RR, ServiceKey.marked(2**32 - 1)),
        DeleteService(WEB6),
        DeleteRealserver(WEB6, ONE6),
    ],
)
def test_what_stands_at_the_limit_may_go(step: IpvsStep) -> None:
    assert refusal(step) is None


def test_the_words_for_every_answer_of_the_kernel(golden: Golden) -> None:
    add, edit, delete = AddService(WEB, RR), EditService(WEB, SIP, RR), DeleteService(WEB)
    grow, change = AddRealserver(WEB, ONE, UP), EditRealserver(WEB, ONE, UP, Realserver(2))
    shrink = DeleteRealserver(WEB, ONE)
    other = AddRealserver(WEB, ONE6, Realserver(1, Forwarding.TUN, Tunnel()))
    answers: list[tuple[int, list[IpvsStep]]] = [
        (ENOENT, [add, edit, change, shrink]),
        (ESRCH, [edit, delete, grow, change, shrink]),
        (EEXIST, [add, grow]),
        (EPERM, [add]),
        (EINVAL, [add, other]),
        (EAFNOSUPPORT, [AddService(WEB6, RR)]),
        (EIO, [grow]),
    ]
    lines = []
    for errno, steps in answers:
        for step in steps:
            told = failure(step, errno)
            lines.append(f"{'stale ' if told.stale else '      '}{told.message}\n")
    golden.check("netlink/ipvs-refusals.txt", "".join(lines))


def test_an_unknown_scheduler_is_not_a_missing_service() -> None:
    unknown, gone = (
        failure(EditService(WEB, RR, SIP), ENOENT),
        failure(EditService(WEB, RR, SIP), ESRCH),
    )
    assert not unknown.stale
    assert "modprobe -a ip_vs_rr" in unknown.message
    assert gone.stale
    assert "the service is not in the table any more" in gone.message


def test_the_kernels_own_words_are_passed_on() -> None:
    told = failure(AddService(WEB, RR), EINVAL, "Attribute failed policy validation")
    assert told.message.endswith("(kernel: Attribute failed policy validation)")


def test_the_modules_that_a_service_needs() -> None:
    assert modules_of(RR) == ("ip_vs_rr",)
    assert modules_of(SIP) == ("ip_vs_mh", "ip_vs_pe_sip")


@pytest.mark.parametrize("timeouts", [Timeouts(-1, 0, 0), Timeouts(0, 2**31, 0)])
def test_timeouts_have_limits(timeouts: Timeouts) -> None:
    with pytest.raises(KernelError, match="or 0 to leave it"):
        check_timeouts(timeouts)


@pytest.mark.parametrize(
    ("daemon", "why"),
    [
        (SyncDaemon(SyncRole.MASTER, ""), "give its name"),
        (SyncDaemon(SyncRole.MASTER, "x" * 16), "give its name"),
        (SyncDaemon(SyncRole.MASTER, "eth0", 256), "give one from 0 to 255"),
        (SyncDaemon(SyncRole.MASTER, "eth0", 0, 65536), "65535 bytes"),
        (SyncDaemon(SyncRole.MASTER, "eth0", port=65536), "give one from 1 to 65535"),
        (SyncDaemon(SyncRole.MASTER, "eth0", ttl=256), "give one from 1 to 255"),
        (SyncDaemon(SyncRole.MASTER, "eth0", group="all"), "multicast address"),
        (SyncDaemon(SyncRole.MASTER, "eth0", group="10.0.0.1"), "multicast address"),
    ],
)
def test_a_sync_daemon_has_limits(daemon: SyncDaemon, why: str) -> None:
    with pytest.raises(KernelError, match=why) as caught:
        check_sync(daemon)
    assert caught.value.errno == EINVAL


def test_the_words_for_sync_daemons(golden: Golden) -> None:
    daemon = SyncDaemon(SyncRole.MASTER, "eth9")
    lines = [
        f"{sync_refused(errno, SyncRole.MASTER, asked)}\n"
        for asked, errnos in (
            (daemon, (EEXIST, ENODEV, EINVAL, EPERM, EIO)),
            (None, (ESRCH, EPERM)),
        )
        for errno in errnos
    ]
    golden.check("netlink/sync-refusals.txt", "".join(lines))


def test_flags_have_one_spelling() -> None:
    assert normal_flags("sh", {"flag-1", "flag-2"}) == {"sh-fallback", "sh-port"}
    assert normal_flags("mh", {"mh-port", "flag-2", "flag-3"}) == {"mh-port", "flag-3"}
    assert normal_flags("wlc", {"flag-1"}) == {"flag-1"}
    with pytest.raises(ValueError, match="allowed are flag-1, flag-2, flag-3"):
        normal_flags("rr", {"mh-port"})
