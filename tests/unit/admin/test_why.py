"""`why` names the true cause: one transcript for each failure, from facts of the real core."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, ip_address

import pytest

from lvsguard.admin import why_vip
from lvsguard.admin.why_checks import sentences
from lvsguard.controller.standing import Seen, Standing
from lvsguard.controller.view import elected_status
from lvsguard.core.agent import Agent, AgentKind, AgentSpec, Answer, Mode
from lvsguard.core.config import Check, CheckKind, CheckSpec, HttpSpec, SorryServer, VipPath
from lvsguard.core.event import LinkEvent, ProberDied, Repaired, StepRefused
from lvsguard.core.health import FailureClass, Health, Hint, Result
from lvsguard.core.model import Protocol, RealserverKey, ServiceKey, VirtualService
from lvsguard.core.override import CONFLICT, Override, OverrideKind, Target, Weight
from lvsguard.core.snapshot import CheckStatus, ConflictStatus, ForeignStatus, Role, VipStatus
from lvsguard.core.step import AddService
from lvsguard.core.vrrp import VrrpConfig
from lvsguard.core.vrrp_event import (
    FailoverAsked,
    PriorityChanged,
    RoleChanged,
    VipConflict,
    VipConflictOver,
    VrrpProcessDied,
)
from lvsguard.probes import icmp
from lvsguard.probes.http import HttpCheck
from lvsguard.probes.icmp import Unreachable
from lvsguard.probes.outcome import Outcome, connect_expired, connect_failed
from lvsguard.vrrp.message import Address, State
from lvsguard.vrrp.transitions import Trigger
from tests.support.golden import Golden
from tests.support.published import NOON, OTHER, WELL
from tests.support.rig import OK, RS1, RS2, VIP, WEB, config, realserver, service
from tests.support.why_stage import BEGIN, Stage

ALICE = "alice (uid 1000)"
CHECK = Check(
    RS1.address, 80, CheckSpec(CheckKind.HTTP, http=HttpSpec(path="/health", expect_body="well"))
)
SPEC = replace(CHECK.spec, http=HttpSpec(path="/health"))


def result(outcome: Outcome | None, duration: float = 0.001) -> Result:
    assert outcome is not None
    return Result(outcome.ok, outcome.code, outcome.reason, duration, outcome.failure, outcome.seen)


def answered(*parts: bytes, spec: CheckSpec = SPEC) -> Result:
    """What a real conversation makes of an answer."""
    talk = HttpCheck(replace(CHECK, spec=spec)).open()
    found = None
    for part in parts:
        found = found or talk.feed(part)
    return result(found or talk.expired(1.0), 0.001 if found else 1.0)


REFUSED = result(connect_failed(111))
NO_SYN = result(connect_expired(1.0), 1.0)
BUSY = answered(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy")
HANGS = answered()


def well(**changes: object) -> Stage:
    """The seed network, both realservers well, a minute later."""
    stage = Stage(config(replace(service(), **changes)))  # type: ignore[arg-type]
    for key in (RS1, RS2):
        stage.probe(key, OK)
    stage.wait(60)
    return stage


def drain(kind: OverrideKind = OverrideKind.DRAIN, **fields: object) -> Override:
    given: dict[str, object] = {"since": NOON + 60, "reason": "kernel update"} | fields
    return Override(Target(RS1.address), kind, ALICE, **given)  # type: ignore[arg-type]


async def check(golden: Golden, name: str, stage: Stage, target: str = "10.0.0.42") -> str:
    text = await stage.transcript(target)
    golden.check(f"why/{name}.txt", text)
    return text


# -- realservers ---------------------------------------------------------------------------------


async def test_all_is_well(golden: Golden) -> None:
    await check(golden, "well", well())


async def test_a_server_that_was_killed(golden: Golden) -> None:
    stage = well()
    stage.probe(RS1, REFUSED, hint=Hint("canary", "closed after 59.9 s", stage.now - 0.012))
    stage.wait(12)
    await check(golden, "server-killed", stage)


async def test_a_server_that_was_killed_before_the_daemon_was_started_anew(golden: Golden) -> None:
    stage = Stage(config())
    stage.probe(RS1, REFUSED)
    stage.probe(RS2, OK)
    (asked,) = realserver(RS1).checks
    stage.book.health[asked] = replace(stage.book.health[asked], kept=NOON - 3 * 86400)
    stage.wait(12)
    await check(golden, "server-killed-before-the-start", stage)


async def test_a_host_that_is_dead(golden: Golden) -> None:
    stage = well()
    reason = "no connection within 200 ms, and the host is silent"
    dead = Result(False, "L4TOUT", reason, 0.2, FailureClass.HOST_DEAD)
    hint = Hint("arp", "the host is silent for 600 ms", stage.now - 0.6, silent=True)
    stage.probe(RS1, dead, hint=hint)
    stage.wait(5)
    await check(golden, "host-dead", stage)


async def test_an_answer_with_503(golden: Golden) -> None:
    stage = well()
    stage.probe(RS1, BUSY, BUSY)
    stage.wait(90)
    await check(golden, "503", stage)


async def test_a_firewall_that_rejects(golden: Golden) -> None:
    stage = well()
    said = Unreachable(10, RS1.address, IPv4Address("10.0.0.41"))
    for _ in range(2):
        stage.probe(RS1, result(icmp.connect_failed(113, said, RS1.address)))
    stage.wait(12)
    await check(golden, "firewall-rejects", stage)


async def test_a_server_that_hangs(golden: Golden) -> None:
    stage = well()
    stage.probe(RS1, HANGS, HANGS)
    stage.wait(4)
    await check(golden, "hang", stage)


async def test_a_firewall_that_drops(golden: Golden) -> None:
    stage = well()
    stage.probe(RS1, NO_SYN, NO_SYN)
    stage.wait(4)
    await check(golden, "no-answer", stage)


async def test_a_listener_that_was_closed(golden: Golden) -> None:
    stage = well()
    stage.probe(RS1, REFUSED)
    stage.wait(4)
    stage.probe(RS1, OK)
    await check(golden, "listener-closed-on-its-way-back", stage)


async def test_wrong_content(golden: Golden) -> None:
    page = b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\nout of order"
    stage = well()
    wrong = answered(page, spec=CHECK.spec)
    stage.probe(RS1, wrong, wrong)
    stage.wait(4)
    await check(golden, "wrong-content", stage)


async def test_a_realserver_without_the_vip(golden: Golden) -> None:
    spec = replace(SPEC, path=VipPath(VIP.address, 80))
    stage = Stage(config(service(realserver(RS1, spec=spec), realserver(RS2))))
    stage.probe(RS2, OK)
    reason = (
        "10.0.0.42:80 answers, the VIP 10.0.0.8:80 does not (no connection within 1 s):"
        " the VIP is not set up there, or a firewall drops it; run lvsguard realserver check --vip"
        " 10.0.0.8 --rip 10.0.0.42 there"
    )
    stage.probe(RS1, Result(False, "L4TOUT", reason, 1.0, FailureClass.VIP_PATH))
    stage.wait(3)
    await check(golden, "vip-not-bound", stage)


async def test_a_drain_by_an_admin(golden: Golden) -> None:
    stage = well()
    stage.put(drain(expires=NOON + 7200, ticket="OPS-1234"))
    stage.wait(600)
    await check(golden, "drained", stage)


async def test_a_drain_of_one_that_died_meanwhile(golden: Golden) -> None:
    stage = well()
    stage.put(drain())
    stage.wait(60)
    stage.probe(RS1, REFUSED)
    stage.wait(60)
    await check(golden, "drained-and-down", stage)


async def test_a_realserver_that_an_admin_disabled(golden: Golden) -> None:
    stage = well()
    target = Target(RS1.address, 80, "web")
    stage.put(replace(drain(OverrideKind.DISABLE, reason="disk broken"), target=target))
    stage.wait(30)
    await check(golden, "disabled", stage)


async def test_a_weight_that_an_admin_set(golden: Golden) -> None:
    stage = well()
    stage.put(drain(OverrideKind.WEIGHT, reason="", weight=Weight(0)))
    stage.wait(30)
    await check(golden, "weight-0-by-admin", stage)


async def test_weight_0_by_its_agent(golden: Golden) -> None:
    agent = Agent(RS1.address, 8777, 1, AgentSpec(AgentKind.TEXT))
    asked = replace(realserver(RS1), agent=agent)
    stage = Stage(config(service(asked, realserver(RS2))))
    stage.say(agent, Answer(mode=Mode.READY, up=True))
    stage.probe(RS1, OK)
    stage.probe(RS2, OK)
    stage.wait(60)
    stage.say(agent, Answer(percent=0.0))
    stage.wait(10)
    await check(golden, "agent-weight-0", stage)
    stage.say(agent, Answer(mode=Mode.DRAIN))
    await check(golden, "agent-drain", stage)
    stage.say(agent, Answer(up=False, why="disk full"))
    await check(golden, "agent-down", stage)


async def test_panic(golden: Golden) -> None:
    stage = well(panic_below=0.9)
    stage.probe(RS1, BUSY, BUSY)
    stage.wait(10)
    await check(golden, "panic", stage)


async def test_a_sorry_server(golden: Golden) -> None:
    sorry = SorryServer(RealserverKey(ip_address("10.0.0.50"), 80))
    stage = well(sorry_server=sorry, quorum=2)
    stage.probe(RS2, REFUSED)
    stage.wait(10)
    await check(golden, "sorry-server", stage)
    await check(golden, "sorry-server-service", stage, "web")


async def test_a_slow_start(golden: Golden) -> None:
    slow = replace(service(realserver(RS1, 10), realserver(RS2, 10)), slow_start=60.0)
    stage = Stage(config(slow))
    stage.probe(RS1, OK)
    stage.probe(RS2, OK)
    stage.wait(60)
    stage.probe(RS1, REFUSED)
    stage.wait(10)
    stage.probe(RS1, OK, OK)
    stage.wait(20)
    await check(golden, "slow-start", stage)


async def test_a_realserver_that_the_config_names_no_more(golden: Golden) -> None:
    stage = well()
    stage.put(drain())
    stage.wait(60)
    stage.reload(config(service(realserver(RS2)), digest="ba9876543210"), ALICE)
    stage.wait(300)
    await check(golden, "removed-by-config", stage)


async def test_a_realserver_that_was_not_probed_yet(golden: Golden) -> None:
    stage = Stage(config())
    stage.wait(0.1)
    await check(golden, "unprobed", stage)


async def test_one_that_was_found_in_the_kernel_and_has_no_verdict_yet(golden: Golden) -> None:
    before = well()
    stage = Stage(config(), left := BEGIN)
    assert left == stage.now
    stage.left = before.left
    stage.book.adopt(dict(before.left.services))
    stage.wait(0.1)
    await check(golden, "adopted", stage)


async def test_a_target_that_nobody_knows() -> None:
    assert await well().ask("10.9.9.9") is None
    assert await well().ask("nobody") is None


async def test_a_service_of_somebody_else(golden: Golden) -> None:
    key = ServiceKey.at(Protocol.TCP, ip_address("10.0.0.9"), 80)
    stage = well()
    stage.foreign = (ForeignStatus(key, "rr", {}),)
    await check(golden, "foreign", stage, "10.0.0.9:80")


async def test_what_ended_is_told_in_the_timeline(golden: Golden) -> None:
    stage = well()
    held = drain()
    stage.put(held)
    stage.wait(60)
    stage.clear(held, "bob (uid 1001)")
    stage.wait(5)
    await check(golden, "undrained", stage)


async def test_whose_drain_was_replaced_is_in_the_timeline(golden: Golden) -> None:
    stage = well()
    stage.put(drain(reason="disk broken"))
    stage.wait(60)
    again = replace(
        drain(), actor="bob (uid 1001)", since=stage.wall(stage.now), reason="release 4.2"
    )
    stage.put(again)
    await check(golden, "drained-over", stage)
    stage.wait(60)
    stage.clear(again, "bob (uid 1001)")
    stage.wait(5)
    await check(golden, "undrained-over", stage)


async def test_what_was_undrained_on_another_director(golden: Golden) -> None:
    stage = well()
    held = drain()
    stage.put(held)
    stage.wait(60)
    stage.clear(held, "bob (uid 1001) on director2", "the update is done")
    stage.wait(5)
    await check(golden, "undrained-elsewhere", stage)


async def test_what_was_undrained_in_another_service(golden: Golden) -> None:
    other = replace(service(), name="other", key=replace(service().key, port=8080))
    stage = Stage(config(service(), other))
    for key in (RS1, RS2):
        stage.probe(key, OK)
    stage.wait(60)
    held = replace(drain(), target=Target(RS1.address, 80, "other"))
    weight = replace(drain(OverrideKind.WEIGHT, weight=Weight(5)), target=Target(RS1.address))
    stage.put(held)
    stage.put(weight)
    stage.wait(60)
    stage.clear(held, "bob (uid 1001)", "the update is done")
    stage.clear(weight, "carol (uid 1002)")
    stage.wait(5)
    text, _, timeline = (await stage.transcript("10.0.0.42")).partition("\n\nwhat happened\n")
    golden.check("why/undrained-in-another-service.txt", f"{text}\n")
    assert "drain of 10.0.0.42:80 in other ended by bob (uid 1001)" in timeline


# -- the kernel, and the director itself ---------------------------------------------------------

SAID = "ip_vs_mh is not loaded: load it with modprobe ip_vs_mh"


async def test_a_step_that_the_kernel_refuses(golden: Golden) -> None:
    stage = well()
    stage.refuses = lambda step: "no memory left: make some" if "-w 7" in str(step) else ""
    stage.put(drain(OverrideKind.WEIGHT, reason="", weight=Weight(7)))
    stage.wait(30)
    await check(golden, "step-refused", stage)


async def test_a_service_that_the_kernel_refuses(golden: Golden) -> None:
    stage = Stage(config(), refuses=lambda step: SAID if isinstance(step, AddService) else "")
    stage.probe(RS1, OK)
    stage.wait(30)
    await check(golden, "service-refused", stage, "web")
    reply = await stage.ask("web")
    assert reply is not None
    (web,) = (one for one in reply.answers if one.kind == "service")
    assert "live weight 1, needs 1: IT IS NOT IN THE KERNEL." in web.sentences[0]
    assert (web.state, web.serves) == ("not-programmed", False)
    reply = await stage.ask("10.0.0.42")
    assert reply is not None
    assert "It lacks the whole service: lvsguard why web says why." in reply.answers[0].sentences


async def test_an_address_that_the_kernel_refuses() -> None:
    stage = well()
    stage.vips = (replace(stage.vips[0], role=Role.INIT, held=frozenset(), master=None),)
    stage.tell(StepRefused("ip addr add 10.0.0.8/24 dev eth0", "no such device: make it"))
    reply = await stage.ask("10.0.0.8")
    assert reply is not None
    vip = next(one for one in reply.answers if one.kind == "vip")
    assert "refused 'ip addr add 10.0.0.8/24 dev eth0'" in vip.sentences[-1]
    assert vip.remedies == ["mend that: it is tried again by itself"]


NO_LINK = "eth0 has no carrier or is down: raise it (ip link set up), look at the cable"
"""As the VRRP process tells it."""


async def test_the_directors_own_link_is_down(golden: Golden) -> None:
    stage = well()
    stage.tell(LinkEvent("eth0", up=False))
    trouble = "interface eth0 is down: look at its cable and `ip link show eth0`"
    stage.pulse = replace(WELL, trouble=(trouble, "the kernel refuses 'x': y"))
    stage.wait(10)
    text = await check(golden, "link-of-the-director-down", stage)
    assert text.count("has trouble") == 1
    stage.vips = (group("fault", master="", problem=NO_LINK, since=stage.wall(stage.now)),)
    reply = await stage.ask("10.0.0.8")
    assert reply is not None
    vip = " ".join(next(one for one in reply.answers if one.kind == "vip").sentences)
    assert vip.count("look at its cable") == 1


async def test_a_prober_that_is_dead(golden: Golden) -> None:
    stage = well()
    stage.tell(ProberDied(0, "signal 9", 2))
    stage.pulse = replace(WELL, probers=0)
    stage.wait(0.2)
    await check(golden, "prober-dead", stage)


async def test_a_vrrp_process_that_is_dead(golden: Golden) -> None:
    stage = director(group())
    stage.tell(VrrpProcessDied("signal 9"))
    stage.wait(0.2)
    await check(golden, "vrrp-process-dead", stage, "10.0.0.8")


async def test_what_somebody_else_changed_in_the_kernel(golden: Golden) -> None:
    stage = well()
    differed = "weight 7 instead of 1"
    subject = "tcp 10.0.0.8:80 10.0.0.42:80"
    stage.tell(Repaired("realserver", subject, differed, (), "web", str(RS1)))
    stage.wait(5)
    await check(golden, "drift", stage)


async def test_what_somebody_else_changed_of_a_service(golden: Golden) -> None:
    """What was changed of one of its realservers is told of that one."""
    stage = well()
    edited = "scheduler wrr became wlc"
    stage.tell(Repaired("service", "tcp 10.0.0.8:80", edited, (), "web"))
    stage.wait(5)
    stage.tell(Repaired("realserver", f"{RS1} in tcp 10.0.0.8:80", "x", (), "web", str(RS1)))
    stage.wait(5)
    await check(golden, "drift-of-a-service", stage, "web")


async def test_a_table_that_somebody_else_cleared_is_told_of_each_service_in_it() -> None:
    stage, again = well(), AddService(WEB, VirtualService("rr"))
    stage.tell(Repaired("table", "the IPVS table", "all 2 services were deleted", (again,)))
    for target in ("web", "10.0.0.8"):
        reply = await stage.ask(target)
        assert reply is not None
        assert [event.kind for event in reply.timeline][-1:] == ["drift"], target


async def test_an_address_that_somebody_else_removed_is_told_of_its_vip() -> None:
    stage = well()
    stage.tell(Repaired("address", "10.0.0.8/24 dev eth0", "it was removed by somebody else", ()))
    reply = await stage.ask("10.0.0.8")
    assert reply is not None
    assert [event.kind for event in reply.timeline][-1:] == ["drift"]


async def test_one_whose_clients_fare_badly(golden: Golden) -> None:
    sign = "connections do not establish: 1.0 packets each, 100 connections in 2 s"
    stage = well()
    stage.suspicion = lambda service, realserver: sign if realserver == RS1 else ""
    await check(golden, "clients-fare-badly", stage)


# -- VIPs ----------------------------------------------------------------------------------------

ELECTION = VrrpConfig(51, 150)
FIT = Standing(True, 150)


def group(
    role: str = "master",
    *,
    master: str = "10.0.0.41",
    standing: Standing = FIT,
    problem: str = "",
    held_back: bool = False,
    since: float = NOON - 60,
) -> VipStatus:
    held = (Address(interface="eth0", address="10.0.0.8", prefix=24),) if role == "master" else ()
    state = State(
        name="web",
        role=role,
        since=since,
        priority=standing.priority,
        master=master,
        held=held,
        held_back=held_back,
        problem=problem,
    )
    vip = config().vips[0]
    return elected_status(replace(vip, vrrp=ELECTION), ELECTION, Seen(state, standing))


def director(status: VipStatus) -> Stage:
    stage = well()
    stage.vips = (status,)
    return stage


async def test_a_vip_without_an_election(golden: Golden) -> None:
    await check(golden, "vip-lone", well(), "10.0.0.8")


async def test_a_master_that_took_over(golden: Golden) -> None:
    stage = director(group(since=NOON + 60))
    stage.tell(RoleChanged("web", "backup", "master", Trigger.MASTER_SILENT, "10.0.0.41"))
    stage.wait(30)
    await check(golden, "vip-took-over", stage, "10.0.0.8")


async def test_a_backup(golden: Golden) -> None:
    stage = director(group("backup", master="10.0.0.40", since=NOON + 60))
    stage.tell(RoleChanged("web", "master", "backup", Trigger.HIGHER_PRIORITY, "10.0.0.40"))
    stage.wait(30)
    await check(golden, "vip-backup", stage, "10.0.0.8")
    await check(golden, "realserver-on-a-backup", stage)


async def test_a_failover_that_an_admin_asked_for(golden: Golden) -> None:
    stage = director(group("backup", master="10.0.0.40", held_back=True, since=NOON + 61))
    stage.tell(FailoverAsked("web", ALICE, False))
    stage.wait(1)
    stage.tell(RoleChanged("web", "master", "backup", Trigger.SUCCESSOR_HEARD, "10.0.0.40"))
    stage.wait(30)
    await check(golden, "vip-failover", stage, "10.0.0.8")


async def test_a_priority_that_a_track_lowered(golden: Golden) -> None:
    why = ("interface eth1 is down",)
    stage = director(group("backup", master="10.0.0.40", standing=Standing(True, 90, why)))
    stage.tell(PriorityChanged("web", 90, True, why[0]))
    stage.wait(30)
    await check(golden, "vip-priority-lowered", stage, "10.0.0.8")


async def test_a_director_that_may_not_be_master(golden: Golden) -> None:
    why = ("service web has no quorum",)
    stage = director(group("backup", master="", standing=Standing(False, 1, why)))
    stage.tell(PriorityChanged("web", 1, False, why[0]))
    stage.wait(30)
    await check(golden, "vip-stands-back", stage, "10.0.0.8")


async def test_a_link_that_is_down(golden: Golden) -> None:
    stage = director(group("fault", master="", problem=NO_LINK, since=NOON + 60))
    stage.tell(RoleChanged("web", "master", "fault", Trigger.LINK_LOST, ""))
    stage.wait(30)
    await check(golden, "vip-fault", stage, "10.0.0.8")


async def test_a_realserver_that_answers_for_the_vip(golden: Golden) -> None:
    mac = "02:00:00:00:00:43"
    status = replace(
        group(),
        conflicts=(ConflictStatus(VIP.address, mac, RS2.address, NOON + 60),),
    )
    stage = director(status)
    told = VipConflict("web", mac, "arp", "10.0.0.8", "10.0.0.43")
    stage.tell(told)
    stage.pulse = replace(WELL, trouble=(str(told),))
    target = Target(RS2.address)
    stage.put(replace(drain(reason="it answers for VIP 10.0.0.8"), target=target, actor=CONFLICT))
    stage.wait(30)
    await check(golden, "vip-conflict", stage, "10.0.0.8")
    await check(golden, "drained-by-lvsguard", stage, "10.0.0.43")


async def test_two_masters(golden: Golden) -> None:
    stage = director(group())
    stage.peers = (replace(OTHER, vips=(replace(OTHER.vips[0], role="master"),)),)
    stage.tell(VipConflict("web", "10.0.0.40", "advert", "priority 100"))
    stage.wait(3)
    await check(golden, "vip-two-masters", stage, "10.0.0.8")


def test_every_cause_of_the_election_is_explained() -> None:
    assert set(why_vip.MEANS) == set(map(str, Trigger))


async def test_two_masters_no_more() -> None:
    stage = director(group())
    stage.tell(VipConflict("web", "10.0.0.40", "advert", "priority 100"))
    stage.tell(VipConflictOver("web", "10.0.0.40", 1.0))
    reply = await stage.ask("10.0.0.8")
    assert reply is not None
    assert [answer.state for answer in reply.answers if answer.kind == "vip"] == ["master"]


# -- what must hold of every answer --------------------------------------------------------------


@pytest.mark.parametrize("target", ["10.0.0.42", "10.0.0.42:80", "web", "10.0.0.8", "10.0.0.8:80"])
async def test_words_that_are_understood(target: str) -> None:
    reply = await well().ask(target)
    assert reply is not None
    assert all(answer.sentences for answer in reply.answers)


async def test_the_id_of_the_verdict_leads_from_its_event_to_the_kernel() -> None:
    stage = well()
    stage.probe(RS1, REFUSED)
    told = [(e.kind, e.data["trace"]) for e in stage.events if e.kind in ("health", "applied")][-2:]
    assert [kind for kind, _ in told] == ["health", "applied"]
    assert told[0][1] == told[1][1]
    reply = await stage.ask("10.0.0.42")
    assert reply is not None
    assert str(told[0][1]) in " ".join(reply.answers[0].sentences)


def test_a_check_that_could_never_be_made_says_why() -> None:
    check = Check(ip_address("10.0.0.42"), 80, CheckSpec(CheckKind.TCP))
    health = Health(note="it cannot be asked: no route to the realserver")
    status = CheckStatus(
        CheckKind.TCP, health.verdict, 0.0, "", "", 0.0, check=check, health=health
    )
    assert list(sentences(status, (), 100.0)) == [
        "Of its check tcp of 10.0.0.42:80: it cannot be asked: no route to the realserver."
    ]
