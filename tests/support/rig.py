"""A controller over the kernel in memory, with the seed network's config, for unit tests."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from lvsguard.controller import Controller
from lvsguard.controller.settings import Settings
from lvsguard.controller.since import Since
from lvsguard.controller.sync import wanted_sync
from lvsguard.core.config import (
    Check,
    CheckKind,
    CheckSpec,
    Config,
    HttpSpec,
    IpvsSettings,
    RealserverConfig,
    ServiceConfig,
    VipConfig,
)
from lvsguard.core.event import Event
from lvsguard.core.health import FailureClass, Health, Result, Verdict
from lvsguard.core.model import Protocol, RealserverKey, ServiceKey, VipAddress
from lvsguard.kernel.port import Ipvs
from lvsguard.kernel.sysctl import Sysctl
from lvsguard.vrrp.ownership import AddressOwner
from tests.support.fake_kernel import FakeAddresses, FakeIpvs

VIP = VipAddress("eth0", ip_address("10.0.0.8"), 24)
WEB = ServiceKey.at(Protocol.TCP, VIP.address, 80)
RS1 = RealserverKey(ip_address("10.0.0.42"), 80)
RS2 = RealserverKey(ip_address("10.0.0.43"), 80)
RS3 = RealserverKey(ip_address("10.0.0.44"), 80)

HTTP = CheckSpec(CheckKind.HTTP, http=HttpSpec(path="/health"))

REFUSED = Result(False, "L4CON", "connection refused", 0.001, FailureClass.REFUSED)
WRONG = Result(False, "L7STS", "503, expected 200", 0.001, FailureClass.WRONG)
SILENCE = Result(False, "L4TOUT", "no connection within 1 s", 1.0, FailureClass.TIMEOUT)
OK = Result(True, "L7OK", "200", 0.001)


def realserver(key: RealserverKey, weight: int = 1, spec: CheckSpec = HTTP) -> RealserverConfig:
    """A realserver with one check on its own address."""
    return RealserverConfig(
        str(key.address), key, weight, checks=(Check(key.address, key.port, spec),)
    )


def service(
    *realservers: RealserverConfig, name: str = "web", key: ServiceKey = WEB
) -> ServiceConfig:
    """A service with the seed's scheduler."""
    return ServiceConfig(name, key, realservers or (realserver(RS1), realserver(RS2)), "rr")


def config(*services: ServiceConfig, digest: str = "0123456789ab") -> Config:
    """The seed network, or other services on its VIP."""
    vips = (VipConfig("web", (VIP,)),)
    return Config("director1", "eth0", vips, services or (service(),), digest)


@dataclass
class Rig:
    """The parts of one director, held together for a test."""

    config: Config
    sysctl_root: Path
    ipvs: FakeIpvs = field(default_factory=FakeIpvs)
    addresses: FakeAddresses = field(default_factory=FakeAddresses)
    events: list[Event] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    recorded: tuple[ServiceKey, ...] = ()
    recorded_addresses: tuple[VipAddress, ...] = ()
    since: Since | None = None

    def __post_init__(self) -> None:
        self.looks = 0
        self.owner = AddressOwner(self.addresses, emit=self.events.append, changed=self._look)
        self.controller = Controller(
            self.config,
            open_ipvs=self._open,
            owner=self.owner,
            settings=Settings(
                IpvsSettings(), Sysctl(self.sysctl_root), sync=wanted_sync(self.config)
            ),
            emit=self.events.append,
            latency=self.latencies.extend,
            recorded=self.recorded,
            recorded_addresses=self.recorded_addresses,
            since=self.since,
        )

    async def _open(self) -> Ipvs:
        return self.ipvs

    def _look(self) -> None:
        self.looks += 1
        self.controller.look()

    def verdict(self, key: RealserverKey, verdict: Verdict, result: Result) -> None:
        """A prober's word on a realserver of the config."""
        for one in self.controller.book.config.services:
            for r in one.realservers:
                if r.key == key:
                    for check in r.checks:
                        health = Health(verdict, time.monotonic(), result=result)
                        self.controller.record(check, health)

    def up(self, *keys: RealserverKey) -> None:
        """Realservers whose checks pass."""
        for key in keys:
            self.verdict(key, Verdict.UP, OK)

    async def turn(self) -> None:
        """One pass."""
        await self.controller.turn()

    async def resync(self) -> None:
        """One pass that reads the kernel."""
        self.controller.look()
        await self.controller.turn()

    async def settled(self, *keys: RealserverKey) -> None:
        """Start, let these realservers pass, and forget what was said until then."""
        await self.turn()
        self.up(*(keys or (RS1, RS2)))
        await self.turn()
        self.events.clear()

    def weights(self, key: ServiceKey = WEB) -> dict[str, int]:
        """Weights in the kernel by realserver address."""
        entries = self.ipvs.table[key].realservers
        return {str(k.address): r.weight for k, r in entries.items()}

    def told(self, kind: type[Event]) -> list[Event]:
        """Events of one kind so far."""
        return [e for e in self.events if isinstance(e, kind)]
