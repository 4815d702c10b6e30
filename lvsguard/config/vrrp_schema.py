"""The vrrp tables of a VIP and the sync table: the election, and the connections it keeps."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Final

from pydantic import Field

from lvsguard.config.address import FILE, INTERFACE, label, one_address
from lvsguard.config.check_schema import PORT_MAX
from lvsguard.config.leaf import FLAG, Leaf, choice, seconds, show, whole
from lvsguard.config.secret import KEYS, PASSWORD, Key
from lvsguard.config.table import PerDirector, Table
from lvsguard.core.model import IPAddress
from lvsguard.core.vrrp import Checksum, HmacMode, Version

INTERVAL_MAX: Final = 255.0
PRIORITY_OWNER: Final = 255
WORDS_MAX: Final = 64


def _version(value: object) -> Version:
    if isinstance(value, bool) or not isinstance(value, int) or value not in set(Version):
        raise ValueError(f"{show(value)} is not a version of VRRP; 2 or 3")
    return Version(value)


VERSION: Final = Leaf(_version, "2 or 3", {"enum": [2, 3]})


def _addresses(value: object) -> tuple[IPAddress, ...]:
    values = value if isinstance(value, list) else [value]
    if len(values) > 255:
        raise ValueError(f"{len(values)} addresses are too many; at most 255")
    found: list[IPAddress] = []
    wrong = []
    for one in values:
        try:
            found.append(one_address(one))
        except ValueError as error:
            wrong.append(str(error))
    if wrong:
        raise ValueError("; ".join(wrong[:5]))
    return tuple(found)


ADDRESSES: Final = Leaf(
    _addresses,
    "an IPv4 or IPv6 address or a list of them",
    {
        "anyOf": [
            {"type": "string"},
            {"type": "array", "maxItems": 255, "items": {"type": "string"}},
        ]
    },
)


def _group(value: object) -> IPAddress:
    how = 'write a multicast address such as "224.0.0.81"'
    if not isinstance(value, str):
        raise ValueError(f"{show(value)} is not a multicast address; {how}")
    try:
        address = ip_address(value)
    except ValueError:
        raise ValueError(f"{show(value)} is not a multicast address; {how}") from None
    if not address.is_multicast or "%" in value:
        raise ValueError(f"{show(value)} is not a multicast address; {how}")
    return address


MULTICAST: Final = Leaf(_group, "an IPv4 or IPv6 multicast address", {"type": "string"})


def _command(value: object) -> tuple[str, ...]:
    how = 'write its words as a list, such as ["/usr/local/bin/healthy", "web"]'
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise ValueError(f"{show(value)} is not a command; there is no shell: {how}")
    if not 1 <= len(value) <= WORDS_MAX:
        raise ValueError(f"{len(value)} words are not a command; 1 to {WORDS_MAX}: {how}")
    for word in value:
        if len(word) > 4095 or "\0" in word:
            raise ValueError(f"{show(word)} cannot be a word of a command; {how}")
    if not value[0].startswith("/"):
        raise ValueError(f"{show(value[0])} is not an absolute path; {how}")
    return tuple(value)


COMMAND: Final = Leaf(
    _command,
    "a list of words; the first is an absolute path",
    {
        "type": "array",
        "minItems": 1,
        "maxItems": WORDS_MAX,
        "items": {"type": "string", "maxLength": 4095},
        "prefixItems": [{"pattern": "^/"}],
    },
)


class TrackTable(Table):
    """Something that the priority depends on: one of service, interface, file, command, peer."""

    service: Annotated[str | None, label("a service's name")] = Field(
        None, description="A service of this name must have its quorum."
    )
    interface: PerDirector[Annotated[str, INTERFACE]] | None = Field(
        None, description="This interface must be up."
    )
    file: Annotated[str | None, FILE] = Field(
        None, description="This file must not exist: a switch for scripts and people."
    )
    command: Annotated[tuple[str, ...] | None, COMMAND] = Field(
        None,
        description="This command must end with 0 within timeout. It is run without a shell.",
        examples=[["/usr/local/bin/healthy", "web"]],
    )
    peer: Annotated[bool | None, FLAG] = Field(
        None,
        description="true: no other director that is heard over the peer channel may see more"
        " healthy realservers of the services on this VIP. Needs drop.",
    )
    drop: PerDirector[Annotated[int, whole(1, 254)]] | None = Field(
        None,
        description="How much the priority drops while it is not well. Default: the director"
        " stands back, as a backup that takes over from nobody and a master that hands over.",
    )
    interval: Annotated[float, seconds(0.1, 3600)] = Field(
        1.0, description="Time between two looks."
    )
    timeout: Annotated[float | None, seconds(0.01, 600)] = Field(
        None,
        description="command: time that it may take, at most interval. Default: 1s, or interval"
        " if that is shorter.",
    )
    rise: Annotated[int, whole(1, 1000)] = Field(
        2, description="Looks in a row that make it well again."
    )
    fall: Annotated[int | None, whole(1, 1000)] = Field(
        None,
        description="Looks in a row that make it not well. Default: 2; of peer 5, for two directors"
        " do not find a realserver's death at the same moment.",
    )


class AnnounceTable(Table):
    """How often neighbours are told where the addresses are (gratuitous ARP, unsolicited NA)."""

    repeat: Annotated[int, whole(1, 100)] = Field(
        5, description="Times at once on becoming master, and as often again after delay."
    )
    delay: Annotated[float, seconds(0, 255)] = Field(5.0, description="Time to the second round.")
    refresh: Annotated[float, seconds(0, 86400)] = Field(
        60.0, description="Time between slow repetitions while master, at least 1s; 0: none."
    )


class AuthTable(Table):
    """The authentication trailer of keepalived 2.4 (auth_hmac)."""

    keys: Annotated[tuple[Key, ...], KEYS] = Field(
        repr=False,
        description="Keys by their ids. Each is 64 to 128 hex digits, or file:/path of a file with"
        " them that others cannot read. Any of the keys is believed.",
        examples=[{"1": "file:/etc/lvsguard/vrrp.key"}],
    )
    send_key: Annotated[int | None, whole(1, 255, "a key id")] = Field(
        None,
        description="Id of the key to sign with (active_key). Needed if there are several keys.",
    )
    mode: Annotated[HmacMode, choice("a mode", HmacMode)] = Field(
        HmacMode.ENFORCE,
        description="receive-only: signs nothing, and verifies what is signed. permissive: signs,"
        " and believes what is not signed. enforce: signs, and drops what is not signed.",
    )
    window: Annotated[int | None, seconds(1, 300, integral=True)] = Field(
        None,
        description="How much the directors' clocks may differ (anti_replay time). Default:"
        " clocks are not compared, only the order of adverts is (anti_replay monotonic).",
    )


class VrrpTable(Table):
    """The election of the VIP above it. Without this table this director always owns it."""

    vrid: Annotated[int, whole(1, 255, "a virtual router id")] = Field(
        description="Virtual router id: the same on every director of this VIP, and of no other"
        " VIP on the interface.",
        examples=[51],
    )
    priority: PerDirector[Annotated[int, whole(1, PRIORITY_OWNER)]] = Field(
        100,
        description="The highest becomes master. 255 owns the addresses: it is master as soon as"
        " it starts, on one director at most.",
        examples=[{"director1": 150, "director2": 100}],
    )
    interval: Annotated[float, seconds(0.01, INTERVAL_MAX)] = Field(
        1.0,
        description="Time between two adverts. Version 3: 10ms to 40.95s in steps of 10ms."
        " Version 2: 1s to 255s in whole seconds.",
    )
    version: Annotated[Version, VERSION] = Field(
        Version.V3, description="Version of VRRP: the same on every director. 2 is IPv4 only."
    )
    checksum: Annotated[Checksum, choice("a checksum", Checksum)] = Field(
        Checksum.RFC5798,
        description="What the checksum of version 3 over IPv4 covers when sending; both are"
        " understood. rfc5798: as keepalived. rfc9568: the message alone"
        " (v3_checksum_as_v2).",
    )
    password: Annotated[bytes | None, PASSWORD] = Field(
        None,
        repr=False,
        description="Version 2: simple password. It crosses the network in the clear and keeps"
        " out mistakes, not attackers.",
    )
    peers: PerDirector[Annotated[tuple[IPAddress, ...], ADDRESSES]] | None = Field(
        None,
        description="Unicast to these other directors, instead of multicast. As a table: each"
        " director's own address, of which the others are the peers and the own is the default of"
        " source. A VIP of both families needs an address of each.",
        examples=[{"director1": "10.0.0.41", "director2": "10.0.0.40"}],
    )
    source: PerDirector[Annotated[tuple[IPAddress, ...], ADDRESSES]] | None = Field(
        None,
        description="Address of this director to send adverts from, one of each family at most."
        " Between equal priorities the higher one wins. Default: the interface's first address"
        " that is not a VIP; with IPv6 multicast its link-local one.",
    )
    unicast_ttl: Annotated[int | None, whole(1, 255, "a TTL")] = Field(
        None,
        description="Least TTL or hop limit that an advert of a peer may arrive with; 255: from"
        " the same link only, so that nobody beyond a router can forge one. Each router between"
        " takes one off. Default: 255 over IPv4, any over IPv6, where keepalived's leave with 64.",
    )
    strict: Annotated[bool, FLAG] = Field(
        False,
        description="Also drop adverts that RFC 9568 forbids and running peers send: IPv6 ones"
        " whose first address is not link-local.",
    )
    preempt: Annotated[bool, FLAG] = Field(
        True, description="Whether to take over from a master of lower priority."
    )
    preempt_delay: PerDirector[Annotated[float, seconds(0, 1000)]] = Field(
        0.0, description="How long a master of lower priority is left alone."
    )
    start_delay: PerDirector[Annotated[float, seconds(0, 3600)]] = Field(
        0.0, description="Time from the start to taking part."
    )
    heartbeat: PerDirector[list[Annotated[str, INTERFACE]]] = Field(
        [],
        description="More interfaces that adverts go over, so that one cut cable is no split"
        " brain; by multicast, also where there are peers.",
        examples=[["eth1"]],
    )
    virtual_mac: Annotated[bool, FLAG] = Field(
        False,
        description="Whether the addresses move with a MAC address of their own"
        " (00:00:5e:00:01:VRID), on an interface vrrp.VRID that is made for them. Adverts leave"
        " with the interface's own MAC address, so that two masters hear each other; switches learn"
        " the other one from announcements (refresh, which must not be 0 then).",
    )
    sync_group: Annotated[str | None, label("a sync group's name")] = Field(
        None, description="VIPs that name the same group are master together or not at all."
    )
    unready_drop: PerDirector[Annotated[int, whole(1, 254)]] | None = Field(
        None,
        description="How much the priority drops while this director cannot serve (IPVS not"
        " programmed). Default: it stands back.",
    )
    track: list[TrackTable] = Field([], description="What the priority depends on.")
    announce: AnnounceTable = AnnounceTable()
    auth: AuthTable | None = Field(None, repr=False, description="Authentication of adverts.")


class SyncTable(Table):
    """Connections known to all directors. With an election they are, with or without this table."""

    interface: PerDirector[Annotated[str, INTERFACE]] | None = Field(
        None, description="Interface to sync over. Default: the director's."
    )
    sync_id: Annotated[int, whole(0, 255, "a sync id")] = Field(
        0,
        description="The same on directors that share connections, and of no other pair on the"
        " network; 0 hears all.",
    )
    group: Annotated[IPAddress | None, MULTICAST] = Field(
        None, description="Multicast group. Default: the kernel's 224.0.0.81."
    )
    port: Annotated[int, whole(1, PORT_MAX - 1, "a UDP port")] = Field(
        8848,
        description="UDP port of the kernel's sync; by the one after it directors ask each other"
        " for their connections.",
    )
    threshold: Annotated[int, whole(1, 1_000_000)] = Field(
        2, description="Packets of a connection after which it is first sent."
    )
    period: Annotated[int, whole(0, 1_000_000)] = Field(
        50,
        description="Packets between two later messages of one connection, more than threshold;"
        " 0: one message is all.",
    )
