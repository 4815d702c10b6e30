"""Hypothesis strategies for facts: configs, verdicts, overrides, adopted weights.

They share the few keys of ``tests.support.strategies``, so that facts drawn apart still meet.
"""

from __future__ import annotations

from collections.abc import Mapping
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
from lvsguard.core.health import FailureClass, Health, Result, Timing, Verdict
from lvsguard.core.model import WEIGHT_MAX, Family, IPAddress, RealserverKey, ServiceKey
from lvsguard.core.override import Override, OverrideKind, Target, Weight
from lvsguard.core.placement import Adopted, Facts
from tests.support.strategies import (
    REALSERVER_KEYS,
    REALSERVERS,
    SERVICE_KEY_LISTS,
    SERVICE_KEYS,
    SETTING,
    address_sets,
)

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
            *(None for _ in REALSERVERS),
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
                for entry in REALSERVERS
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
    settings = draw(SETTING)
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
        tuple(draw(service_configs(key)) for key in draw(SERVICE_KEY_LISTS)),
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
    for key in draw(SERVICE_KEY_LISTS):
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
