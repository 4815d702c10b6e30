"""Hypothesis strategies for core values.

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

from lvsguard.core.config import (
    Check,
    CheckKind,
    CheckSpec,
    Config,
    OnFailure,
    RealserverConfig,
    ServiceConfig,
    VipConfig,
)
from lvsguard.core.desired import Adopted, Facts
from lvsguard.core.health import FailureClass, Health, Result, Timing, Verdict
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
from lvsguard.core.override import Override, OverrideKind, Target, Weight

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


_REALSERVERS: Final = (
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
_SLOT: Final = st.sampled_from((*(None for _ in _REALSERVERS), *_REALSERVERS))
_SLOTS: Final = {f: st.tuples(*(_SLOT for _ in keys)) for f, keys in REALSERVER_KEYS.items()}
_SETTING: Final = st.sampled_from(_SETTINGS)


@st.composite
def _services(draw: st.DrawFn, family: Family) -> VirtualService:
    keys = REALSERVER_KEYS[family]
    entries = dict(zip(keys, draw(_SLOTS[family]), strict=True))
    return replace(
        draw(_SETTING), realservers={k: entry for k, entry in entries.items() if entry is not None}
    )


_SERVICE_OF: Final = {family: _services(family) for family in Family}
_KEYS: Final = st.lists(st.sampled_from(SERVICE_KEYS), unique=True, max_size=5)


@st.composite
def kernel_states(draw: st.DrawFn) -> KernelState:
    """A table and addresses from a small pool: a kernel could hold any of them."""
    services = {key: draw(_SERVICE_OF[key.family]) for key in draw(_KEYS)}
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


# -- facts -------------------------------------------------------------------------------------

_TIMINGS: Final = (Timing(), Timing(1.0, 0.25, 5.0, rise=1, fall=1))
_GOOD: Final = Result(True, "L7OK", "200 OK")
_BAD: Final = tuple(Result(False, "L7STS", str(f), failure=f) for f in FailureClass)


def timings() -> SearchStrategy[Timing]:
    """Rise and fall from 1 to 4, three different intervals."""
    counts = st.integers(1, 4)
    return st.builds(Timing, st.just(1.0), st.just(0.2), st.just(3.0), st.just(1.0), counts, counts)


def results() -> SearchStrategy[Result]:
    """Outcomes of probes; half are good."""
    return st.sampled_from((*(_GOOD for _ in _BAD), *_BAD))


def _healths() -> tuple[Health, ...]:
    """What a prober may report: nothing yet, up, and down for each reason."""
    downs = [r for r in _BAD if r.failure is not FailureClass.LOCAL]
    rising = Health(Verdict.DOWN, 3.0, successes=1, result=_GOOD, cause=downs[0])
    return (
        Health(),
        Health(failures=1, result=downs[-1]),
        Health(Verdict.UP, 1.0, successes=2, result=_GOOD),
        *(Health(Verdict.DOWN, 2.0, failures=2, result=r, cause=r) for r in downs),
        rising,
    )


_HEALTHS: Final = st.sampled_from((None, *_healths()))

SERVICE_NAMES: Final = tuple(f"service{number}" for number in range(len(SERVICE_KEYS)))

CHECKS: Final[Mapping[IPAddress, tuple[Check, ...]]] = {
    key.address: tuple(Check(key.address, 80, CheckSpec(CheckKind.HTTP, t)) for t in _TIMINGS)
    for family in Family
    for key in REALSERVER_KEYS[family]
}
"""Two for each address, shared by every service that the address is in."""

_ALL_CHECKS: Final = tuple(check for checks in CHECKS.values() for check in checks)


def _realserver_configs(key: RealserverKey) -> SearchStrategy[RealserverConfig | None]:
    both = CHECKS[key.address]
    return st.sampled_from(
        (
            *(None for _ in _REALSERVERS),
            *(
                RealserverConfig(
                    str(key),
                    key,
                    entry.weight,
                    entry.forwarding,
                    entry.tunnel,
                    entry.upper_threshold,
                    entry.lower_threshold,
                    checks,
                )
                for entry in _REALSERVERS
                for checks in ((), both[:1], both[1:], both)
            ),
        )
    )


_MEMBERS: Final = {
    family: st.tuples(*map(_realserver_configs, keys)) for family, keys in REALSERVER_KEYS.items()
}
_ON_FAILURE: Final = st.sampled_from(OnFailure)


@st.composite
def service_configs(draw: st.DrawFn, key: ServiceKey) -> ServiceConfig:
    """A configured service of this key."""
    settings = draw(_SETTING)
    members = draw(_MEMBERS[key.family])
    return ServiceConfig(
        SERVICE_NAMES[SERVICE_KEYS.index(key)],
        key,
        tuple(member for member in members if member is not None),
        settings.scheduler,
        settings.flags if draw(st.booleans()) else frozenset(),
        settings.persistence,
        on_failure=draw(_ON_FAILURE),
    )


@st.composite
def configs(draw: st.DrawFn) -> Config:
    """A valid config over the few service keys."""
    vips = draw(address_sets())
    return Config(
        "director1",
        "eth0",
        (VipConfig("web", tuple(sorted(vips, key=str))),),
        tuple(draw(service_configs(key)) for key in draw(_KEYS)),
        "0123456789ab",
    )


def weights() -> SearchStrategy[Weight]:
    """Absolute or a percentage, within what the admin socket accepts."""
    return st.one_of(
        st.builds(Weight, st.integers(0, WEIGHT_MAX)),
        st.builds(Weight, st.integers(0, 1000), st.just(True)),
    )


_TARGETS: Final = st.sampled_from(
    tuple(
        Target(key.address, port, service)
        for family in Family
        for key in REALSERVER_KEYS[family][:2]
        for port in (None, key.port)
        for service in (None, None, *SERVICE_NAMES[:3])
    )
)
_KINDS: Final = st.sampled_from(OverrideKind)
_TIMES: Final = st.sampled_from((0.0, 1.0, 2.0, 3.0))


@st.composite
def overrides(draw: st.DrawFn) -> Override:
    """An override of one of the few realservers."""
    target, kind, since = draw(_TARGETS), draw(_KINDS), draw(_TIMES)
    reason, lasting = draw(st.sampled_from(("", "kernel upgrade"))), draw(st.booleans())
    weight = draw(weights()) if kind is OverrideKind.WEIGHT else None
    expires = None if lasting else since + 10.0
    return Override(target, kind, "alice (uid 1000)", since, reason, weight, expires)


def override_tuples() -> SearchStrategy[tuple[Override, ...]]:
    """Overrides in force: at most one for each (target, kind)."""
    return st.lists(overrides(), max_size=4, unique_by=lambda o: o.key).map(tuple)


_FOUND: Final = {
    family: st.tuples(*(st.sampled_from((None, 0, 1, 7)) for _ in keys))
    for family, keys in REALSERVER_KEYS.items()
}


@st.composite
def adoptions(draw: st.DrawFn) -> Adopted:
    """Weights found in the kernel at start."""
    adopted = {}
    for key in draw(_KEYS):
        found = zip(REALSERVER_KEYS[key.family], draw(_FOUND[key.family]), strict=True)
        adopted[key] = {realserver: weight for realserver, weight in found if weight is not None}
    return adopted


def health_maps() -> SearchStrategy[dict[Check, Health]]:
    """What is known of some of the checks."""
    return st.tuples(*(_HEALTHS for _ in _ALL_CHECKS)).map(
        lambda known: {c: h for c, h in zip(_ALL_CHECKS, known, strict=True) if h is not None}
    )


def facts() -> SearchStrategy[Facts]:
    """Everything that decides, over the same few keys."""
    return st.builds(
        Facts, configs(), health_maps(), override_tuples(), adoptions(), address_sets()
    )
