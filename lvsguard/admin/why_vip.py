"""Who holds a VIP group, since when and why, in sentences. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from lvsguard.admin import why_refusal
from lvsguard.admin.entry import Entry
from lvsguard.admin.filter import is_about
from lvsguard.admin.protocol import moment
from lvsguard.admin.why_reply import WhyAnswer
from lvsguard.core.model import ServiceKey
from lvsguard.core.moment import when
from lvsguard.core.snapshot import ConflictStatus, PeerStatus, Role, VipStatus

MEANS: Final = {
    "started": "the daemon began",
    "owner started": "the daemon began, and the addresses are its own",
    "started with its addresses in place": "the daemon began anew, and had them before",
    "goes on where it was": "the daemon began anew so soon that nobody can have taken over",
    "master silent": "no advert of the master came for a master-down interval",
    "master resigned": "the master left as planned, or was told to",
    "preempts a lower priority": "the master's priority was lower",
    "higher priority heard": "another director with a higher priority spoke",
    "equal priority from a greater address heard": "the greater address wins",
    "own adverts were late": "others may have missed it, so it gave way and listened",
    "failover asked for": "an admin wanted another director to take over",
    "not ready": "it could not serve",
    "group has another master": "its sync group moves together",
    "successor heard": "it had handed over, and the next one spoke",
    "nobody took over": "it had handed over, and nobody came",
    "link lost": "its interface, or the address on it, went away",
    "link back": "its interface came back",
    "link of the owner back": "its interface came back, and the addresses are its own",
    "stopped": "the daemon was stopped",
}
"""What the election's causes mean, in other words."""


def context(service: ServiceKey, vips: Sequence[VipStatus]) -> Iterator[str]:
    """What is worth knowing of a service's VIP on a director that does not hold it."""
    for vip in vips:
        if vip.role is Role.MASTER or not any(a.address == service.address for a in vip.addresses):
            continue
        if vip.vrid is None:
            yield f"This director lacks VIP {vip.name}, so no client reaches it."
            continue
        other = f"; the master is {vip.master}, ask there as well" if vip.master else ""
        yield (
            f"This director is {vip.role} for VIP {vip.name} and keeps its table ready, but no"
            f" client comes through it now{other}."
        )


def explain(
    vip: VipStatus,
    director: str,
    peers: Sequence[PeerStatus],
    history: Sequence[Entry],
    now: float,
) -> WhyAnswer:
    """Why a VIP group is where it is. ``history``: entries about it, oldest first."""
    rivals = list(_rivals(vip, peers, history))
    sentences = [_head(vip, director, now), *_cause(vip, history, now)]
    sentences += [f"BOTH ARE MASTER: {rival}." for rival in rivals]
    sentences += [_conflict(one, now) for one in vip.conflicts]
    sentences += _standing(vip, history, now)
    refused = _refused(vip, history, now)
    sentences += [] if refused is None else [refused]
    return WhyAnswer(
        kind="vip",
        subject=f"VIP {vip.name} ({', '.join(str(a.address) for a in vip.addresses)})",
        service=None,
        state=_state(vip, rivals),
        serves=vip.role is Role.MASTER,
        since=moment(vip.since),
        sentences=sentences,
        remedies=list(_remedies(vip, rivals, refused)),
    )


def _state(vip: VipStatus, rivals: Sequence[str]) -> str:
    if rivals:
        return "two-masters"
    if vip.conflicts:
        return "conflict"
    return str(vip.role)


def _head(vip: VipStatus, director: str, now: float) -> str:
    begun = f", since {when(vip.since, now)}" if vip.since else ""
    if vip.vrid is None:
        if vip.role is Role.MASTER:
            return f"{director} holds VIP {vip.name}; it has no election, so no other takes it."
        missing = [str(a) for a in vip.addresses if a not in vip.held]
        return f"{director} should hold VIP {vip.name}, and lacks {', '.join(missing)}."
    role = "in fault" if vip.role is Role.FAULT else vip.role
    head = f"{director} is {role} for VIP {vip.name}, with priority {vip.priority}{begun}."
    if vip.role is Role.MASTER:
        return head
    if vip.master:
        return f"{head} The master is {vip.master}."
    return f"{head} Nobody is known to be master."


