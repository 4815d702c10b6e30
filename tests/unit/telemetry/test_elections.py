"""The elections' metrics: roles, counts that only grow, a histogram of lateness."""

from __future__ import annotations

import re
from dataclasses import replace
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from lvsguard.core.config import Config, VipConfig
from lvsguard.core.dropped import Discard, Reason
from lvsguard.core.election_status import ElectionCounts, ElectionStatus
from lvsguard.core.snapshot import Role
from lvsguard.core.vrrp import VrrpConfig
from lvsguard.core.vrrp_event import RoleChanged
from lvsguard.telemetry.elections import Elections
from lvsguard.telemetry.exposition import Form
from tests.support.published import ELECTED, ELECTION, VIP, Picture
from tests.unit.telemetry.test_metrics import samples

assert ELECTION.counts is not None
COUNTS: ElectionCounts = ELECTION.counts
BACKUP = Picture(groups=(ELECTED,))


def config(*vips: str) -> Config:
    return Config(
        "director1",
        "eth0",
        tuple(VipConfig(vip, (VIP,), VrrpConfig(51)) for vip in vips),
        (),
        "0123456789ab",
    )


def told(elections: Elections, picture: Picture = BACKUP) -> dict[str, float]:
    """Samples by name and labels."""
    return samples(b"".join(elections.pieces(picture, Form.TEXT)).decode())


def sent(count: int, *, pid: int = 1) -> ElectionStatus:
    return replace(ELECTION, pid=pid, counts=replace(COUNTS, sent={"web": count}))


SENT = "lvsguard_vrrp_adverts_sent_total[('vip', 'web')]"


def test_one_state_is_1_and_all_others_are_0() -> None:
    elections = Elections()
    elections.take(ELECTION)
    found = told(elections)
    for role in Role:
        name = f"lvsguard_vrrp_state[('state', '{role}'), ('vip', 'web')]"
        assert found[name] == (role is Role.BACKUP)
    assert found["lvsguard_vrrp_priority[('vip', 'web')]"] == 100
    assert found["lvsguard_vrrp_ready[('vip', 'web')]"] == 1
    paths = {name: n for name, n in found.items() if name.startswith("lvsguard_vrrp_path_heard[")}
    assert [(name[25:], n) for name, n in paths.items()] == [
        ("[('interface', 'eth0'), ('vip', 'web')]"[1:], 1),
        ("[('interface', 'eth1'), ('vip', 'web')]"[1:], 0),
    ]
    assert found["lvsguard_vrrp_process_alive[]"] == 1
    assert found["lvsguard_vrrp_real_time[]"] == 1


def test_a_lone_director_tells_nothing_of_elections() -> None:
    elections = Elections()
    assert told(elections) == {}
    elections.take(ELECTION)
    elections.take(None)
    assert told(elections) == {}


def test_a_vip_group_without_election_has_no_state() -> None:
    elections = Elections()
    elections.take(ELECTION)
    lone = replace(ELECTED, name="other", vrid=None)
    assert not [name for name in told(elections, Picture(groups=(lone,))) if "'other'" in name]


def test_a_process_that_told_nothing_yet_is_not_alive_and_counts_nothing() -> None:
    elections = Elections()
    elections.take(replace(ELECTION, alive=False, pid=0, ready={}, counts=None))
    found = told(elections)
    assert found["lvsguard_vrrp_process_alive[]"] == 0
    assert found["lvsguard_vrrp_ready[('vip', 'web')]"] == 0
    assert SENT not in found
    assert "lvsguard_vrrp_real_time[]" not in found


def test_a_process_that_the_daemon_finds_is_not_at_0_before_it_has_told() -> None:
    """To Prometheus 4, 0 and 4 are four more: a conflict of last week would be one of now."""
    elections = Elections()
    elections.configure(config("web"))
    elections.take(replace(ELECTION, alive=False, pid=0, ready={}, counts=None))
    counters = [
        name for name in told(elections) if re.search("_(adverts|packets|conflicts)_", name)
    ]
    assert counters == []
    elections.take(ELECTION)
    assert told(elections)["lvsguard_vrrp_conflicts_total[('vip', 'web')]"] == 1
    elections.take(replace(ELECTION, alive=False, pid=0, counts=None))
    assert told(elections)["lvsguard_vrrp_conflicts_total[('vip', 'web')]"] == 1


def test_the_same_picture_twice_counts_once() -> None:
    elections = Elections()
    elections.take(ELECTION)
    elections.take(ELECTION)
    assert told(elections)[SENT] == 20


def test_a_process_that_is_replaced_goes_on_where_the_dead_one_ended() -> None:
    elections = Elections()
    elections.take(sent(20, pid=1))
    elections.take(replace(sent(0, pid=0), counts=None))
    elections.take(sent(30, pid=2))
    assert told(elections)[SENT] == 50


def test_a_connection_that_is_made_again_to_the_same_process_counts_nothing_twice() -> None:
    elections = Elections()
    elections.take(sent(20, pid=1))
    elections.take(replace(sent(0, pid=1), alive=False, counts=None))
    elections.take(sent(21, pid=1))
    assert told(elections)[SENT] == 21


