"""What /healthz and /readyz say, judged from a view. Answers nothing itself."""

from __future__ import annotations

from dataclasses import dataclass

from lvsguard.core.election_status import AWAY_SECONDS, ElectionStatus
from lvsguard.core.snapshot import Role, View
from lvsguard.core.standstill import standstill
from lvsguard.serving import Slices

REASONS_MAX = 50


@dataclass(frozen=True, slots=True)
class Judgement:
    """An answer: well, or why not, one line each."""

    reasons: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether all is well."""
        return not self.reasons


def alive(view: View, election: ElectionStatus | None, now: float) -> Judgement:
    """Whether the daemon does its work: passes happen, the probers and the VRRP process live.

    ``election`` is None when no VIP group has one; ``now`` is the wall clock.
    """
    loop = view.loop()
    reasons = _stuck(view, now)
    short = now - loop.probers_there
    if loop.probers < loop.probers_wanted and short > AWAY_SECONDS:
        reasons.append(
            f"{loop.probers} of {loop.probers_wanted} probers alive since {short:.0f} s: verdicts"
            " stand, see the log"
        )
    reasons += _away(election, now)
    return Judgement(tuple(reasons))


async def ready(
    view: View, election: ElectionStatus | None, now: float, *, peers: bool = False
) -> Judgement:
    """Whether clients are served, or would be: the kernel is as wanted, every service has its
    quorum, and this director is master of each VIP group or stands by to become it. So a backup
    that is well is ready.

    ``peers``: and whether it hears each other director, by etcd where they meet there. Apart from
    the rest, for a director whose partner has died serves as well as before, and must not be taken
    out for it.
    """
    reasons = _stuck(view, now)
    loop = view.loop()
    if not loop.programmed:
        reasons.append("the kernel is not as wanted")
        reasons += [line for line in loop.trouble if line not in reasons]
    if election is not None:
        reasons += _away(election, now)
        reasons += _absent(view, election)
    if peers:
        reasons += _unheard(view)
    slices = Slices()
    for service in view.services():
        if service.quorum_have < service.quorum_need:
            reasons.append(
                f"service {service.name}: live weight {service.quorum_have}, "
                f"needs {service.quorum_need}"
            )
        if slices.due():
            await slices.rest()
    if len(reasons) > REASONS_MAX:
        reasons = [*reasons[:REASONS_MAX], f"and {len(reasons) - REASONS_MAX} more"]
    return Judgement(tuple(reasons))


def _stuck(view: View, now: float) -> list[str]:
    loop = view.loop()
    stuck = standstill(loop.last_pass, view.started, loop.rest, now)
    return [stuck] if stuck else []


def _away(election: ElectionStatus | None, now: float) -> list[str]:
    if election is None or not election.away(now):
        return []
    return [
        f"the VRRP process is gone since {now - election.there:.0f} s: its VIPs stand as they did, "
        "nobody speaks for them; see the log"
    ]


def _unheard(view: View) -> list[str]:
    lost = ["etcd, where directors meet, cannot be asked: lvsguard status says why"]
    return (lost if view.cluster() is False else []) + [
        f"director {peer.name} is not heard: {peer.problem or 'lvsguard status says why'}"
        for peer in view.peers()
        if not peer.heard
    ]


def _absent(view: View, election: ElectionStatus) -> list[str]:
    """VIP groups that this director could not take over."""
    reasons = []
    for vip in view.vips():
        if vip.vrid is None:
            continue
        if vip.role in (Role.FAULT, Role.INIT):
            why = vip.problem or "lvsguard events says why"
            reasons.append(f"VIP {vip.name}: {vip.role}, it takes no part: {why}")
        elif not election.ready.get(vip.name, False):
            why = "; ".join(vip.why) or "lvsguard events says why"
            reasons.append(f"VIP {vip.name}: stands back: {why}")
    return reasons
