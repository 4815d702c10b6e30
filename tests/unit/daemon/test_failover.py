"""What comes of a failover: the words of the VRRP process, folded into one answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from lvsguard.admin.failover import FailoverRefused, Outcome
from lvsguard.core.config import Config, VipConfig
from lvsguard.core.event import Event
from lvsguard.core.vrrp import VrrpConfig
from lvsguard.core.vrrp_event import FailoverAsked
from lvsguard.daemon.failover import Failovers
from lvsguard.vrrp.client import VrrpClient
from lvsguard.vrrp.message import Failover, Put, Resume, ToController, Told, ToProcess, event_of
from tests.support.rig import VIP, config
from tests.support.vrrp_peer import Peer, connected, stage, state

Script = Callable[[ToProcess], list[ToController]]
QUICK = VrrpConfig(51, 150, interval=0.02)
HEIR = "10.0.0.40"
ALICE = "alice (uid 1000)"


def vip(name: str, group: str | None = None) -> VipConfig:
    return VipConfig(name, (VIP,), replace(QUICK, sync_group=group))


def elected(*vips: VipConfig) -> Config:
    return replace(config(), vips=vips or (vip("web"),))


def master(received: ToProcess) -> list[ToController]:
    """Is master of everything, and does nothing."""
    return [state(received.name, "master", "10.0.0.41")] if isinstance(received, Put) else []


def backup(received: ToProcess) -> list[ToController]:
    return [state(received.name, "backup", HEIR)] if isinstance(received, Put) else []


def yielding(received: ToProcess) -> list[ToController]:
    """As master, with a successor for everything."""
    if not isinstance(received, Failover):
        return master(received)
    name = received.name
    return [
        stage(name, "begun"),
        stage(name, "heard", HEIR),
        state(name, "backup", HEIR, held_back=True),
    ]


def forsaken(received: ToProcess) -> list[ToController]:
    """As master, alone."""
    if not isinstance(received, Failover):
        return master(received)
    return [stage(received.name, "begun"), stage(received.name, "nobody")]


@dataclass
class Bench:
    peer: Peer
    failovers: Failovers
    events: list[Event] = field(default_factory=list)


@asynccontextmanager
async def bench(script: Script, given: Config | None = None) -> AsyncIterator[Bench]:
    events: list[Event] = []
    made: list[Failovers] = []

    def told(received: object) -> None:
        assert isinstance(received, Told)
        made[0].told(event_of(received))

    peer = Peer(script)
    client = VrrpClient(
        told=told,
        changed=lambda state: made[0].changed(),
        died=lambda how: made[0].changed(),
        name=peer.name,
    )
    made.append(Failovers(client, emit=events.append))
    given = given or elected()
    made[0].configure(given)
    async with connected(peer, client, given):
        yield Bench(peer, made[0], events)


async def test_it_ends_when_the_successor_has_taken_over() -> None:
    async with bench(yielding) as at:
        (one,) = await at.failovers.failover(None, ALICE)
    assert (one.vip, one.outcome, one.successor) == ("web", Outcome.DONE, HEIR)
    assert one.text == (
        "10.0.0.40 has taken over; to preempt again: lvsguard failover web --resume"
    )
    assert one.seconds < 1
    assert at.events == [FailoverAsked("web", ALICE, resume=False)]


async def test_that_nobody_came_is_told_with_what_to_look_at() -> None:
    async with bench(forsaken) as at:
        (one,) = await at.failovers.failover("web", ALICE)
    assert (one.outcome, one.successor) == (Outcome.NOBODY, "")
    assert "this director went on as master" in one.text
    assert "it must run, be ready" in one.text


async def test_of_two_families_one_that_found_its_successor_is_enough() -> None:
    def split(received: ToProcess) -> list[ToController]:
        if not isinstance(received, Failover):
            return master(received)
        return [
            stage("web", "heard", HEIR),
            stage("web", "nobody"),
            state("web", "backup", HEIR, held_back=True),
        ]

    async with bench(split) as at:
        (one,) = await at.failovers.failover("web", ALICE)
    assert (one.outcome, one.successor) == (Outcome.DONE, HEIR)


@pytest.mark.slow
async def test_silence_has_an_end() -> None:
    async with bench(master) as at:
        (one,) = await at.failovers.failover("web", ALICE)
    assert one.outcome is Outcome.UNFINISHED
    assert "still under way" in one.text
    assert one.seconds < 5


async def test_a_process_that_dies_meanwhile_is_told() -> None:
    async with bench(master) as at:

        def dying(received: ToProcess) -> list[ToController]:
            if isinstance(received, Failover):
                at.peer.hang_up()
            return []

        at.peer.script = dying
        (one,) = await at.failovers.failover("web", ALICE)
    assert one.outcome is Outcome.UNFINISHED


async def test_a_director_that_is_not_master_refuses_and_says_who_is() -> None:
    async with bench(backup) as at:
        for name in ("web", None):
            with pytest.raises(FailoverRefused, match=r"run this on the one that is \(10.0.0.40\)"):
                await at.failovers.failover(name, ALICE)
        assert not any(isinstance(one, Failover) for one in at.peer.heard)
        assert at.events == []


async def test_a_vip_that_nobody_can_take_over_is_refused() -> None:
    lone = VipConfig("lone", (VIP,))
    async with bench(yielding, elected(vip("web"), lone)) as at:
        with pytest.raises(FailoverRefused, match="has no election"):
            await at.failovers.failover("lone", ALICE)
        with pytest.raises(FailoverRefused, match="no VIP is named 'wbe'") as refused:
            await at.failovers.failover("wbe", ALICE)
        assert (refused.value.code, refused.value.known) == ("unknown-vip", ("web",))


async def test_without_a_vrrp_process_it_is_refused() -> None:
    async with bench(yielding) as at:
        pass
    with pytest.raises(FailoverRefused, match="not there just now"):
        await at.failovers.failover("web", ALICE)


async def test_groups_that_move_together_are_asked_together() -> None:
    given = elected(vip("web", "both"), vip("alone"), vip("mail", "both"))
    async with bench(yielding, given) as at:
        found = await at.failovers.failover("mail", ALICE)
        asked = [one.name for one in at.peer.heard if isinstance(one, Failover)]
    assert [one.vip for one in found] == asked == ["web", "mail"]
    assert {one.outcome for one in found} == {Outcome.DONE}


async def test_resume_lets_it_preempt_again() -> None:
    def held(received: ToProcess) -> list[ToController]:
        if isinstance(received, Put):
            return [state(received.name, "backup", HEIR, held_back=received.name == "web")]
        return [state("web", "backup", HEIR)] if isinstance(received, Resume) else []

    async with bench(held, elected(vip("web"), vip("mail"))) as at:
        (one,) = await at.failovers.resume(None, ALICE)
        assert (one.vip, one.outcome) == ("web", Outcome.DONE)
        assert at.events == [FailoverAsked("web", ALICE, resume=True)]
        assert await at.failovers.resume(None, ALICE) == []
        (one,) = await at.failovers.resume("mail", ALICE)
        assert (one.outcome, one.text) == (Outcome.DONE, "no failover held it back")
        assert len(at.events) == 1


async def test_an_unfit_successor_is_refused_unless_by_force() -> None:
    asked: list[list[str]] = []

    async def wrong(vips: list[str]) -> tuple[str, ...]:
        asked.append(vips)
        return ("director2: its clock is 75.200 s behind",)

    async with bench(yielding) as at:
        at.failovers.objections = wrong
        with pytest.raises(FailoverRefused) as refused:
            await at.failovers.failover(None, ALICE)
        assert refused.value.code == "unfit"
        assert refused.value.problems == (
            "director2: its clock is 75.200 s behind",
            "mend that, or hand over all the same: lvsguard failover --force",
        )
        assert at.events == []
        (one,) = await at.failovers.failover("web", ALICE, force=True)
    assert one.outcome is Outcome.DONE
    assert asked == [["web"], ["web"]]
    (event,) = at.events
    assert str(event) == (
        "VIP web: alice (uid 1000) asked for a failover by force, though director2: its clock is"
        " 75.200 s behind"
    )
