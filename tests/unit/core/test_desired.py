"""Every weight has a reason: the branches of the decision, one rule a test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

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
from lvsguard.core.desired import desired, virtual_service
from lvsguard.core.health import FailureClass, Health, Result, Verdict
from lvsguard.core.model import (
    Forwarding,
    KernelState,
    Persistence,
    Realserver,
    RealserverKey,
    ServiceKey,
    Tunnel,
    TunnelKind,
    VirtualService,
)
from lvsguard.core.override import Admin, Override, OverrideKind, Target, Weight
from lvsguard.core.placement import Facts, Placement, cuts, placement, worst_health
from tests.unit.core.sample import ON_ETH0, ONE, TLS, TWO, WEB

HTTP = Check(ONE.address, 80, CheckSpec(CheckKind.HTTP))
TCP = Check(ONE.address, 80, CheckSpec(CheckKind.TCP))

REALSERVER = RealserverConfig("one", ONE, weight=5, checks=(HTTP,))
SERVICE = ServiceConfig("web", WEB, (REALSERVER,), "rr")

UP = Health(Verdict.UP, 7.0, 2, 0, Result(True, "L7OK", "200 OK"))


def down(failure: FailureClass, code: str = "L7STS", reason: str = "503") -> Health:
    result = Result(False, code, reason, failure=failure)
    return Health(Verdict.DOWN, 8.0, 0, 2, result, result)


REFUSED = down(FailureClass.REFUSED, "L4CON", "connection refused")
DEAD = down(FailureClass.HOST_DEAD, "L4CON", "no route to host")
SLOW = down(FailureClass.TIMEOUT, "L7TOUT", "no answer in 1 s")
WRONG = down(FailureClass.WRONG)


def config(*services: ServiceConfig) -> Config:
    return Config("director1", "eth0", (VipConfig("web", (ON_ETH0,)),), services, "0123456789ab")


def place(
    health: Health | Mapping[Check, Health] | None = None,
    *overrides: Override,
    found: Mapping[RealserverKey, int] | None = None,
    realserver: RealserverConfig = REALSERVER,
    on_failure: OnFailure = OnFailure.AUTO,
) -> Placement:
    """Decide one realserver. ``found``: what the kernel had of its service at start."""
    service = replace(SERVICE, realservers=(realserver,), on_failure=on_failure)
    known = {HTTP: health} if isinstance(health, Health) else health or {}
    adopted = {} if found is None else {WEB: found}
    return placement(service, realserver, Facts(config(service), known, overrides, adopted))


def override(
    kind: OverrideKind,
    target: Target = Target(ONE.address),  # noqa: B008  # a frozen value
    weight: Weight | None = None,
    reason: str = "upgrade",
) -> Override:
    return Override(target, kind, "alice", 0.0, reason, weight)


DRAIN = override(OverrideKind.DRAIN)
DISABLE = override(OverrideKind.DISABLE)


# -- verdicts ----------------------------------------------------------------------------------


def test_up_gives_the_configured_weight() -> None:
    assert place(UP) == Placement(5, Verdict.UP, Admin.READY, 7.0, "up: L7OK 200 OK")


def test_without_checks_a_realserver_is_always_up() -> None:
    placed = place(realserver=replace(REALSERVER, checks=()))
    assert placed == Placement(5, Verdict.UP, Admin.READY, 0.0, "up: no check configured")


def test_up_forgets_what_was_adopted() -> None:
    assert place(UP, found={ONE: 3}).weight == 5
    assert place(UP, found={}).weight == 5


@pytest.mark.parametrize("health", [SLOW, WRONG])
def test_slow_or_wrong_keeps_the_flows_at_weight_0(health: Health) -> None:
    placed = place(health)
    assert (placed.weight, placed.verdict, placed.since) == (0, Verdict.DOWN, 8.0)


@pytest.mark.parametrize("health", [REFUSED, DEAD])
def test_refused_or_dead_removes_so_that_clients_reconnect(health: Health) -> None:
    placed = place(health)
    assert (placed.weight, placed.verdict) == (None, Verdict.DOWN)


def test_down_tells_its_evidence() -> None:
    assert place(SLOW).reason == "down: L7TOUT no answer in 1 s"
    assert place(REFUSED).reason == "down, removed: L4CON connection refused"


@pytest.mark.parametrize("health", [REFUSED, DEAD, SLOW, WRONG])
def test_quiesce_never_removes(health: Health) -> None:
    assert place(health, on_failure=OnFailure.QUIESCE).weight == 0


@pytest.mark.parametrize("health", [REFUSED, DEAD, SLOW, WRONG])
def test_remove_always_removes(health: Health) -> None:
    assert place(health, on_failure=OnFailure.REMOVE).weight is None


def test_a_removed_realserver_stays_out_until_it_has_risen() -> None:
    rising = replace(REFUSED, successes=1, failures=0, result=UP.result)
    placed = place(rising)
    assert (placed.weight, placed.reason) == (None, "down, removed: L4CON connection refused")


def test_a_removed_realserver_that_now_only_times_out_stays_out() -> None:
    assert place(replace(REFUSED, result=SLOW.result)).weight is None


# -- several checks ----------------------------------------------------------------------------

BOTH = replace(REALSERVER, checks=(HTTP, TCP))


def test_all_checks_must_pass() -> None:
    assert place({HTTP: UP, TCP: UP}, realserver=BOTH).weight == 5
    assert place({HTTP: UP, TCP: SLOW}, realserver=BOTH).weight == 0
    assert place({HTTP: SLOW, TCP: UP}, realserver=BOTH).weight == 0


def test_a_check_without_a_verdict_keeps_the_realserver_unknown() -> None:
    assert place({HTTP: UP}, realserver=BOTH).verdict is Verdict.UNKNOWN


def test_down_is_worse_than_unknown_and_unknown_worse_than_up() -> None:
    assert worst_health((HTTP, TCP), {HTTP: SLOW}) is SLOW
    assert worst_health((HTTP, TCP), {HTTP: UP}).verdict is Verdict.UNKNOWN
    assert worst_health((HTTP, TCP), {HTTP: UP, TCP: SLOW}) is SLOW


@pytest.mark.parametrize("known", [{HTTP: SLOW, TCP: REFUSED}, {HTTP: REFUSED, TCP: SLOW}])
def test_one_check_that_finds_it_dead_removes_it_and_is_the_reason(
    known: Mapping[Check, Health],
) -> None:
    placed = place(known, realserver=BOTH)
    assert (placed.weight, placed.reason) == (None, "down, removed: L4CON connection refused")
    assert cuts(SERVICE, BOTH, known)


# -- start: no verdict yet ---------------------------------------------------------------------


def test_an_adopted_realserver_keeps_its_weight_until_its_first_verdict() -> None:
    placed = place(found={ONE: 3})
    assert (placed.weight, placed.verdict) == (3, Verdict.UNKNOWN)
    assert placed.reason == "no verdict yet: keeps the weight found in the kernel"


def test_an_adopted_weight_of_0_is_kept_too() -> None:
    assert place(found={ONE: 0}).weight == 0


def test_in_a_new_service_a_realserver_enters_at_weight_0() -> None:
    placed = place()
    assert (placed.weight, placed.reason) == (0, "no verdict yet: enters at weight 0")


def test_why_there_is_no_verdict_is_told() -> None:
    placed = place(Health(note="it cannot be asked: no route to the realserver"))
    assert placed.reason.endswith("weight 0; it cannot be asked: no route to the realserver")


def test_a_realserver_that_an_adopted_service_did_not_have_waits_outside() -> None:
    placed = place(found={TWO: 1})
    assert (placed.weight, placed.reason) == (
        None,
        "no verdict yet: was not in the kernel at start",
    )


def test_failures_that_decided_nothing_leave_the_adopted_weight() -> None:
    trying = Health(failures=1, result=SLOW.result)
    assert place(trying, found={ONE: 3}).weight == 3


# -- overrides ---------------------------------------------------------------------------------


def test_a_drain_is_weight_0_with_its_reason() -> None:
    placed = place(UP, DRAIN)
    assert placed == Placement(0, Verdict.UP, Admin.DRAIN, 7.0, "drained by alice: upgrade")


def test_a_disabled_realserver_is_not_in_the_table() -> None:
    placed = place(UP, DISABLE)
    assert placed == Placement(None, Verdict.UP, Admin.DISABLED, 7.0, "disabled by alice: upgrade")


def test_disabled_outweighs_drained() -> None:
    assert place(UP, DRAIN, DISABLE).reason == "disabled by alice: upgrade"


@pytest.mark.parametrize("health", [None, UP, SLOW, REFUSED])
def test_disabled_outweighs_every_verdict(health: Health | None) -> None:
    placed = place(health, DISABLE, found={ONE: 3})
    assert (placed.weight, placed.admin) == (None, Admin.DISABLED)


def test_a_drained_realserver_that_dies_is_removed_all_the_same() -> None:
    placed = place(REFUSED, DRAIN)
    assert (placed.weight, placed.admin) == (None, Admin.DRAIN)
    assert placed.reason == "down, removed: L4CON connection refused"


def test_a_drained_realserver_that_is_slow_stays_at_weight_0() -> None:
    placed = place(SLOW, DRAIN)
    assert (placed.weight, placed.reason) == (0, "drained by alice: upgrade")


def test_a_drained_realserver_stays_drained_over_a_restart() -> None:
    assert place(None, DRAIN, found={ONE: 0}).weight == 0
    assert place(None, DRAIN, found={ONE: 3}).weight == 0


def test_a_drained_realserver_that_was_not_in_the_kernel_at_start_waits_outside() -> None:
    placed = place(None, DRAIN, found={})
    assert (placed.weight, placed.admin) == (None, Admin.DRAIN)


def test_in_a_new_service_a_drained_realserver_enters_at_weight_0() -> None:
    assert place(None, DRAIN).weight == 0


def test_a_weight_override_replaces_the_configured_weight() -> None:
    placed = place(UP, override(OverrideKind.WEIGHT, weight=Weight(2)))
    assert (placed.weight, placed.admin) == (2, Admin.READY)
    assert placed.reason == "weight 2 by alice: upgrade"


def test_a_weight_override_may_be_a_percentage_of_the_configured_weight() -> None:
    assert place(UP, override(OverrideKind.WEIGHT, weight=Weight(40, percent=True))).weight == 2


def test_a_weight_override_of_0_tells_so() -> None:
    placed = place(UP, override(OverrideKind.WEIGHT, weight=Weight(0), reason=""))
    assert (placed.weight, placed.reason) == (0, "weight 0 by alice")


def test_the_reason_names_the_weight_override_that_decides() -> None:
    wide = override(OverrideKind.WEIGHT, weight=Weight(2), reason="everywhere")
    narrow = override(
        OverrideKind.WEIGHT, Target(ONE.address, 80, "web"), Weight(3), reason="only here"
    )
    for order in ((wide, narrow), (narrow, wide)):
        placed = place(UP, *order)
        assert (placed.weight, placed.reason) == (3, "weight 3 by alice: only here")


@pytest.mark.parametrize("health", [SLOW, WRONG])
def test_a_weight_override_does_not_bring_a_realserver_in_that_is_down(health: Health) -> None:
    assert place(health, override(OverrideKind.WEIGHT, weight=Weight(9))).weight == 0


def test_a_weight_override_waits_for_the_first_verdict() -> None:
    assert place(None, override(OverrideKind.WEIGHT, weight=Weight(9)), found={ONE: 3}).weight == 3


def test_a_drain_outweighs_a_weight_override() -> None:
    assert place(UP, override(OverrideKind.WEIGHT, weight=Weight(9)), DRAIN).weight == 0


def test_an_override_of_another_service_or_realserver_changes_nothing() -> None:
    elsewhere = override(OverrideKind.DRAIN, Target(ONE.address, None, "mail"))
    other = override(OverrideKind.DISABLE, Target(TWO.address))
    assert place(UP, elsewhere, other) == place(UP)


def test_the_reason_is_never_that_of_an_override_that_does_not_apply() -> None:
    elsewhere = override(OverrideKind.DRAIN, Target(TWO.address), reason="another one")
    assert place(UP, elsewhere, DRAIN).reason == "drained by alice: upgrade"


# -- a whole service, a whole state ------------------------------------------------------------


def test_a_service_has_its_settings_and_every_realserver_that_is_placed() -> None:
    tunnel = RealserverConfig("two", TWO, 9, Forwarding.TUN, Tunnel(TunnelKind.GUE, 6080), 100, 50)
    service = ServiceConfig(
        "web",
        WEB,
        (REALSERVER, tunnel),
        "wlc",
        frozenset({"flag-1"}),
        Persistence(60),
        one_packet=True,
    )
    wanted = virtual_service(service, Facts(config(service), {HTTP: UP}))
    assert wanted == VirtualService(
        "wlc",
        frozenset({"flag-1"}),
        Persistence(60),
        True,
        {
            ONE: Realserver(5),
            TWO: Realserver(9, Forwarding.TUN, Tunnel(TunnelKind.GUE, 6080), 100, 50),
        },
    )


def test_a_realserver_without_a_place_is_not_in_the_service() -> None:
    assert virtual_service(SERVICE, Facts(config(SERVICE), {HTTP: REFUSED})).realservers == {}


@pytest.mark.parametrize(
    ("scheduler", "flags"),
    [("mh", {"mh-fallback"}), ("sh", {"sh-fallback"}), ("rr", set()), ("dh", set())],
)
def test_hashing_schedulers_are_made_to_fall_back_since_they_drop_at_weight_0(
    scheduler: str, flags: set[str]
) -> None:
    service = replace(SERVICE, scheduler=scheduler)
    assert virtual_service(service, Facts(config(service))).flags == flags


def test_the_forced_fallback_joins_the_configured_flags() -> None:
    service = replace(SERVICE, scheduler="mh", flags=frozenset({"mh-port"}))
    wanted = virtual_service(service, Facts(config(service)))
    assert wanted.flags == {"mh-port", "mh-fallback"}


def test_desired_is_every_configured_service_and_the_addresses_that_are_held() -> None:
    other = replace(SERVICE, name="tls", key=TLS)
    facts = Facts(config(SERVICE, other), {HTTP: UP}, addresses=frozenset({ON_ETH0}))
    service = VirtualService("rr", realservers={ONE: Realserver(5)})
    assert desired(facts) == KernelState({WEB: service, TLS: service}, frozenset({ON_ETH0}))


def test_a_director_that_holds_no_address_keeps_its_services_programmed() -> None:
    wanted = desired(Facts(config(SERVICE), {HTTP: UP}))
    assert wanted.addresses == frozenset()
    assert wanted.services.keys() == {WEB}


def test_a_mark_is_a_service_like_any_other() -> None:
    mark = replace(SERVICE, key=ServiceKey.marked(7))
    assert desired(Facts(config(mark), {HTTP: UP})).services.keys() == {ServiceKey.marked(7)}
