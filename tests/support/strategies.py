"""Hypothesis strategies for the kernel's values: services, realservers, addresses, whole states.

Two kinds. ``any_*`` is wide, for codecs and printers: every protocol, family, forwarding method and
flag that the kernel takes. The rest draws from a handful of keys and addresses, so that two states
drawn apart still meet on the same services and realservers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from itertools import combinations
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from lvsguard.core.model import (
    WEIGHT_MAX,
    Family,
    Forwarding,
    IPAddress,
    KernelState,
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

VIP: Final = IPv4Address("10.0.0.8")
OTHER_VIP: Final = IPv4Address("10.0.0.9")
VIP6: Final = IPv6Address("2001:db8::8")

SERVICE_KEYS: Final = (
    ServiceKey.at(Protocol.TCP, VIP, 80),
    ServiceKey.at(Protocol.TCP, VIP, 443),
    ServiceKey.at(Protocol.UDP, VIP, 53),
    ServiceKey.at(Protocol.TCP, OTHER_VIP, 80),
    ServiceKey.at(Protocol.SCTP, VIP6, 80),
    ServiceKey.at(Protocol.TCP, VIP6, 80),
    ServiceKey.marked(7),
    ServiceKey.marked(7, Family.INET6),
)

REALSERVER_KEYS: Final[Mapping[Family, tuple[RealserverKey, ...]]] = {
    Family.INET: tuple(
        RealserverKey(IPv4Address(a), p)
        for a, p in (("10.0.0.42", 80), ("10.0.0.43", 80), ("10.0.0.44", 80), ("10.0.0.42", 8080))
    ),
    Family.INET6: tuple(
        RealserverKey(IPv6Address(a), 80) for a in ("2001:db8::42", "2001:db8::43", "2001:db8::44")
    ),
}

VIP_ADDRESSES: Final = tuple(
    VipAddress(interface, address, prefix)
    for interface in ("eth0", "eth1")
    for address, prefixes in ((VIP, (24, 32)), (OTHER_VIP, (24, 32)), (VIP6, (64, 128)))
    for prefix in prefixes
)


def _possible(two: tuple[VipAddress, ...]) -> bool:
    """Linux has an IPv6 address once on an interface."""
    return two[0].address.version == 4 or two[0].interface != two[1].interface


REALSERVERS: Final = (
    Realserver(0),
    Realserver(0),
    Realserver(1),
    Realserver(2),
    Realserver(WEIGHT_MAX),
    Realserver(1, Forwarding.NAT),
    Realserver(0, Forwarding.TUN, Tunnel()),
    Realserver(1, Forwarding.TUN, Tunnel(TunnelKind.GUE, 6080, TunnelChecksum.REMOTE)),
    Realserver(1, upper_threshold=10, lower_threshold=5),
)

_SETTINGS: Final = (
    VirtualService("rr"),
    VirtualService("wlc"),
    VirtualService("sh", frozenset({"sh-fallback"})),
    VirtualService("sh", frozenset({"sh-fallback", "sh-port"})),
    VirtualService("mh", frozenset({"mh-fallback", "mh-port"}), Persistence(50, 24)),
    VirtualService("wlc", persistence=Persistence()),
)


# -- the kernel's state ------------------------------------------------------------------------


# Fixed slots of single choices: several times faster to draw than dictionaries and unique lists.
# Most slots are empty or at weight 0, so that the last live realserver is often at stake.
_SLOT: Final = st.sampled_from((*(None for _ in REALSERVERS), *REALSERVERS))
_SLOTS: Final = {f: st.tuples(*(_SLOT for _ in keys)) for f, keys in REALSERVER_KEYS.items()}
SETTING: Final = st.sampled_from(_SETTINGS)


@st.composite
def _services(draw: st.DrawFn, family: Family) -> VirtualService:
    keys = REALSERVER_KEYS[family]
    entries = dict(zip(keys, draw(_SLOTS[family]), strict=True))
    return replace(
        draw(SETTING), realservers={k: entry for k, entry in entries.items() if entry is not None}
    )


_SERVICE_OF: Final = {family: _services(family) for family in Family}
SERVICE_KEY_LISTS: Final = st.lists(st.sampled_from(SERVICE_KEYS), unique=True, max_size=5)


@st.composite
def kernel_states(draw: st.DrawFn) -> KernelState:
    """A table and addresses from a small pool: a kernel could hold any of them."""
    services = {key: draw(_SERVICE_OF[key.family]) for key in draw(SERVICE_KEY_LISTS)}
    return KernelState(services, draw(address_sets()))


_STANDS: Final = tuple(
    st.sampled_from((frozenset[VipAddress](), *(frozenset(pick) for pick in picks)))
    for vip in (VIP, OTHER_VIP, VIP6)
    for own in [[a for a in VIP_ADDRESSES if a.address == vip]]
    for picks in [[*combinations(own, 1), *filter(_possible, combinations(own, 2))]]
)


def address_sets() -> SearchStrategy[frozenset[VipAddress]]:
    """VIP addresses, each in up to two places."""
    return st.tuples(*_STANDS).map(lambda stands: frozenset[VipAddress]().union(*stands))


@st.composite
def transitions(draw: st.DrawFn) -> tuple[KernelState, KernelState]:
    """(desired, observed) that share services, so that steps of every kind meet."""
    observed = draw(kernel_states())
    if draw(st.booleans()):
        return draw(kernel_states()), observed
    services = dict(observed.services)
    for key in draw(st.lists(st.sampled_from(SERVICE_KEYS), unique=True, max_size=3)):
        if key in services and draw(st.integers(0, 3)) == 0:
            del services[key]
        else:
            services[key] = draw(_SERVICE_OF[key.family])
    addresses = observed.addresses if draw(st.booleans()) else draw(address_sets())
    return KernelState(services, addresses), observed


# -- wide values -------------------------------------------------------------------------------


def any_addresses(family: Family) -> SearchStrategy[IPAddress]:
    """Any unicast address of a family: the kernel refuses others for realservers."""
    return _UNICAST[family]


def _unicast(address: IPAddress) -> bool:
    if isinstance(address, IPv4Address):
        limited = int(address) >> 24 == 0 or int(address) == 2**32 - 1
        return not (address.is_multicast or limited)
    special = address.is_multicast or address.is_unspecified or address.is_link_local
    return not special and address.ipv4_mapped is None


_UNICAST: Final[Mapping[Family, SearchStrategy[IPAddress]]] = {
    Family.INET: st.ip_addresses(v=4).filter(_unicast),
    Family.INET6: st.ip_addresses(v=6).filter(_unicast),
}


@st.composite
def any_service_keys(draw: st.DrawFn) -> ServiceKey:
    """Any key of a virtual service, firewall marks included."""
    family = draw(st.sampled_from(Family))
    if draw(st.integers(0, 3)) == 0:
        return ServiceKey.marked(draw(st.integers(1, 2**32 - 1)), family)
    protocol = draw(st.sampled_from(Protocol))
    return ServiceKey.at(protocol, draw(any_addresses(family)), draw(st.integers(0, 65535)))


def any_tunnels() -> SearchStrategy[Tunnel]:
    """Every encapsulation in the one way of writing it: no port or checksum where none applies."""
    ports = st.integers(1, 65535)
    plain = st.sampled_from((TunnelChecksum.NONE, TunnelChecksum.FULL))
    return st.one_of(
        st.just(Tunnel()),
        st.builds(Tunnel, st.just(TunnelKind.GUE), ports, st.sampled_from(TunnelChecksum)),
        st.builds(Tunnel, st.just(TunnelKind.GRE), st.just(0), plain),
    )


@st.composite
def any_realservers(draw: st.DrawFn) -> Realserver:
    """Any entry that the config can ask for.

    The kernel refuses a lower threshold above the upper one (ERANGE).
    """
    forwarding = draw(_FORWARDINGS)
    upper = draw(st.integers(0, 65535))
    return Realserver(
        draw(st.integers(0, WEIGHT_MAX)),
        forwarding,
        draw(any_tunnels()) if forwarding is Forwarding.TUN else None,
        upper,
        draw(st.integers(0, upper)),
    )


_FORWARDINGS: Final = st.sampled_from((Forwarding.DR, Forwarding.NAT, Forwarding.TUN))


def any_members(
    service: ServiceKey,
) -> SearchStrategy[tuple[RealserverKey, Realserver]]:
    """A realserver of this service; only with nat, or behind a mark, has it a port of its own."""

    def keyed(entry: Realserver) -> SearchStrategy[tuple[RealserverKey, Realserver]]:
        own = service.address is None or (entry.forwarding is Forwarding.NAT and service.port)
        ports = st.integers(0 if service.port == 0 else 1, 65535) if own else st.just(service.port)
        keys = st.builds(RealserverKey, any_addresses(service.family), ports)
        return st.tuples(keys, st.just(entry))

    return any_realservers().flatmap(keyed)


_FLAGS: Final = {
    "sh": ("sh-fallback", "sh-port"),
    "mh": ("mh-fallback", "mh-port"),
    "wlc": ("flag-1", "flag-2", "flag-3"),
    "rr": (),
    "fo": (),
}


@st.composite
def any_virtual_services(draw: st.DrawFn, key: ServiceKey | None = None) -> VirtualService:
    """Any service with realservers that fit ``key``; without a port it is always persistent."""
    key = key or draw(any_service_keys())
    scheduler = draw(st.sampled_from(sorted(_FLAGS)))
    flags = draw(st.sets(st.sampled_from(_FLAGS[scheduler]))) if _FLAGS[scheduler] else set()
    bits = 32 if key.family is Family.INET else 128
    persistence = st.builds(
        Persistence, st.integers(1, 86400), st.integers(1, bits), st.sampled_from((None, "sip"))
    )
    wild = key.address is not None and key.port == 0
    members = draw(st.lists(any_members(key), max_size=3))
    return VirtualService(
        scheduler,
        frozenset(flags),
        draw(persistence if wild else st.none() | persistence),
        draw(st.booleans()) if key.protocol in (None, Protocol.UDP) else False,
        dict(members),
    )