def _cause(vip: VipStatus, history: Sequence[Entry], now: float) -> Iterator[str]:
    """The last change of role, and what led to it."""
    role = next((e for e in reversed(history) if e.kind == "role" and _of(e, vip)), None)
    if role is not None:
        before, after = role.data.get("before"), role.data.get("after")
        cause = role.data.get("cause")
        meaning = f" ({MEANS[cause]})" if isinstance(cause, str) and cause in MEANS else ""
        yield f"It went from {before} to {after} at {when(role.at, now)}: {cause}{meaning}."
        asked = next(
            (e for e in reversed(history) if e.kind == "failover" and 0 <= role.at - e.at < 60),
            None,
        )
        if asked is not None:
            yield f"{asked.data.get('actor')} had asked for a failover at {when(asked.at, now)}."


def _of(entry: Entry, vip: VipStatus) -> bool:
    return entry.data.get("vip") == vip.name


def _rivals(vip: VipStatus, peers: Sequence[PeerStatus], history: Sequence[Entry]) -> Iterator[str]:
    """Who says that it is master beside this director."""
    if vip.role is not Role.MASTER:
        return
    for peer in peers:
        if any(part.name == vip.name and part.role == Role.MASTER for part in peer.vips):
            yield f"{peer.name} ({peer.address}) says over the peer channel that it is, too"
    speaking: dict[str, str] = {}
    for entry in history:
        other = str(entry.data.get("other", ""))
        if not _of(entry, vip):
            continue
        if entry.kind == "conflict" and entry.data.get("how") == "advert":
            speaking[other] = str(entry.data.get("detail", ""))
        elif entry.kind in ("conflict-over", "role"):
            speaking.pop(other, None) if other else speaking.clear()
    for other, detail in speaking.items():
        yield f"{other} says so in its adverts ({detail})"


def _conflict(one: ConflictStatus, now: float) -> str:
    who = one.mac if one.realserver is None else f"realserver {one.realserver} ({one.mac})"
    return (
        f"{who} answers for {one.address}, too, since {when(one.since, now)}:"
        " clients that believe it pass this director by."
    )


def _standing(vip: VipStatus, history: Sequence[Entry], now: float) -> Iterator[str]:
    """What lowers its priority, holds it back, or keeps it out."""
    if vip.problem:
        yield f"It cannot take part: {vip.problem}."
    if vip.why:
        what = "Its priority is lowered" if vip.ready else "It may not be master"
        yield f"{what}: {'; '.join(vip.why)}."
        lowered = next((e for e in reversed(history) if e.kind == "priority" and _of(e, vip)), None)
        if lowered is not None:
            yield f"That is so since {when(lowered.at, now)}."
    if vip.held_back:
        asked = next((e for e in reversed(history) if e.kind == "failover" and _of(e, vip)), None)
        by = "" if asked is None else f" of {asked.data.get('actor')}, {when(asked.at, now)}"
        yield f"A failover{by} keeps it from preempting."


def _refused(vip: VipStatus, history: Sequence[Entry], now: float) -> str | None:
    """Why the kernel does not hold addresses that this director should."""
    if vip.vrid is not None or vip.role is Role.MASTER:
        return None  # of an election the VRRP process tells it, as the problem
    missing = [str(a.address) for a in vip.addresses if a not in vip.held]
    return why_refusal.latest(
        history, now, lambda e: any(is_about(e, one, alone=True) for one in missing)
    )


def _remedies(vip: VipStatus, rivals: Sequence[str], refused: str | None) -> Iterator[str]:
    if rivals:
        yield (
            "the two do not hear each other: look for a firewall and at the switch"
            " (tcpdump -ni INTERFACE proto 112), and at what lvsguard events says of dropped"
            " adverts; heartbeat in [vip.vrrp] gives them a second path"
        )
    for one in vip.conflicts:
        where = "there" if one.realserver is None else f"on {one.realserver}"
        yield f"run {where}: lvsguard realserver check --vip {one.address}"
    if vip.problem:
        yield "mend that, and it listens again by itself"
    if vip.why:
        yield "its priority comes back when that is over"
    if vip.held_back:
        yield f"to let it preempt again, run: lvsguard failover {vip.name} --resume"
    if vip.vrid is None and vip.role is not Role.MASTER:
        yield (
            "lvsguard status says what the kernel refuses, or which link is down"
            if refused is None
            else "mend that: it is tried again by itself"
        )
