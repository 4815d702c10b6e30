"""The tables of the TOML file as pydantic models: keys, defaults, bounds and their descriptions.

The descriptions are the reference page, the JSON Schema and the man page. A model judges single
values only; what one key means for another is in ``rules``, so that one mistake hides no other.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Discriminator, Field, Tag

from lvsguard.config.address import (
    ADDRESS,
    CLIENT_PREFIX,
    ENDPOINT,
    FILE,
    GROUP,
    INTERFACE,
    LISTEN,
    PREFIXED,
    SOCKET,
    Endpoint,
    Prefixed,
    label,
)
from lvsguard.config.agent_schema import AgentKey
from lvsguard.config.check_schema import PORT_MAX, Checks
from lvsguard.config.cluster_schema import ClusterTable
from lvsguard.config.forwarding_schema import FORWARDINGS, SorryServerTable, TunnelTable
from lvsguard.config.hook_schema import HookTable
from lvsguard.config.ipvs_schema import TIMEOUT_MAX, IpvsTable
from lvsguard.config.leaf import FLAG, choice, seconds, share, whole
from lvsguard.config.peer_schema import PeerTable
from lvsguard.config.remote_schema import RemoteTable
from lvsguard.config.table import ONE, TABLE, PerDirector, Table, table_or_one
from lvsguard.config.vrrp_schema import SyncTable, VrrpTable
from lvsguard.core.config import OnConflict, OnFailure, OnStop
from lvsguard.core.model import (
    WEIGHT_MAX,
    Forwarding,
    IPAddress,
    Protocol,
)

SCHEDULERS: Final = (
    "rr",
    "wrr",
    "lc",
    "wlc",
    "fo",
    "ovf",
    "lblc",
    "lblcr",
    "dh",
    "sh",
    "sed",
    "nq",
    "twos",
    "mh",
)
"""Every scheduler of the kernel (net/netfilter/ipvs/ip_vs_*.c)."""
SCHEDULER_FLAGS: Final = {
    "sh": frozenset({"sh-fallback", "sh-port"}),
    "mh": frozenset({"mh-fallback", "mh-port"}),
}
_FLAG_NAMES: Final = sorted(flag for flags in SCHEDULER_FLAGS.values() for flag in flags)


class DirectorTable(Table):
    """This director, and how it works."""

    name: Annotated[str | None, label("a director's name")] = Field(
        None,
        description="Name of this director in status, metrics and per-director tables."
        " Leave it out in a file that several directors share. Default: the host name.",
    )
    interface: PerDirector[Annotated[str, INTERFACE]] = Field(
        description="Interface that carries the VIPs.", examples=["eth0"]
    )
    resync: PerDirector[Annotated[float, seconds(0.1, 3600)]] = Field(
        1.0,
        description="Time from one read of the kernel to the next when nothing happens. Drift in"
        " the IPVS table is found this often. Two things put a read off: a table so large that"
        " reads would take more than a third of a core, and, by 4 s at most, the first verdicts of"
        " 50 services or more that come in at once.",
    )
    removal_grace: PerDirector[Annotated[float, seconds(0, 86400)]] = Field(
        60.0,
        description="How long a realserver that a reload dropped may finish its connections, at"
        " weight 0, before it is taken out.",
    )
    probers: PerDirector[Annotated[int, whole(1, 64)]] = Field(
        1,
        description="Prober processes. One runs some thousand checks a second on one core.",
    )
    on_stop: Annotated[OnStop, choice("a way to stop", OnStop)] = Field(
        OnStop.AUTO,
        description="What a stop leaves in the kernel. auto: the IPVS table, and VIPs without an"
        " election; those with one are handed over, and let go of if nobody takes them. keep: the"
        " same, but VIPs that nobody takes stay. remove: all that this file names is taken out.",
    )
    vrrp_grace: PerDirector[Annotated[float, seconds(0, 3600)]] = Field(
        30.0,
        description="How long VIPs with an election stay when the controller is gone, before they"
        " are handed over.",
    )


class VipTable(Table):
    """Addresses that move together."""

    name: Annotated[str, label("a VIP's name")] = Field(
        description="Name in status, metrics and commands.", examples=["web"]
    )
    addresses: list[Annotated[Prefixed, PREFIXED]] = Field(
        description="The addresses, each with the prefix length that it gets on the interface.",
        examples=[["10.0.0.8/24"]],
    )
    interface: PerDirector[Annotated[str, INTERFACE]] | None = Field(
        None, description="Interface that carries these addresses. Default: the director's."
    )
    routed: Annotated[bool, FLAG] = Field(
        False,
        description="The addresses are routed to this director and lie in none of the interface's"
        " networks. Without it such an address is refused as a mistake.",
    )
    on_conflict: Annotated[OnConflict, choice("an answer to a conflict", OnConflict)] = Field(
        OnConflict.TELL,
        description="What happens to a realserver that answers ARP for these addresses. tell: an"
        " event, status, a metric. drain: it gets no new connections until it is silent, unless a"
        " service cannot do without it: nobody would be left, the quorum lost, or panic.",
    )
    vrrp: VrrpTable | None = Field(None, description="Its election among several directors.")


class PersistenceTable(Table):
    """Connections of one client network stay on one realserver."""

    timeout: Annotated[int, seconds(1, TIMEOUT_MAX, integral=True)] = Field(
        300, description="How long after the last connection the client is remembered."
    )
    prefix: Annotated[int | None, CLIENT_PREFIX] = Field(
        None,
        description="Size of the network that counts as one client. Default: a single address.",
    )
    engine: Annotated[str | None, choice("a persistence engine", ["sip"])] = Field(
        None, description="Persistence engine. sip goes by the Call-ID and is for UDP."
    )


class RealserverTable(Table):
    """A realserver of the service above it."""

    address: Annotated[IPAddress, ADDRESS] = Field(
        description="Its address.", examples=["10.0.0.42"]
    )
    name: Annotated[str | None, label("a realserver's name")] = Field(
        None,
        description="Name in status, metrics and commands, one in its service. The same name may"
        " stand in several services. Default: the address.",
    )
    port: Annotated[int | None, whole(1, PORT_MAX, "a port")] = Field(
        None,
        description="Its port. Default: the service's. Only forwarding nat can have another one.",
    )
    weight: PerDirector[Annotated[int, whole(0, WEIGHT_MAX)]] = Field(
        1, description="Its share of new connections; 0 gets none and keeps those it has."
    )
    forwarding: Annotated[Forwarding | None, choice("a forwarding method", FORWARDINGS)] = Field(
        None, description="Default: the service's."
    )
    tunnel: TunnelTable | None = Field(
        None, description="How forwarding tun encapsulates. Default: the service's."
    )
    upper_threshold: PerDirector[Annotated[int, whole(0, 2**32 - 1)]] = Field(
        0, description="Connections from which on it gets no new ones; 0 is no limit."
    )
    lower_threshold: PerDirector[Annotated[int, whole(0, 2**32 - 1)]] = Field(
        0,
        description="Connections below which it gets new ones again, less than upper_threshold."
        " 0: three quarters of that.",
    )
    check: Checks | None = Field(
        None, description="Its check or list of checks, in place of the service's."
    )
    agent: AgentKey = Field(
        None, description="Its agent, in place of the service's; false: it has none."
    )


class ServiceTable(Table):
    """A virtual service: where clients connect and which realservers answer."""

    name: Annotated[str, label("a service's name")] = Field(
        description="Name in status, metrics and commands.", examples=["web"]
    )
    address: Annotated[Endpoint | None, ENDPOINT] = Field(
        None,
        description="VIP and port. Port 0 (or none) takes all ports and needs persistence."
        " Either address or fwmark is needed.",
        examples=["10.0.0.8:80"],
    )
    fwmark: Annotated[int | None, whole(1, 2**32 - 1, "a firewall mark")] = Field(
        None, description="Firewall mark of the packets to take, instead of an address."
    )
    family: Annotated[
        Literal["inet", "inet6"] | None, choice("an address family", ["inet", "inet6"])
    ] = Field(None, description="Address family of a fwmark service. Default: inet.")
    protocol: Annotated[Protocol | None, choice("a protocol", Protocol)] = Field(
        None, description="Transport protocol of an address. Default: tcp."
    )
    scheduler: Annotated[str, choice("a scheduler", SCHEDULERS)] = Field(
        "wlc", description="How the kernel picks a realserver, as in ipvsadm(8)."
    )
    scheduler_flags: list[Annotated[str, choice("a scheduler flag", _FLAG_NAMES)]] = Field(
        [],
        description="Flags of the schedulers sh and mh, as in ipvsadm(8). Their fallback flag is"
        " always set: without it they drop the packets of a realserver that drains.",
    )
    forwarding: Annotated[Forwarding, choice("a forwarding method", FORWARDINGS)] = Field(
        Forwarding.DR,
        description="dr: the frame goes to the realserver's MAC address, the packet unchanged."
        " nat: the director rewrites both ways. tun: the packet is encapsulated.",
    )
    tunnel: TunnelTable | None = Field(None, description="How forwarding tun encapsulates.")
    persistence: (
        Annotated[
            Annotated[int, seconds(1, TIMEOUT_MAX, integral=True), Tag(ONE)]
            | Annotated[PersistenceTable, Tag(TABLE)],
            Discriminator(table_or_one),
        ]
        | None
    ) = Field(
        None,
        description="Connections of one client stay on one realserver: a duration, or a table"
        " with more. Default: they do not.",
    )
    one_packet: Annotated[bool, FLAG] = Field(
        False, description="UDP: schedule every packet by itself (one-packet scheduling)."
    )
    on_failure: Annotated[OnFailure, choice("a way to fail", OnFailure)] = Field(
        OnFailure.AUTO,
        description="What happens to a realserver that is down. quiesce: weight 0, established"
        " connections stay. remove: it is taken out and they are cut. auto: remove it when it"
        " refuses connections or its host is dead, else quiesce it.",
    )
    quorum: PerDirector[Annotated[int, whole(1, 2**31 - 1)]] = Field(
        1, description="Live weight that makes the service fit to serve."
    )
    quorum_hysteresis: PerDirector[Annotated[int, whole(0, 2**31 - 1)]] = Field(
        0,
        description="The quorum is lost when the live weight is below quorum less this, and back"
        " when it is at quorum and this. Less than quorum.",
    )
    sorry_server: (
        Annotated[
            Annotated[Annotated[Endpoint, ENDPOINT], Tag(ONE)]
            | Annotated[SorryServerTable, Tag(TABLE)],
            Discriminator(table_or_one),
        ]
        | None
    ) = Field(
        None,
        description="Who takes new connections while the quorum is lost: an address, or a table"
        " with more. It is in the table only then, and is not checked. Meanwhile live realservers"
        " have weight 0 and keep their connections. Default: nobody, what is live goes on.",
    )
    panic_below: PerDirector[Annotated[float, share()]] = Field(
        0.0,
        description="Share of the configured weight. When less than that is live, realservers"
        " that are down go back in, for then the checks are more likely to be wrong, until"
        " enough has been live for 3 s. Drained and disabled ones stay out. 0: never.",
    )
    slow_start: PerDirector[Annotated[float, seconds(0, 3600)]] = Field(
        0.0,
        description="How long the weight of a realserver takes to rise from 1 to its own, in equal"
        " steps, after it was down, drained or disabled. Not after a start or a reload. 0s: it has"
        " its weight at once.",
    )
    passive: Annotated[bool | None, FLAG] = Field(
        None,
        description="Watch the kernel's counters for realservers whose clients fare badly, and"
        " probe those at once. Default: true for TCP, else it cannot be.",
    )
    check: Checks | None = Field(
        None,
        description="The check of its realservers, or a list of checks that all must pass."
        " Default: none, they count as up.",
    )
    agent: AgentKey = Field(
        None,
        description="Ask an agent on each realserver for its opinion of itself. It can lower a"
        " weight, drain a realserver or call it down, and never make one up whose checks fail."
        " Default: nobody is asked.",
    )
    realserver: list[RealserverTable] = Field([], description="Its realservers, at least one.")


class TelemetryTable(Table):
    """Metrics and health over HTTP."""

    listen: PerDirector[Annotated[tuple[str, int] | None, LISTEN]] = Field(
        ("127.0.0.1", 9852),
        description="Where to serve /metrics, /healthz and /readyz; false turns it off.",
    )
    status_page: Annotated[bool, FLAG] = Field(
        True, description="Whether the status page is served there, too, at /. It is read-only."
    )


class AdminTable(Table):
    """The socket that the lvsguard commands speak to."""

    socket: Annotated[str, SOCKET] = Field(
        "/run/lvsguard/lvsguard.sock", description="Path of the socket."
    )
    group: Annotated[str, GROUP] = Field(
        "lvsguard", description="Group that may use it (mode 0660)."
    )
    remote: RemoteTable | None = None


class StateTable(Table):
    """What survives a restart: overrides, since when verdicts hold, history."""

    directory: Annotated[str, FILE] = Field(
        "/var/lib/lvsguard",
        description="Directory that the daemon may write to. The history in it goes back 30 days, "
        "at most 100,000 events, and so many that 256 MiB of its file are in use: the oldest go "
        "first, once an hour and after each 5,000 events. While it cannot be written the last "
        "10,000 events are held in memory, and what gives way is counted.",
    )


class Document(Table):
    """The whole file."""

    director: DirectorTable
    vip: list[VipTable] = Field([], description="Addresses that move together.")
    service: list[ServiceTable] = Field([], description="Virtual services, at least one.")
    sync: SyncTable | None = None
    peer: PeerTable | None = None
    cluster: ClusterTable | None = None
    ipvs: IpvsTable = IpvsTable()
    telemetry: TelemetryTable = TelemetryTable()
    admin: AdminTable = AdminTable()
    hook: list[HookTable] = Field([], description="Commands and webhooks that are told of events.")
    state: StateTable = StateTable()
