"""The runbooks' failures, played on a director for a picture of its status page.

Verdicts, roles and events are told as the daemon's other processes tell them; what follows from
them is the controller's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from ipaddress import ip_address
from typing import Final, NamedTuple

from msgspec import structs

from lvsguard.core.config import Config
from lvsguard.core.dropped import Reason
from lvsguard.core.event import (
    Event,
    ProberDied,
    ReloadRefused,
    StateTrouble,
)
from lvsguard.core.health import FailureClass, Result, Verdict
from lvsguard.core.hook import HookFailed
from lvsguard.core.model import RealserverKey
from lvsguard.core.override import Override, OverrideKind, Target
from lvsguard.core.peer_event import ClusterLost, PeerSilent
from lvsguard.core.snapshot import PeerStatus, Role
from lvsguard.core.vrrp import ConnectionSync, Version
from lvsguard.core.vrrp_event import (
    AdvertRejected,
    RoleChanged,
    VipConflict,
    VrrpProcessDied,
    VrrpStalled,
    VrrpTold,
)
from lvsguard.daemon.elections import daring
from lvsguard.daemon.peers import FROZEN
from lvsguard.probes.tls import certificate
from lvsguard.vrrp.hearing import Hearing
from lvsguard.vrrp.reception import Rejected
from lvsguard.vrrp.transitions import Trigger
from tests.support.day_peer import DIGESTS, SILENT, UNASKED
from tests.support.day_script import DIRECTORS
from tests.support.page_stage import Stage
from tests.support.page_town import (
    API,
    NEEDS_API,
    TLS,
    UP_S,
    WEB,
    WEB_KEY,
    WITHIN_S,
    director,
    other,
    state,
)
from tests.support.processes import wait_until
from tests.support.rig import OK, REFUSED, SILENCE, WRONG

Play = Callable[[Stage], None]
OTHER: Final = DIRECTORS["director2"]
MAC: Final = "52:54:00:0a:00:2c"
MISSING: Final = "it answered 404, which another try would not change: look at its url and key"
NO_LINK: Final = "eth0 has no carrier or is down: raise it (ip link set up), look at the cable"


class Failure(NamedTuple):
    """How a failure comes, and what the page then shows."""

    play: Play
    says: str
    """What is read on the page once it has come."""
    parts: tuple[str, ...]
    """What of the page the picture shows: ids of sections, names of services."""
    config: Config = director()
    peer: Callable[[], PeerStatus] = other


def tell(stage: Stage, *events: Event) -> None:
    """Things happen, in this order."""
    for event in events:
        stage.do(partial(stage.conflicts.tell, event))


def down(stage: Stage, *realservers: RealserverKey, by: Result = REFUSED) -> None:
    """Checks of realservers fail."""
    for one in realservers:
        stage.do(partial(stage.rig.verdict, one, Verdict.DOWN, by))


def falls(*realservers: RealserverKey, by: Result = REFUSED) -> Play:
    """Only that."""
    return lambda stage: down(stage, *realservers, by=by)


def happens(*events: Event) -> Play:
    """Only these events."""
    return lambda stage: tell(stage, *events)


def _nothing(stage: Stage) -> None:
    """What is to be seen is the other director's part."""


def _no_link(stage: Stage) -> None:
    stage.do(lambda: stage.rig.addresses.set_link("eth0", up=False))
    stage.states = {vip: state(vip, "fault", 5, NO_LINK) for vip in stage.states}
    tell(
        stage,
        RoleChanged("web", "master", "fault", str(Trigger.LINK_LOST), ""),
        RoleChanged("internal", "backup", "fault", str(Trigger.LINK_LOST), ""),
    )


def _two_masters(stage: Stage) -> None:
    """Their adverts are lost, not their peer channel."""
    stage.states = {"web": state("web", "master"), "internal": state("internal", "master", 70)}
    tell(
        stage,
        RoleChanged("internal", "backup", "master", str(Trigger.MASTER_SILENT), ""),
        VipConflict("web", OTHER, "advert", "priority 100"),
    )


def leading() -> PeerStatus:
    """The other director, which says that it is master of everything."""
    return replace(other(), vips=tuple(replace(one, role="master") for one in other().vips))


