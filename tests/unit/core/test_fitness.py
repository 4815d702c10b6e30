"""Whether another director is fit to take over: one rule a test, each with what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lvsguard.core.clock import Offset
from lvsguard.core.config_keys import How, KeyDifference
from lvsguard.core.fitness import CLOCK_S, PeerFacts, Why, unfit
from lvsguard.core.peer import Account, Comparison, ServiceHealth, VipPart, compare

WELL = Account("0.1.0", "01", programmed=True, vips=(VipPart("web", "backup", True, 100),))
FACTS = PeerFacts(WELL, clock=Offset(0.001, 0.002))
FEWER = "web: 1 of 2 healthy there, 2 here (10.0.0.43 down there)"


def kinds(facts: PeerFacts, *vips: str) -> list[Why]:
    return [one.why for one in unfit(facts, vips or None)]


def how(facts: PeerFacts) -> str:
    (reason,) = unfit(facts)
    return str(reason)


def but(**changed: object) -> PeerFacts:
    return replace(FACTS, account=replace(WELL, **changed))  # type: ignore[arg-type]


def key(*path: str) -> KeyDifference:
    return KeyDifference(path, How.VALUE)


def test_one_with_which_all_is_well_is_fit() -> None:
    assert unfit(FACTS) == ()


def test_of_one_that_is_not_heard_nothing_else_is_said() -> None:
    facts = replace(FACTS, account=None, problem="connection refused", same_overrides=False)
    assert kinds(facts) == [Why.SILENT]
    assert how(facts).startswith("nothing is heard of it (connection refused): see that")


def test_of_one_that_is_not_heard_the_way_is_told_that_they_meet_by() -> None:
    facts = replace(FACTS, account=None)
    assert "the [peer] port is open" in how(facts)
    assert "etcd answers it" in how(replace(facts, by_etcd=True))
    assert "[peer]" not in how(replace(facts, by_etcd=True))


def test_keys_that_differ_are_named() -> None:
    facts = replace(
        FACTS, same_config=False, differing=(key("service", "web", "scheduler"), key("admin"))
    )
    assert kinds(facts) == [Why.CONFIG]
    assert how(facts) == (
        "its config differs in service.web.scheduler: make the files the same and reload"
    )


def test_keys_of_the_host_alone_are_no_matter() -> None:
    facts = replace(FACTS, same_config=False, differing=(key("admin", "socket"), key("telemetry")))
    assert unfit(facts) == ()
    assert unfit(replace(FACTS, same_config=False, differing=())) == ()


def test_a_config_of_which_no_key_is_known_yet_counts() -> None:
    assert "in which keys" in how(replace(FACTS, same_config=False, differing=None))


@pytest.mark.parametrize(
    ("changed", "why", "text"),
    [
        (
            {"vips": (VipPart("web", "fault", True, why="eth0 is down"),)},
            Why.STANDING,
            "VIP web: it is fault (eth0 is down): lvsguard status there",
        ),
        (
            {"vips": (VipPart("web", "init", False),)},
            Why.STANDING,
            "VIP web: it is init: lvsguard status there",
        ),
        (
            {"vips": (VipPart("web", "backup", False, why="file /etc/no is there"),)},
            Why.STANDING,
            "VIP web: it stands back (file /etc/no is there): lvsguard status there",
        ),
        (
            {"modules_lacking": ("ip_vs_mh",)},
            Why.MODULES,
            "its kernel lacks ip_vs_mh: there, modprobe -a ip_vs_mh",
        ),
        (
            {"programmed": False, "trouble": ("IPVS refuses web: EINVAL", "more")},
            Why.KERNEL,
            "its IPVS table is not what it should be: IPVS refuses web: EINVAL",
        ),
        (
            {"programmed": False},
            Why.KERNEL,
            "its IPVS table is not what it should be: lvsguard status there says why",
        ),
        ({"probers_lacking": 1}, Why.PROBERS, "1 of its probers do not run, so its verdicts are"),
        (
            {"sync_lacking": ("backup",)},
            Why.SYNC,
            "the kernel's sync daemon (backup) does not run there, so connections would break",
        ),
        (
            {"table_lacks": "no table came from 10.0.0.41: no answer"},
            Why.TABLE,
            "it may not know all connections (no table came from 10.0.0.41: no answer)",
        ),
    ],
)
def test_what_it_tells_of_itself_counts(changed: dict[str, object], why: Why, text: str) -> None:
    assert kinds(but(**changed)) == [why]
    assert how(but(**changed)).startswith(text)


def test_only_the_vip_groups_that_are_asked_for_count() -> None:
    parts = (VipPart("web", "backup", True), VipPart("mail", "fault", False))
    facts = but(vips=parts)
    assert kinds(facts) == [Why.STANDING]
    assert kinds(facts, "web") == []
    assert kinds(facts, "mail") == [Why.STANDING]


def test_checks_that_fail_from_there_alone_count() -> None:
    facts = replace(FACTS, seen=Comparison(2, 1, (FEWER,), (FEWER,)))
    assert kinds(facts) == [Why.CHECKS]
    assert FEWER in how(facts)
    assert unfit(replace(FACTS, seen=Comparison(1, 2, ("web: 2 of 2 there, 1 here",)))) == ()


def test_one_that_sees_as_many_but_others_is_not_fit() -> None:
    """The realserver that it does not see is one that clients are served by now."""
    mine = {"web": ServiceHealth(1, 0, 2, 1, ("10.0.0.43",))}
    theirs = {"web": ServiceHealth(1, 0, 2, 1, ("10.0.0.42",))}
    facts = replace(FACTS, seen=compare(mine, theirs))
    assert kinds(facts) == [Why.CHECKS]
    assert "10.0.0.42 down there" in how(facts)
    assert kinds(replace(FACTS, seen=compare(mine, mine))) == []


def test_overrides_that_it_does_not_know_count() -> None:
    assert kinds(replace(FACTS, same_overrides=False)) == [Why.OVERRIDES]
    refused = replace(FACTS, same_overrides=False, refused="its clock is ahead")
    assert how(refused) == "its overrides were not taken: its clock is ahead"


@pytest.mark.parametrize(
    ("offset", "fit"),
    [
        (None, True),
        (Offset(CLOCK_S, 0.0), True),
        (Offset(CLOCK_S + 0.5, 0.6), True),
        (Offset(CLOCK_S + 0.5, 0.1), False),
        (Offset(-60.0, 0.1), False),
    ],
)
def test_clocks_count_as_far_as_it_is_certain(offset: Offset | None, fit: bool) -> None:
    facts = replace(FACTS, clock=offset)
    assert kinds(facts) == ([] if fit else [Why.CLOCK])


def test_all_that_is_wrong_is_said_in_one_order() -> None:
    account = replace(WELL, programmed=False, sync_lacking=("backup",))
    facts = replace(
        FACTS, account=account, same_config=False, differing=(key("ipvs"),), clock=Offset(9.0, 0.1)
    )
    assert kinds(facts) == [Why.CONFIG, Why.KERNEL, Why.SYNC, Why.CLOCK]