def test_a_vip_group_that_begins_anew_in_the_same_process_only_grows() -> None:
    elections = Elections()
    elections.take(sent(20))
    elections.take(sent(3))
    assert told(elections)[SENT] == 23


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 1000)), max_size=30))
def test_a_counter_never_falls_and_is_never_more_than_what_was_counted(
    pictures: list[tuple[int, int]],
) -> None:
    elections = Elections()
    before = 0.0
    for pid, count in pictures:
        elections.take(sent(count, pid=pid))
        now = told(elections)[SENT]
        assert before <= now <= before + count
        before = now


def test_a_vip_group_that_left_the_configuration_is_forgotten() -> None:
    elections = Elections()
    elections.configure(config("web", "mail"))
    both = replace(COUNTS, sent={"web": 1, "mail": 2}, rejected={"mail": {"ttl": 1}})
    elections.take(replace(ELECTION, counts=both))
    assert "'mail'" in str(told(elections))
    elections.configure(config("web"))
    assert "'mail'" not in str(told(elections))
    assert told(elections)[SENT] == 1


def test_lateness_is_a_cumulative_histogram() -> None:
    elections = Elections()
    elections.take(ELECTION)
    elections.take(
        replace(
            ELECTION,
            pid=2,
            counts=replace(COUNTS, lateness={0.001: 1, 0.002: 0, inf: 0}, lateness_sum=0.5),
        )
    )
    found = told(elections)
    name = "lvsguard_vrrp_timer_lateness_seconds"
    assert [found[f"{name}_bucket[('le', '{le}')]"] for le in ("0.001", "0.002", "+Inf")] == [
        18,
        20,
        21,
    ]
    assert found[f"{name}_count[]"] == 21
    assert found[f"{name}_sum[]"] == 2.0


def test_reasons_have_a_series_each() -> None:
    elections = Elections()
    elections.take(ELECTION)
    found = told(elections)
    rejected = "lvsguard_vrrp_adverts_rejected_total[('reason', '{}'), ('vip', 'web')]"
    assert found[rejected.format("ttl")] == 2
    assert found[rejected.format("checksum")] == 1
    assert found["lvsguard_vrrp_packets_discarded_total[('reason', 'short')]"] == 3


def test_every_reason_is_there_from_the_start_at_0() -> None:
    """Else ``increase()`` does not see the first burst: what begins at 7 grew by nothing."""
    elections = Elections()
    elections.configure(config("web", "mail"))
    nothing: dict[str, int] = {}
    fresh = replace(COUNTS, rejected={}, discarded={}, sent=nothing, late=nothing)
    fresh = replace(fresh, resigned=nothing, resignations=nothing)
    elections.take(replace(ELECTION, counts=fresh))
    found = told(elections)
    rejected = "lvsguard_vrrp_adverts_rejected_total[('reason', '{}'), ('vip', '{}')]"
    assert [found[rejected.format(why, vip)] for vip in ("web", "mail") for why in Reason] == (
        [0] * 2 * len(Reason)
    )
    discarded = "lvsguard_vrrp_packets_discarded_total[('reason', '{}')]"
    assert [found[discarded.format(why)] for why in Discard] == [0] * len(Discard)
    for name in ("sent", "late", "priority_zero_adverts_sent", "priority_zero_adverts_received"):
        metric = f"lvsguard_vrrp_{name if '_' in name else f'adverts_{name}'}_total"
        assert [found[f"{metric}[('vip', '{vip}')]"] for vip in ("web", "mail")] == [0, 0]
    elections.take(ELECTION)
    assert told(elections)[rejected.format("ttl", "web")] == 2
    elections.configure(config("web"))
    assert told(elections)[rejected.format("ttl", "web")] == 2, "a reload keeps the counts"


class TestTransitions:
    TO = "lvsguard_vrrp_transitions_total[('to', '{}'), ('vip', 'web')]"

    def test_every_role_is_there_from_the_start_at_0(self) -> None:
        elections = Elections()
        elections.configure(config("web"))
        elections.take(ELECTION)
        assert [told(elections)[self.TO.format(role)] for role in Role] == [0, 0, 0, 0]

    def test_both_families_of_a_vip_group_are_one_change(self) -> None:
        elections = Elections()
        elections.configure(config("web"))
        elections.take(ELECTION)
        for before, after in (("init", "backup"), ("backup", "master"), ("master", "backup")):
            for _ in (4, 6):
                elections.changed(RoleChanged("web", before, after, "why", ""))
        found = told(elections)
        assert found[self.TO.format("backup")] == 2
        assert found[self.TO.format("master")] == 1

    def test_a_reload_keeps_the_counts(self) -> None:
        elections = Elections()
        elections.configure(config("web"))
        elections.take(ELECTION)
        elections.changed(RoleChanged("web", "init", "backup", "why", ""))
        elections.configure(config("web", "mail"))
        assert told(elections)[self.TO.format("backup")] == 1

    def test_a_vip_group_that_nobody_configured_is_passed_over(self) -> None:
        elections = Elections()
        elections.take(ELECTION)
        elections.changed(RoleChanged("other", "init", "backup", "why", ""))
        assert "'other'" not in str(told(elections))