def _claimed(stage: Stage) -> None:
    stage.do(lambda: stage.neighbours.met(ip_address("10.0.0.44"), MAC))
    tell(stage, VipConflict("web", MAC, "arp", "10.0.0.8"))


def _flaps(stage: Stage) -> None:
    for _ in range(3):
        down(stage, WEB[1], by=WRONG)
        time.sleep(0.4)
        stage.do(lambda: stage.rig.verdict(WEB[1], Verdict.UP, OK))
        time.sleep(0.4)
    down(stage, WEB[1], by=WRONG)


def _drained_long_ago(stage: Stage) -> None:
    drain = Override(
        Target(ip_address("10.0.0.45")),
        OverrideKind.DRAIN,
        "alice (uid 1000)",
        time.time() - 2 * 86400 - 7200,
        "maintenance",
    )
    stage.do(lambda: stage.rig.controller.override(drain))


def _prober_gone(stage: Stage) -> None:
    stage.alive = 0
    tell(stage, ProberDied(0, "signal 9", 11))


def _taken_over(stage: Stage) -> None:
    """On director2."""
    stage.states = {
        vip: state(vip, "master", since_s, director="director2")
        for vip, since_s in (("web", 125), ("internal", UP_S))
    }
    tell(
        stage,
        RoleChanged("web", "backup", "master", str(Trigger.MASTER_SILENT), ""),
        PeerSilent("director1", DIRECTORS["director1"], SILENT),
    )


def _path_silent(stage: Stage) -> None:
    hearing = Hearing(("eth0", "eth1"), Version.V3, 1.0)
    hearing.heard("eth0", 1.0, UP_S)
    paths = hearing.look(Role.BACKUP, 0.0, UP_S)
    stage.states["internal"] = structs.replace(stage.states["internal"], paths=paths)
    stage.troubles = tuple(f"VIP internal: {p.problem}" for p in paths.values() if p.problem)


def _stands_back(stage: Stage) -> None:
    down(stage, *API[:2])
    stage.states["web"] = state("web", "backup", 12)
    tell(stage, RoleChanged("web", "master", "backup", str(Trigger.NOT_READY), OTHER))


def _to_and_fro(stage: Stage) -> None:
    for _ in range(3):
        tell(
            stage,
            RoleChanged("internal", "backup", "master", str(Trigger.MASTER_SILENT), ""),
            RoleChanged("internal", "master", "backup", str(Trigger.HIGHER_PRIORITY), OTHER),
        )
    stage.states["internal"] = state("internal", "backup", 3)


def _no_room(stage: Stage) -> None:
    trouble = (
        "/var/lib/lvsguard/journal.db: database or disk is full: make space or let lvsguard write"
        " there (df, ls -ld, mount)"
    )
    stage.troubles = (trouble,)
    tell(stage, StateTrouble(trouble))


def _refused(stage: Stage) -> None:
    stage.view.reload_ok = False
    tell(stage, ReloadRefused(("config.toml:7: service: unknown key",)))


def _etcd_lost(stage: Stage) -> None:
    stage.meeting = False
    stage.troubles = (f"{FROZEN}: {UNASKED}",)
    tell(stage, ClusterLost(UNASKED))


def _meddled(stage: Stage) -> None:
    for _ in range(3):
        stage.do(lambda: stage.rig.ipvs.drop(WEB_KEY, WEB[0]))
        stage.do(stage.rig.controller.look)
        wait_until(
            lambda: WEB[0] in stage.rig.ipvs.table[WEB_KEY].realservers, WITHIN_S, "it is mended"
        )


def _not_on_vip() -> Result:
    return Result(
        False,
        "L4TOUT",
        "10.0.0.42:80 answers, the VIP 10.0.0.8:80 does not (no connection within 1 s): the VIP is"
        " not set up there, or a firewall drops it; run lvsguard realserver check --vip 10.0.0.8"
        " --rip 10.0.0.42 there",
        1.0,
        FailureClass.VIP_PATH,
    )


class _Expired(Exception):
    verify_code = 10


EXPIRED = Result(False, "L6RSP", certificate(_Expired(), ""), 0.004, FailureClass.WRONG)
PASSWORD = str(Rejected(Reason.AUTH_DATA))

