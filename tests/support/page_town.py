"""A director of two, as the runbooks' pictures of the status page show it: while all is well."""

from __future__ import annotations

import time
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

from lvsguard.admin.peer_channel import HEARD_S
from lvsguard.core.config import CheckKind, CheckSpec, Config, HttpSpec, SorryServer, VipConfig
from lvsguard.core.model import Protocol, RealserverKey, ServiceKey, VipAddress
from lvsguard.core.peer import VipPart
from lvsguard.core.scheduler import SCHEDULERS
from lvsguard.core.snapshot import PeerStatus
from lvsguard.core.vrrp import ConnectionSync, Track, TrackKind, VrrpConfig
from lvsguard.vrrp.message import State
from lvsguard.vrrp.message import address as told
from tests.support.day_peer import DIGESTS, other_director
from tests.support.day_script import DIRECTORS, VIPS, at
from tests.support.day_script import other as other_than
from tests.support.fake_kernel import FakeIpvs
from tests.support.page_stage import Stage, Told, keys
from tests.support.processes import wait_until
from tests.support.rig import HTTP, Rig, realserver, service

WEB = keys(42, 4, 80)
TLS = keys(42, 4, 443)
API = keys(46, 3, 8080)
WEB_KEY = ServiceKey.at(Protocol.TCP, ip_address(VIPS["web"][0]), 80)
TLS_KEY = ServiceKey.at(Protocol.TCP, ip_address(VIPS["web"][0]), 443)
API_KEY = ServiceKey.at(Protocol.TCP, ip_address(VIPS["internal"][0]), 8080)
SORRY = SorryServer(RealserverKey(ip_address("10.0.0.49"), 8080))
HTTPS = CheckSpec(CheckKind.HTTPS, http=HttpSpec(path="/health"))
WITHIN_S = 15.0
"""For anything that a controller is to do."""
KNOWN = SCHEDULERS - {"mh"}
"""Schedulers that the kernel has."""
UP_S = 86400.0 * 9
"""Since when the directors have their roles."""
NEEDS_API = Track(TrackKind.SERVICE, "api", interval=0.1, rise=1, fall=1)


def held(vip: str) -> VipAddress:
    """The address of a VIP group."""
    return VipAddress("eth0", ip_address(VIPS[vip][0]), 24)


def director(
    name: str = "director1",
    *,
    digest: str = DIGESTS[1],
    scheduler: str = "rr",
    sync: ConnectionSync | None = None,
    track: tuple[Track, ...] = (),
) -> Config:
    """Its configuration: three services on two VIP groups with an election."""
    vips = tuple(
        VipConfig(
            vip,
            (held(vip),),
            VrrpConfig(vrid, 150 if first == name else 100, track=track if vip == "web" else ()),
        )
        for vrid, (vip, (_, first)) in enumerate(VIPS.items(), 51)
    )
    web = service(*(realserver(one, spec=HTTP) for one in WEB), name="web", key=WEB_KEY)
    tls = service(*(realserver(one, spec=HTTPS) for one in TLS), name="tls", key=TLS_KEY)
    api = service(*map(realserver, API), name="api", key=API_KEY)
    return Config(
        name,
        "eth0",
        vips,
        (
            replace(web, quorum=2, panic_below=0.5),
            replace(tls, quorum=2),
            replace(api, quorum=2, sorry_server=SORRY, scheduler=scheduler),
        ),
        digest,
        sync=sync,
    )


def state(
    vip: str, role: str, since_s: float = UP_S, problem: str = "", director: str = "director1"
) -> State:
    """What a director's VRRP process says of a VIP group."""
    masters = {"master": DIRECTORS[director], "backup": DIRECTORS[other_than(director)]}
    return State(
        name=vip,
        role=role,
        since=time.time() - since_s,
        priority=150 if VIPS[vip][1] == director else 100,
        master=masters.get(role, ""),
        held=(told(held(vip)),) if role == "master" else (),
        held_back=False,
        problem=problem,
    )


def other(name: str = "director2", moment: str = "00:00", since_s: float = UP_S) -> PeerStatus:
    """The other director, as it is at a time of the simulated day."""
    now = time.time()
    known = other_director(name, at(moment), DIGESTS[at(moment) >= at("04:25")])
    last = now - (0.5 if known.heard else since_s + HEARD_S)
    parts = known.vips and (VipPart("web", "backup", True), VipPart("internal", "master", True))
    return replace(known, since=now - since_s, last=last, vips=parts if known.heard else ())


def stage(config: Config, folder: Path) -> Stage:
    """It, over the kernel in memory, which has no scheduler mh."""
    settings = folder / "net" / "ipv4" / "vs"
    settings.mkdir(parents=True)
    (settings / "sync_threshold").write_text("2 50\n")
    ipvs = FakeIpvs(schedulers=KNOWN)
    rig = Rig(config, folder, ipvs=ipvs, events=Told())
    states = {"web": state("web", "master"), "internal": state("internal", "backup")}
    made = Stage(rig, peers=(other(),), states=states)
    made.view.started = time.time() - UP_S
    return made


def begin(played: Stage) -> None:
    """Until all realservers serve clients."""
    played.do(lambda: played.rig.up(*WEB, *TLS, *API))
    services = played.rig.config.services
    count = sum(len(one.realservers) for one in services if one.scheduler in KNOWN)
    wait_until(lambda: len(_serving(played)) == count, WITHIN_S, "all are in")
    clients(played, 0.0)


def clients(played: Stage, seconds: float) -> None:
    """Have clients come for so long: 40 a second to each realserver that serves."""
    until = time.monotonic() + seconds
    while True:
        serving = enumerate(_serving(played))
        played.traffic([(key, one, 4, 120 + at, 310 - at) for at, (key, one) in serving])
        if time.monotonic() >= until:
            return
        time.sleep(0.1)


def _serving(played: Stage) -> list[tuple[ServiceKey, RealserverKey]]:
    return [
        (key, one)
        for key, service in played.rig.ipvs.table.items()
        for one, entry in service.realservers.items()
        if entry.weight
    ]
