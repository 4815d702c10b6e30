"""Rules of the plan: which steps, in which order, and what waits when one fails."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from lvsguard.core.model import (
    Forwarding,
    KernelState,
    Persistence,
    Realserver,
    Tunnel,
    TunnelKind,
    VipAddress,
    VirtualService,
)
from lvsguard.core.plan import applied, held_back, in_phases, live, owned_part, plan
from lvsguard.core.step import (
    AddAddress,
    AddRealserver,
    AddService,
    DeleteRealserver,
    DeleteService,
    EditRealserver,
    EditService,
    Phase,
    RemoveAddress,
    Step,
)
from tests.unit.core.sample import (
    MARK,
    ON_ETH0,
    ONE,
    OTHER_VIP,
    OTHER_WEB,
    THREE,
    TLS,
    TWO,
    VIP,
    WEB,
    serving,
    state,
)

SEED = state({WEB: serving({ONE: 1, TWO: 1})}, ON_ETH0)
NOTHING = KernelState()


def printed(steps: tuple[Step, ...]) -> list[str]:
    return [str(step) for step in steps]


# -- which steps, in which order ---------------------------------------------------------------


def test_the_seed_network_from_nothing_announces_last() -> None:
    assert printed(plan(SEED, NOTHING)) == [
        "ipvsadm -A -t 10.0.0.8:80 -s rr",
        "ipvsadm -a -t 10.0.0.8:80 -r 10.0.0.42:80 -g -w 1",
        "ipvsadm -a -t 10.0.0.8:80 -r 10.0.0.43:80 -g -w 1",
        "ip addr add 10.0.0.8/24 dev eth0",
    ]


def test_taking_everything_out_withdraws_first_and_deletes_services_whole() -> None:
    assert printed(plan(NOTHING, SEED)) == [
        "ip addr del 10.0.0.8/24 dev eth0",
        "ipvsadm -D -t 10.0.0.8:80",
    ]


def test_equal_states_make_no_plan() -> None:
    assert plan(SEED, SEED) == ()
    assert plan(SEED, state({WEB: serving({TWO: 1, ONE: 1})}, ON_ETH0)) == ()


def test_realservers_are_added_and_raised_before_others_are_lowered_and_deleted() -> None:
    observed = state({WEB: serving({ONE: 5, TWO: 1})})
    desired = state({WEB: serving({ONE: 1, THREE: 1})})
    assert printed(plan(desired, observed)) == [
        "ipvsadm -a -t 10.0.0.8:80 -r 10.0.0.44:80 -g -w 1",
        "ipvsadm -e -t 10.0.0.8:80 -r 10.0.0.42:80 -g -w 1",
        "ipvsadm -d -t 10.0.0.8:80 -r 10.0.0.43:80",
    ]


def test_a_changed_scheduler_edits_the_service_in_place() -> None:
    observed = state({WEB: serving({ONE: 1})})
    desired = state({WEB: serving({ONE: 1}, "wlc")})
    assert plan(desired, observed) == (
        EditService(WEB, desired.services[WEB], observed.services[WEB]),
    )


@pytest.mark.parametrize(
    "wanted",
    [
        Realserver(2),
        Realserver(1, Forwarding.NAT),
        Realserver(1, Forwarding.TUN, Tunnel(TunnelKind.GUE, 6080)),
        Realserver(1, upper_threshold=10),
        Realserver(1, lower_threshold=10),
    ],
)
def test_every_field_of_a_realserver_counts_as_a_difference(wanted: Realserver) -> None:
    desired = state({WEB: replace(serving({}), realservers={ONE: wanted})})
    observed = state({WEB: serving({ONE: 1})})
    assert plan(desired, observed) == (EditRealserver(WEB, ONE, wanted, Realserver(1)),)


@pytest.mark.parametrize(
    "change",
    [
        {"scheduler": "wlc"},
        {"flags": frozenset({"flag-1"})},
        {"persistence": Persistence()},
        {"one_packet": True},
    ],
)
def test_every_setting_of_a_service_counts_as_a_difference(change: dict[str, object]) -> None:
    observed = VirtualService("rr")
    desired = replace(observed, **change)  # type: ignore[arg-type]  # one field at a time
    assert len(plan(state({WEB: desired}), state({WEB: observed}))) == 1


def test_what_is_observed_and_not_desired_is_removed() -> None:
    observed = state({WEB: serving({ONE: 1}), OTHER_WEB: serving({ONE: 1})})
    assert plan(state({WEB: serving({ONE: 1})}), observed) == (DeleteService(OTHER_WEB),)


def test_an_ipv4_vip_with_a_new_prefix_is_added_before_the_old_one_goes() -> None:
    narrow = VipAddress("eth0", VIP, 32)
    steps = plan(replace(SEED, addresses=frozenset({narrow})), SEED)
    assert steps == (AddAddress(narrow), RemoveAddress(ON_ETH0, moved=True))


def test_a_vip_that_changes_its_interface_is_added_before_the_old_one_goes() -> None:
    six = ip_address("2001:db8::8")
    old, new = VipAddress("eth0", six, 128), VipAddress("eth1", six, 128)
    steps = plan(state({}, new), state({}, old))
    assert steps == (AddAddress(new), RemoveAddress(old, moved=True))


def test_an_ipv6_vip_with_a_new_prefix_leaves_first_because_linux_has_it_once() -> None:
    six = ip_address("2001:db8::8")
    old, new = VipAddress("eth0", six, 64), VipAddress("eth0", six, 128)
    assert plan(state({}, new), state({}, old)) == (RemoveAddress(old), AddAddress(new))


def test_phases_come_in_their_order_and_keep_the_order_of_the_steps() -> None:
    add, delete = AddRealserver(WEB, ONE, Realserver(1)), DeleteRealserver(WEB, TWO)
    other = AddRealserver(WEB, THREE, Realserver(1))
    assert in_phases([delete, add, other]) == {Phase.GROW: [add, other], Phase.SHRINK: [delete]}


# -- applied -----------------------------------------------------------------------------------


def test_a_service_is_created_empty_whatever_is_wanted_of_it() -> None:
    assert applied(NOTHING, [AddService(WEB, SEED.services[WEB])]).services == {WEB: serving({})}


def test_an_edited_service_keeps_its_realservers() -> None:
    edit = EditService(WEB, VirtualService("wlc"), SEED.services[WEB])
    assert applied(SEED, [edit]).services == {WEB: serving({ONE: 1, TWO: 1}, "wlc")}


def test_a_deleted_service_takes_its_realservers_along() -> None:
    assert applied(SEED, [DeleteService(WEB)]) == state({}, ON_ETH0)


def test_applying_does_not_touch_the_state_it_starts_from() -> None:
    before = state({WEB: serving({ONE: 1, TWO: 1})}, ON_ETH0)
    applied(SEED, [DeleteRealserver(WEB, ONE), RemoveAddress(ON_ETH0)])
    assert before == SEED


def test_a_step_that_does_not_fit_is_the_callers_error() -> None:
    with pytest.raises(KeyError):
        applied(NOTHING, [DeleteService(WEB)])
    with pytest.raises(KeyError):
        applied(SEED, [DeleteRealserver(WEB, THREE)])


def test_live_means_some_weight() -> None:
    assert live(serving({ONE: 0, TWO: 1}))
    assert not live(serving({ONE: 0}))
    assert not live(serving({}))
    assert not live(None)


def test_the_owned_part_leaves_foreign_services_out() -> None:
    table = {WEB: serving({ONE: 1}), OTHER_WEB: serving({TWO: 1})}
    assert owned_part(table, [WEB, TLS]) == {WEB: serving({ONE: 1})}


# -- held back ---------------------------------------------------------------------------------

GROW_ONE = AddRealserver(WEB, ONE, Realserver(1))
GROW_OTHER = AddRealserver(OTHER_WEB, ONE, Realserver(1))
NO_WEB = AddService(WEB, serving({ONE: 1}))


def test_nothing_is_held_back_when_nothing_failed() -> None:
    assert held_back([GROW_ONE, AddAddress(ON_ETH0)], [], NOTHING) == (
        (GROW_ONE, AddAddress(ON_ETH0)),
        (),
    )


def test_a_service_that_could_not_be_created_gets_no_realservers() -> None:
    now = state({OTHER_WEB: serving({})})
    assert held_back([GROW_ONE, GROW_OTHER], [NO_WEB], now) == ((GROW_OTHER,), (GROW_ONE,))


def test_a_vip_is_not_announced_to_a_service_that_could_not_be_created() -> None:
    other = AddAddress(VipAddress("eth0", OTHER_VIP, 24))
    steps = [AddAddress(ON_ETH0), other]
    assert held_back(steps, [NO_WEB], NOTHING) == ((other,), (AddAddress(ON_ETH0),))


def test_a_mark_that_could_not_be_created_holds_no_vip_back() -> None:
    failed = AddService(MARK, serving({}))
    assert held_back([AddAddress(ON_ETH0)], [failed], NOTHING)[1] == ()
    grow = AddRealserver(MARK, ONE, Realserver(1))
    assert held_back([grow], [failed], NOTHING) == ((), (grow,))


def test_a_service_is_not_retired_while_its_vip_could_not_be_withdrawn() -> None:
    now = state({WEB: serving({}), OTHER_WEB: serving({}), MARK: serving({})}, ON_ETH0)
    steps = [DeleteService(WEB), DeleteService(OTHER_WEB), DeleteService(MARK)]
    assert held_back(steps, [RemoveAddress(ON_ETH0)], now) == (
        (DeleteService(OTHER_WEB), DeleteService(MARK)),
        (DeleteService(WEB),),
    )


def test_a_service_that_could_not_grow_keeps_its_last_live_realserver() -> None:
    now = state({WEB: serving({TWO: 1, THREE: 1})})
    shrink = [DeleteRealserver(WEB, TWO), DeleteRealserver(WEB, THREE)]
    assert held_back(shrink, [GROW_ONE], now) == ((shrink[0],), (shrink[1],))


def test_a_realserver_that_could_not_be_raised_counts_as_growth_that_failed() -> None:
    now = state({WEB: serving({ONE: 0, TWO: 1})})
    failed = EditRealserver(WEB, ONE, Realserver(1), Realserver(0))
    gone = DeleteRealserver(WEB, TWO)
    assert held_back([gone], [failed], now) == ((), (gone,))


def test_a_failure_elsewhere_at_the_same_address_holds_no_settings_back() -> None:
    edit = EditService(TLS, serving({}, "wlc"), serving({}))
    now = state({TLS: serving({})}, ON_ETH0)
    assert held_back([edit], [RemoveAddress(ON_ETH0)], now) == ((edit,), ())


def test_a_weight_is_not_lowered_to_0_either_when_it_is_the_last_live_one() -> None:
    now = state({WEB: serving({TWO: 3})})
    lower = EditRealserver(WEB, TWO, Realserver(0), Realserver(3))
    assert held_back([lower], [GROW_ONE], now) == ((), (lower,))
    less = EditRealserver(WEB, TWO, Realserver(1), Realserver(3))
    assert held_back([less], [GROW_ONE], now) == ((less,), ())


def test_a_service_that_could_not_grow_still_loses_realservers_that_were_not_live() -> None:
    now = state({WEB: serving({TWO: 0, THREE: 1})})
    gone = DeleteRealserver(WEB, TWO)
    assert held_back([gone], [GROW_ONE], now) == ((gone,), ())


def test_a_failed_growth_to_weight_0_holds_no_drain_back() -> None:
    failed = AddRealserver(WEB, ONE, Realserver(0))
    drain = EditRealserver(WEB, TWO, Realserver(0), Realserver(1))
    assert held_back([drain], [failed], state({WEB: serving({TWO: 1})})) == ((drain,), ())


def test_growth_that_failed_elsewhere_holds_nothing_back() -> None:
    now = state({WEB: serving({TWO: 1}), OTHER_WEB: serving({TWO: 1})})
    shrink = DeleteRealserver(WEB, TWO)
    assert held_back([shrink], [GROW_OTHER], now) == ((shrink,), ())


def test_a_moved_vip_keeps_its_old_place_until_it_stands_in_the_new_one() -> None:
    new = VipAddress("eth0", VIP, 32)
    old = RemoveAddress(ON_ETH0, moved=True)
    failed = [AddAddress(new)]
    assert held_back([old], failed, state({}, ON_ETH0)) == ((), (old,))
    assert held_back([old], failed, state({}, ON_ETH0, new)) == ((old,), ())


def test_a_moved_vip_is_not_dropped_from_two_old_places_at_once() -> None:
    other = VipAddress("eth1", VIP, 24)
    steps = [RemoveAddress(ON_ETH0, moved=True), RemoveAddress(other, moved=True)]
    failed = [AddAddress(VipAddress("eth2", VIP, 24))]
    assert held_back(steps, failed, state({}, ON_ETH0, other)) == ((), tuple(steps))