FAILURES: Mapping[str, Failure] = {
    "no-master": Failure(
        _no_link, "fault", ("troubles", "pair"), peer=partial(other, moment="21:15", since_s=6)
    ),
    "two-masters": Failure(
        _two_masters,
        "master, too",
        ("pair", "events"),
        peer=leading,
    ),
    "vip-conflict": Failure(_claimed, "is claimed by", ("troubles", "pair", "events")),
    "quorum-lost": Failure(falls(*API[:2]), "quorum lost", ("api", "events")),
    "panic": Failure(falls(*WEB[:3]), "PANIC", ("web", "events")),
    "kernel-not-as-wanted": Failure(
        _nothing, "no scheduler mh", ("troubles", "api"), director(scheduler="mh")
    ),
    "realserver-down": Failure(falls(WEB[0]), "connection refused", ("tiles", "web", "events")),
    "vip-not-on-realserver": Failure(
        falls(WEB[0], by=_not_on_vip()), "answers, the VIP", ("web", "events")
    ),
    "realserver-flapping": Failure(_flaps, "503", ("web", "events")),
    "quorum-near": Failure(falls(*WEB[2:], by=SILENCE), "no connection", ("web", "events")),
    "drain-forgotten": Failure(_drained_long_ago, "maintenance", ("tiles", "held", "web")),
    "director-down": Failure(
        _taken_over,
        "silent",
        ("pair", "events"),
        director("director2"),
        partial(other, "director1", "09:35", 127),
    ),
    "checks-stalled": Failure(_prober_gone, "0 of 1 probers", ("troubles", "events")),
    "standby-unfit": Failure(
        _nothing,
        "its IPVS table is not what it should be",
        ("pair",),
        peer=partial(other, moment="17:30"),
    ),
    "not-standing-by": Failure(
        _stands_back,
        "stands back",
        ("pair", "events"),
        director(track=(NEEDS_API,)),
    ),
    "failovers-repeated": Failure(_to_and_fro, "master silent", ("pair", "events")),
    "connections-not-in-step": Failure(
        _nothing,
        "a sync daemon is missing",
        ("troubles", "pair"),
        director(sync=ConnectionSync("eth1", 51)),
    ),
    "adverts-rejected": Failure(
        happens(AdvertRejected("web", OTHER, str(Reason.AUTH_DATA), PASSWORD)),
        "the passwords differ",
        ("events",),
    ),
    "advert-late": Failure(happens(VrrpStalled("web", 0.42)), "did not run for", ("events",)),
    "heartbeat-lost": Failure(_path_silent, "has come by eth1", ("troubles", "pair")),
    "peer-not-heard": Failure(
        happens(PeerSilent("director2", OTHER, SILENT)),
        "silent",
        ("pair", "events"),
        peer=partial(other, moment="21:15", since_s=130),
    ),
    "cluster-lost": Failure(
        _etcd_lost,
        "cannot be asked",
        ("troubles", "pair", "events"),
        peer=partial(other, moment="07:00"),
    ),
    "hook-failing": Failure(happens(HookFailed("chat", MISSING)), "hook chat failed", ("events",)),
    "vrrp-process-restarts": Failure(
        happens(*[VrrpProcessDied("signal 9")] * 3), "the VRRP process ended", ("pair", "events")
    ),
    "directors-differ": Failure(
        _nothing, "healthy there", ("pair",), peer=partial(other, moment="18:45")
    ),
    "config-differs": Failure(
        _nothing,
        "its config differs in",
        ("pair",),
        director(digest=DIGESTS[0]),
        partial(other, moment="04:15"),
    ),
    "reload-refused": Failure(_refused, "the last reload was refused", ("troubles", "events")),
    "state-not-kept": Failure(_no_room, "disk is full", ("troubles", "events")),
    "drift-repeated": Failure(_meddled, "drift", ("events",)),
    "certificate-expiring": Failure(falls(*TLS, by=EXPIRED), "has expired", ("tls", "events")),
    "without-real-time": Failure(
        happens(VrrpTold("web", daring(0.5, real_time=False))), "no real-time priority", ("events",)
    ),
}
