"""The frozen configuration: what the operator asked for, checked and complete.

``lvsguard.config`` makes it from TOML; everybody else only reads it. Durations are seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from sys import intern

from lvsguard.core.agent import Agent
from lvsguard.core.begun import Lasting
from lvsguard.core.cluster import EtcdAccess
from lvsguard.core.config_keys import Keys
from lvsguard.core.health import Timing
from lvsguard.core.hook import HookConfig
from lvsguard.core.model import (
    Forwarding,
    IPAddress,
    Persistence,
    RealserverKey,
    ServiceKey,
    Tunnel,
    VipAddress,
    endpoint,
)
from lvsguard.core.peer import PeerConfig
from lvsguard.core.remote import RemoteConfig
from lvsguard.core.vrrp import ConnectionSync, VrrpConfig


class CheckKind(StrEnum):
    """Kinds of check. ``none``: always up."""

    HTTP = "http"
    HTTPS = "https"
    TCP = "tcp"
    NONE = "none"


class Via(StrEnum):
    """On which of its addresses a realserver is asked."""

    RIP = "rip"
    """Its own."""
    VIP = "vip"
    """The service's, as the forwarding method sends."""


class OnFailure(StrEnum):
    """What happens to a realserver's entry when its verdict is down."""

    AUTO = "auto"
    """Refused or host dead: remove. Slow or wrong answer: weight 0."""
    QUIESCE = "quiesce"
    REMOVE = "remove"


class OnStop(StrEnum):
    """What the daemon leaves behind when it stops. The IPVS table stays, unless removed."""

    AUTO = "auto"
    """A lone director keeps its VIPs. One with an election hands them over, and lets go of them
    after one master-down interval when nobody takes them."""
    KEEP = "keep"
    """As ``auto``, but a VIP that nobody takes stays."""
    REMOVE = "remove"


class OnConflict(StrEnum):
    """What happens to a realserver that claims a VIP."""

    TELL = "tell"
    DRAIN = "drain"
    """It gets no new connections until it is silent, unless a service cannot do without it."""


@dataclass(frozen=True, slots=True)
class HttpSpec:
    """What an http or https check sends and expects."""

    method: str = "GET"
    path: str = "/"
    host: str | None = None
    """Host header; default: the realserver's address."""
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    expect_status: frozenset[int] = frozenset({200})
    expect_body: str | None = None
    """A substring that must be in the answer's body."""
    expect_regex: str | None = None
    """A regular expression that must match somewhere in the answer's body."""
    max_body: int = 65536
    """Bytes read at most; a longer answer is judged by what was read."""


@dataclass(frozen=True, slots=True)
class TlsSpec:
    """How an https check verifies."""

    verify: bool = True
    server_name: str | None = None
    """SNI and the name the certificate must carry; default: the Host header's name."""
    ca_file: str | None = None
    """PEM file; default: the system's."""


@dataclass(frozen=True, slots=True)
class TcpSpec:
    """What a tcp check sends after connecting and expects back; both may be empty."""

    send: bytes = b""
    expect: bytes = b""
    """A substring of what comes back."""


class CanaryKind(StrEnum):
    """What a canary says before it falls silent."""

    TCP = "tcp"
    """Nothing."""
    TLS = "tls"
    """A handshake, with the check's certificate settings."""
    HTTP = "http"
    """A HEAD request of the check's path, after which the connection is kept alive."""


@dataclass(frozen=True, slots=True)
class CanarySpec:
    """An idle connection to the realserver, whose end is a hint."""

    port: int | None = None
    """Default: the check's."""
    kind: CanaryKind | None = None
    """None: as the canary finds best, see ``probes.greeting.Manner``."""


@dataclass(frozen=True, slots=True)
class VipPath:
    """A check goes to the VIP of the realserver, as the forwarding method sends."""

    address: IPAddress
    """The VIP."""
    port: int
    tunnel: Tunnel | None = None
    """None: dr."""

    def __str__(self) -> str:
        return endpoint(self.address, self.port)


@dataclass(frozen=True, slots=True)
class ArpSpec:
    """The realserver's host is asked for its MAC address all the time: by ARP, or over IPv6 by
    neighbour discovery. Its silence is a hint, and with a probe's failure its death."""

    interval: float = 0.2
    """Seconds between two questions."""
    tries: int = 3
    """Intervals without an answer that make it dead."""
    interface: str = ""
    """The link that it is on; empty: on none of this director, and it is not asked."""
    source: IPAddress | None = None
    """The director's own address in its network; None exactly when ``interface`` is empty."""


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """A configured check, before it has a target."""

    kind: CheckKind
    timing: Timing = Timing()
    port: int | None = None
    """Default: the realserver's port."""
    source: IPAddress | None = None
    """Own address to bind to; where this host lacks it the probe fails."""
    own: IPAddress | None = None
    """Own address of the director in the realserver's network, preferred as source while this
    host has it. Without effect beside ``source``."""
    http: HttpSpec | None = None
    tls: TlsSpec | None = None
    tcp: TcpSpec | None = None
    canary: CanarySpec | None = None
    path: VipPath | None = None
    """None: to the realserver's own address."""
    arp: ArpSpec | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """A check with its target. Equal checks are one: services that share a realserver share it."""

    address: IPAddress
    port: int
    spec: CheckSpec
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # A key of every verdict and tally: hashing the whole specification each time took a
        # third of the controller's time at a thousand probes a second.
        object.__setattr__(self, "_hash", hash((self.address, self.port, self.spec)))

    def __hash__(self) -> int:
        return self._hash

    @property
    def named(self) -> tuple[IPAddress, int]:
        """Whom a client would ask: the VIP where the check goes there, else the realserver."""
        path = self.spec.path
        return (self.address, self.port) if path is None else (path.address, path.port)

    @property
    def lasting(self) -> Lasting:
        """What makes it the same one to a later run: whom it asks for what, and not how often, how
        patiently, or what it takes for a good answer."""
        http = self.spec.http
        asked = "" if http is None else f"{http.method} {http.host or ''}{http.path}"
        # Thousands are kept, and most ask the same.
        return str(self.address), self.port, intern(self.how), intern(asked)

    @property
    def how(self) -> str:
        """Its kind, and on which address it asks if that is not the realserver's own."""
        path = self.spec.path
        return str(self.spec.kind) if path is None else f"{self.spec.kind} via {path}"

    def __str__(self) -> str:
        return f"{self.how} {endpoint(self.address, self.port)}"


