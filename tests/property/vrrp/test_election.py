"""Any row of calls, in any order, with any lateness: what always holds of an election."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address

from hypothesis import given, settings
from hypothesis import strategies as st

from lvsguard.vrrp.action import Action, AddAddresses, RemoveAddresses, RoleChanged, Send, Stopped
from lvsguard.vrrp.advert import RESIGN, Advert
from lvsguard.vrrp.election import Election
from lvsguard.vrrp.group import SyncGroup
from lvsguard.vrrp.settings import Settings
from lvsguard.vrrp.transitions import HOLDING, ROLES, State
from tests.support.examples import examples

VIP = ip_address("10.0.0.8")
LONGEST = 2.5
"""Seconds between the adverts of the slowest master."""
BOOLEANS = st.booleans()
SOURCES = st.sampled_from([ip_address(f"10.0.0.{last}") for last in (40, 41, 42, 43)])
Call = Callable[[Election, float], object]
GroupCall = Callable[[SyncGroup, float], object]


@st.composite
def configured(draw: st.DrawFn) -> Settings:
    """Any settings of version 3."""
    return Settings(
        51,
        (VIP,),
        ip_address("10.0.0.41"),
        draw(st.integers(1, 255)),
        draw(st.sampled_from([0.05, 0.1, 1.0])),
        preempt=draw(st.booleans()),
        preempt_delay=draw(st.sampled_from([0.0, 3.0])),
        start_delay=draw(st.sampled_from([0.0, 1.0])),
        unready_drop=draw(st.sampled_from([None, 30])),
    )


ADVERTS = st.builds(
    Advert,
    vrid=st.sampled_from([51, 51, 51, 52]),
    priority=st.integers(0, 255),
    interval=st.sampled_from([0.0, 0.01, 0.1, 1.0, LONGEST]),
    addresses=st.just((VIP,)),
)


CALLS: st.SearchStrategy[Call] = st.one_of(
    st.builds(lambda a, s: lambda one, now: one.receive(a, s, now), ADVERTS, SOURCES),
    st.builds(lambda a, s: lambda one, now: one.receive(a, s, now), ADVERTS, SOURCES),
    st.just(lambda one, now: one.expire(now)),
    st.just(lambda one, now: one.expire(now)),
    st.builds(lambda up: lambda one, now: one.link(up, now), BOOLEANS),
    st.builds(lambda ready: lambda one, now: one.set_ready(ready, now), BOOLEANS),
    st.builds(lambda p: lambda one, now: one.set_priority(p, now), st.integers(-5, 300)),
    st.builds(lambda hold: lambda one, now: one.hold_preempt(hold, now, now + 5), BOOLEANS),
    st.just(lambda one, now: one.failover(now)),
    st.just(lambda one, now: one.resume(now)),
    st.just(lambda one, now: one.stop(now)),
    st.just(lambda one, now: one.start(now)),
)
PAUSES = st.sampled_from([0.0, 0.001, 0.05, 0.4, 1.0, 3.7, 30.0])
ROWS = st.lists(st.tuples(PAUSES, BOOLEANS, CALLS), max_size=40)


class Ledger:
    """What the actions so far amount to; each must fit to those before."""

    def __init__(self) -> None:
        self.held = False
        self.role = ROLES[State.INIT]

    def enter(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, AddAddresses):
                assert not self.held
                self.held = True
            elif isinstance(action, RemoveAddresses):
                assert self.held
                self.held = False
            elif isinstance(action, RoleChanged):
                assert action.before is self.role
                assert action.after is not action.before
                self.role = action.after
            elif isinstance(action, Send):
                assert self.held
                assert 0 <= action.advert.priority <= 255
            elif isinstance(action, Stopped):
                assert not self.held


def idle(one: Election | SyncGroup, now: float, end: float) -> float:
    """Serve the timer until a time; it must always advance."""
    for _ in range(20_000):
        due = one.timer()
        if due is None or due > end:
            return end
        now = max(now, due)
        one.expire(now)
        again = one.timer()
        assert again is None or again > now, "the timer is due again at once: a busy loop"
    return now


@settings(deadline=None, max_examples=examples(100))
@given(configured(), ROWS)
def test_addresses_roles_and_adverts_always_fit_together(
    config: Settings, row: list[tuple[float, bool, Call]]
) -> None:
    one, ledger, now = Election(config), Ledger(), 1e6
    one.start(now)
    for pause, stalls, call in row:
        # Without a stall the timer is served on time.
        now = now + pause if stalls else idle(one, now, now + min(pause, 1.0))
        call(one, now)
        ledger.enter(one.actions())
        assert ledger.held is (one.state in HOLDING)
        assert ledger.role is one.role


@settings(deadline=None, max_examples=examples(100))
@given(configured(), ROWS)
def test_left_alone_with_a_good_link_it_ends_as_master_or_stopped_or_not_ready(
    config: Settings, row: list[tuple[float, bool, Call]]
) -> None:
    one, now = Election(config), 1e6
    one.start(now)
    for pause, _, call in row:
        now += pause
        call(one, now)
    one.link(True, now)
    now = idle(one, now, now + 4 * LONGEST + 20.0)
    assert one.state in (State.MASTER, State.INIT) or not one.contends


# Groups.


def of_group(name: str, call: Call) -> GroupCall:
    """The same call of a group."""

    def called(group: SyncGroup, now: float) -> None:
        recorder = _Forward(group, name)
        call(recorder, now)  # type: ignore[arg-type]

    return called


class _Forward:
    """Looks like a member, and calls the group."""

    def __init__(self, group: SyncGroup, name: str) -> None:
        self._group, self._name = group, name

    def __getattr__(self, call: str) -> Callable[..., object]:
        method: Callable[..., object] = getattr(self._group, call)
        if call in ("receive", "link", "set_priority"):
            return lambda *arguments: method(self._name, *arguments)
        return method


@settings(deadline=None, max_examples=examples(100))
@given(
    configured(), st.lists(st.tuples(PAUSES, BOOLEANS, st.sampled_from("ab"), CALLS), max_size=40)
)
def test_members_of_a_group_never_disagree_about_who_leads(
    config: Settings, row: list[tuple[float, bool, str, Call]]
) -> None:
    group, now = SyncGroup({"a": config, "b": config}), 1e6
    ledgers = {name: Ledger() for name in group.members}
    group.start(now)
    for pause, stalls, name, call in row:
        now = now + pause if stalls else idle(group, now, now + min(pause, 1.0))
        of_group(name, call)(group, now)
        actions = group.actions()
        for member, ledger in ledgers.items():
            ledger.enter([action for whose, action in actions if whose == member])
        states = {one.state for one in group.members.values()}
        if State.MASTER in states:
            assert states == {State.MASTER}


@settings(deadline=None, max_examples=examples(100))
@given(configured(), st.lists(st.tuples(PAUSES, st.sampled_from("ab"), CALLS), max_size=40))
def test_a_group_left_alone_with_good_links_ends_whole(
    config: Settings, row: list[tuple[float, str, Call]]
) -> None:
    group, now = SyncGroup({"a": config, "b": config}), 1e6
    group.start(now)
    for pause, name, call in row:
        now += pause
        of_group(name, call)(group, now)
    for name in group.members:
        group.link(name, True, now)
    idle(group, now, now + 8 * LONGEST + 20.0)
    states = {one.state for one in group.members.values()}
    contends = all(one.contends for one in group.members.values())
    assert states in ({State.MASTER}, {State.INIT}) or not contends


def test_resignations_are_the_only_adverts_of_priority_0() -> None:
    """The ledger above lets them pass; here is when they come."""
    config = Settings(51, (VIP,), ip_address("10.0.0.41"))
    one = Election(config, ready=True)
    one.start(0.0)
    idle(one, 0.0, 60.0)
    said = {action.advert.priority for action in one.actions() if isinstance(action, Send)}
    assert RESIGN not in said
