"""`lvsguard failover`: asks the VRRP process to give up mastership, and waits for what comes of it.

Asking costs nothing: the addresses stay, and packets are forwarded, until a successor is heard, and
with none this director goes on as master. So a director that has heard nobody yet may be asked as
well (a backup says nothing, hence silence proves nothing); who it is not master of, it refuses.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping

from lvsguard.admin.failover import FailedOver, FailoverRefused, Outcome
from lvsguard.core.config import Config, VipConfig
from lvsguard.core.event import Event
from lvsguard.core.snapshot import Role
from lvsguard.core.vrrp_event import FailoverAsked, HandoverStage
from lvsguard.vrrp.client import VrrpClient
from lvsguard.vrrp.message import State
from lvsguard.vrrp.timing import longest_master_down

SLACK_S = 2.0
"""Beyond the time after which nobody can come any more."""
LONGEST_S = 50.0
"""Longest wait; the admin socket gives a request a minute."""
SETTLE_S = 0.5
"""After the word that nobody came, for the role that follows from it: of a group of two families
one may have found its successor."""
RESUME_S = 2.0
UNFIT = "nothing was handed over, for no other director is fit to take over now:"
BY_FORCE = "mend that, or hand over all the same: lvsguard failover --force"


async def _none(vips: list[str]) -> tuple[str, ...]:
    return ()


class Failovers:
    """Failovers that were asked for, and what is heard of them."""

    def __init__(self, client: VrrpClient, *, emit: Callable[[Event], None]) -> None:
        self._client = client
        self._emit = emit
        self._vips: Mapping[str, VipConfig] = {}
        self._news = asyncio.Event()
        self.objections: Callable[[list[str]], Awaitable[tuple[str, ...]]] = _none
        """Why these VIP groups should not be left to another director, one line each."""
        self._stages: dict[str, HandoverStage] = {}
        """Of those that are asked for now: the last word on each."""

    def configure(self, config: Config) -> None:
        """Know these VIP groups."""
        self._vips = {vip.name: vip for vip in config.vips}

    # -- what the VRRP process tells -------------------------------------------------------

    def told(self, event: Event) -> None:
        """Hear an event."""
        if isinstance(event, HandoverStage):
            before = self._stages.get(event.vip)
            # Of two families one may be claimed and the other not: the successor counts.
            if before is None or before.stage != "heard":
                self._stages[event.vip] = event
            self._news.set()

    def changed(self) -> None:
        """Hear that something is not as it was: a role, or the process itself."""
        self._news.set()

    # -- what is asked ---------------------------------------------------------------------

    async def failover(
        self, vip: str | None, actor: str, *, force: bool = False
    ) -> list[FailedOver]:
        """Give up one VIP group, or all that this director is master of; those of their sync groups
        come along. Returns when it is known what became of it. Raises FailoverRefused, also when
        who would take over is not fit for it, unless by ``force``."""
        names = self._together(self._named(vip) if vip else self._mine())
        self._reachable()
        wrong = await self.objections(names)
        if wrong and not force:
            raise FailoverRefused("unfit", UNFIT, problems=(*wrong, BY_FORCE))
        begun = time.monotonic()
        for name in names:
            self._stages.pop(name, None)
            self._emit(FailoverAsked(name, actor, resume=False, forced="; ".join(wrong)))
        for name in names:
            self._client.failover(name)
        return list(await asyncio.gather(*(self._outcome(name, begun) for name in names)))

    async def resume(self, vip: str | None, actor: str) -> list[FailedOver]:
        """Let this director preempt again. Raises FailoverRefused."""
        held = [name for name, state in self._client.states.items() if state.held_back]
        names = self._together([self._elected(vip)]) if vip else self._together(held)
        self._reachable()
        begun = time.monotonic()
        back = [name for name in names if name in held]
        for name in back:
            self._emit(FailoverAsked(name, actor, resume=True))
            self._client.resume(name)
        until = begun + RESUME_S
        while self._held_back(back) and await self._wait(until):
            pass
        return [self._resumed(name, name in back, begun) for name in names]

    def _mine(self) -> list[str]:
        found = [n for n, s in self._client.states.items() if s.role == Role.MASTER]
        if not found:
            raise FailoverRefused(
                "not-master",
                "this director is master of no VIP group that has an election: run this on the one"
                f" that is{self._whereabouts()}",
            )
        return found

    def _named(self, vip: str) -> list[str]:
        name = self._elected(vip)
        state = self._client.states.get(name)
        role = state.role if state is not None else str(Role.INIT)
        if role != Role.MASTER:
            raise FailoverRefused(
                "not-master",
                f"VIP {name}: this director is {role}, not master: run this on the one that is"
                f"{self._whereabouts(name)}",
            )
        return [name]

    def _elected(self, vip: str) -> str:
        known = tuple(name for name, one in self._vips.items() if one.vrrp is not None)
        if vip in known:
            return vip
        if vip in self._vips:
            raise FailoverRefused(
                "no-election",
                f"VIP {vip} has no election, so no other director can take it over: give it a"
                " [vip.vrrp] table on both directors",
                known,
            )
        raise FailoverRefused("unknown-vip", f"no VIP is named {vip!r}: use a name", known)

    def _whereabouts(self, name: str | None = None) -> str:
        masters = {
            state.master
            for one, state in self._client.states.items()
            if state.master and name in (None, one)
        }
        return f" ({', '.join(sorted(masters))})" if masters else ""

    def _reachable(self) -> None:
        if not self._client.alive:
            raise FailoverRefused(
                "failed", "the VRRP process is not there just now: try again in a few seconds"
            )

    def _together(self, names: Iterable[str]) -> list[str]:
        """These and the VIP groups that move with them, in the order of the config."""
        wanted = set(names)
        groups = {self._group(name) for name in wanted} - {None}
        return [n for n in self._vips if n in wanted or self._group(n) in groups]

    def _group(self, name: str) -> str | None:
        vip = self._vips.get(name)
        return vip.vrrp.sync_group if vip is not None and vip.vrrp is not None else None

    # -- what comes of it ------------------------------------------------------------------

    async def _outcome(self, name: str, begun: float) -> FailedOver:
        until = begun + self._patience(name)
        while True:
            state, stage = self._client.states.get(name), self._stages.get(name)
            if state is None or not self._client.alive:
                text = "the VRRP process ended meanwhile: lvsguard status tells who is master"
                return self._tell(name, Outcome.UNFINISHED, begun, text)
            if state.role == Role.BACKUP:
                return self._done(name, state, stage, begun)
            if state.role != Role.MASTER:
                text = (
                    f"this director is {state.role} now: {state.problem or 'see lvsguard events'}"
                )
                return self._tell(name, Outcome.UNFINISHED, begun, text)
            if stage is not None and stage.stage == "nobody":
                until = min(until, time.monotonic() + SETTLE_S)
            if await self._wait(until):
                continue
            if stage is not None and stage.stage == "nobody":
                return self._tell(name, Outcome.NOBODY, begun, self._nobody(name))
            text = "still under way: lvsguard status shows what comes of it"
            return self._tell(name, Outcome.UNFINISHED, begun, text)

    def _patience(self, name: str) -> float:
        vrrp = self._vips[name].vrrp if name in self._vips else None
        if vrrp is None:
            return SLACK_S
        return min(longest_master_down(vrrp.version, vrrp.interval) + SLACK_S, LONGEST_S)

    async def _wait(self, until: float) -> bool:
        """Wait for news; False when the time is over."""
        try:
            async with asyncio.timeout(until - time.monotonic()):
                self._news.clear()
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    def _done(
        self, name: str, state: State, stage: HandoverStage | None, begun: float
    ) -> FailedOver:
        successor = stage.successor if stage is not None and stage.successor else state.master
        who = successor or "another director"
        text = f"{who} has taken over; to preempt again: lvsguard failover {name} --resume"
        return self._tell(name, Outcome.DONE, begun, text, successor)

    def _nobody(self, name: str) -> str:
        counts = self._client.counts
        silent = counts is not None and not counts.received.get(name)
        heard = ", and no advert of another was ever heard here" if silent else ""
        return (
            f"nobody took over{heard}: this director went on as master. On the other director look"
            " at lvsguard status: it must run, be ready, and have the same vrid and secrets"
        )

    def _held_back(self, names: Iterable[str]) -> bool:
        states = self._client.states
        return any(name in states and states[name].held_back for name in names)

    def _resumed(self, name: str, asked: bool, begun: float) -> FailedOver:
        if not asked:
            return self._tell(name, Outcome.DONE, begun, "no failover held it back")
        if self._held_back([name]):
            text = "the VRRP process has not answered: look at lvsguard events"
            return self._tell(name, Outcome.UNFINISHED, begun, text)
        text = "it preempts again, if its priority is the highest and preempt is on"
        return self._tell(name, Outcome.DONE, begun, text)

    def _tell(
        self, name: str, outcome: Outcome, begun: float, text: str, successor: str = ""
    ) -> FailedOver:
        seconds = round(time.monotonic() - begun, 3)
        return FailedOver(
            vip=name, outcome=outcome, successor=successor, seconds=seconds, text=text
        )