@dataclass(frozen=True, slots=True)
class RealserverConfig:
    """A configured realserver of one service."""

    name: str
    """Unique in its service; default: its address."""
    key: RealserverKey
    weight: int = 1
    forwarding: Forwarding = Forwarding.DR
    tunnel: Tunnel | None = None
    upper_threshold: int = 0
    lower_threshold: int = 0
    checks: tuple[Check, ...] = ()
    """All must pass. Empty: always up."""
    agent: Agent | None = None
    """What it says of itself may lower its weight; None: it is not asked."""


@dataclass(frozen=True, slots=True)
class SorryServer:
    """Who takes the connections of a service that has lost its quorum. Not checked."""

    key: RealserverKey
    forwarding: Forwarding = Forwarding.DR
    tunnel: Tunnel | None = None

    def __str__(self) -> str:
        return str(self.key)


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """A configured virtual service."""

    name: str
    key: ServiceKey
    realservers: tuple[RealserverConfig, ...]
    scheduler: str = "wlc"
    flags: frozenset[str] = frozenset()
    persistence: Persistence | None = None
    one_packet: bool = False
    forwarding: Forwarding = Forwarding.DR
    on_failure: OnFailure = OnFailure.AUTO
    quorum: int = 1
    """Live weight that makes the service fit to serve."""
    quorum_hysteresis: int = 0
    """Less than ``quorum``: the quorum is lost below ``quorum`` less this, back at ``quorum`` and
    this."""
    sorry_server: SorryServer | None = None
    """In the table exactly while the quorum is lost."""
    panic_below: float = 0.0
    """Share of the configured weight, 0 to 1; when less than that is live, realservers that are
    down go back in. 0: never."""
    passive: bool = True
    """Whether its counters are watched for realservers whose clients fare badly."""
    slow_start: float = 0.0
    """Seconds in which the weight of a realserver that came up rises from 1; 0: at once."""
    per_director: bool = False
    """Whether the file gives directors other values of what decides who is in."""


@dataclass(frozen=True, slots=True)
class VipConfig:
    """Addresses that move together."""

    name: str
    addresses: tuple[VipAddress, ...]
    vrrp: VrrpConfig | None = None
    """None: this director always owns the addresses."""
    on_conflict: OnConflict = OnConflict.TELL


@dataclass(frozen=True, slots=True)
class IpvsSettings:
    """Kernel settings under net/ipv4/vs, by their kernel names, and the three IPVS timeouts."""

    sysctls: Mapping[str, str] = field(default_factory=dict)
    tcp_timeout: int | None = None
    """Seconds; None leaves the kernel's."""
    tcp_fin_timeout: int | None = None
    udp_timeout: int | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """Everything. ``digest`` identifies the file's meaning (hex, 12 characters), ``served`` that of
    its tables that say what is served and how (``config_keys.SHARED``)."""

    director: str
    interface: str
    vips: tuple[VipConfig, ...]
    services: tuple[ServiceConfig, ...]
    digest: str
    resync: float = 1.0
    """Seconds between two reads of the kernel when nothing happens."""
    removal_grace: float = 60.0
    """Seconds that a realserver dropped by a reload may finish its connections at weight 0."""
    probers: int = 1
    """Prober processes."""
    on_stop: OnStop = OnStop.AUTO
    ipvs: IpvsSettings = IpvsSettings()
    telemetry_listen: tuple[str, int] | None = ("127.0.0.1", 9852)
    status_page: bool = True
    """Whether the status page is served there, too."""
    admin_socket: Path | None = None
    admin_group: str = "lvsguard"
    state_directory: Path | None = None
    sync: ConnectionSync | None = None
    vrrp_grace: float = 30.0
    """Seconds that the VRRP process goes on without a controller before it hands over."""
    peer: PeerConfig | None = None
    """None: directors meet in VRRP alone."""
    etcd: EtcdAccess | None = None
    """Where directors meet in the place of ``peer``; None: not in etcd."""
    keys: Keys = field(default_factory=dict, repr=False)
    """Digests of the file's keys, where there are other directors to compare with."""
    remote: RemoteConfig | None = None
    """None: the admin API is on its socket alone."""
    hooks: tuple[HookConfig, ...] = ()
    served: str = ""
    legs: frozenset[str] = frozenset()
    """Interfaces of this director in whose networks realservers are, as far as its addresses were
    known when the file was read."""

    @property
    def interfaces(self) -> frozenset[str]:
        """Interfaces whose links this director relies on: those of its VIPs, and its legs."""
        return frozenset(a.interface for a in self.addresses) | {self.interface} | self.legs

    @property
    def addresses(self) -> frozenset[VipAddress]:
        """Every VIP address that this director may own."""
        return frozenset(a for vip in self.vips for a in vip.addresses)

    @property
    def lone_addresses(self) -> frozenset[VipAddress]:
        """Those of VIPs without an election: this director always owns them."""
        return frozenset(a for vip in self.vips if vip.vrrp is None for a in vip.addresses)
