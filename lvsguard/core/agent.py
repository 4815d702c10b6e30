"""What a realserver's own agent says of it, folded into a standing that weighs beside its checks.

Pure: time is an argument. An agent can lower a realserver, drain it and call it down; it can never
make one up whose checks fail, and its silence says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from sys import intern

from lvsguard.core.begun import Lasting
from lvsguard.core.model import WEIGHT_MAX, IPAddress, endpoint

SHARE_MAX = 10.0
"""Most that an agent may ask for, as a share of the configured weight."""
MISSES = 3
"""Questions in a row without an answer from which on an agent counts as silent: a lost packet is
none, and not worth telling."""
_GRAIN = 1e-9


class AgentKind(StrEnum):
    """How an agent is asked."""

    TEXT = "text"
    """HAProxy's agent-check: connect, and read one line."""
    HTTP = "http"
    """A request; a header ``RS-Weight`` or the body's first line is the answer."""


class Mode(StrEnum):
    """The administrative state that an agent asks for; it stays until the agent says another."""

    READY = "ready"
    DRAIN = "drain"
    MAINT = "maint"


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """How an agent is asked, before it has a target. Durations are seconds."""

    kind: AgentKind = AgentKind.TEXT
    interval: float = 2.0
    timeout: float = 1.0
    step: float = 1.0
    """Most that one answer may change, as a share of the configured weight."""
    send: bytes = b""
    """text: what to send once connected."""
    path: str = "/"
    host: str | None = None
    """http: Host header; default: the realserver's address."""
    source: IPAddress | None = None
    """Own address to bind to."""
    own: IPAddress | None = None
    """Own address of the director in the realserver's network, preferred as source."""


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent with its target. Equal agents are one."""

    address: IPAddress
    port: int
    weight: int
    """Configured weight of the realserver: what an absolute answer is a share of."""
    spec: AgentSpec
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.address, self.port, self.weight, self.spec)))

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        return f"agent {endpoint(self.address, self.port)}"

    @property
    def place(self) -> tuple[IPAddress, int, AgentKind]:
        """Where it is: agents that differ in how they are asked, and in what their answers are a
        share of, are one program there, and what it has said holds for each of them."""
        return self.address, self.port, self.spec.kind

    @property
    def lasting(self) -> Lasting:
        """What makes it the same one to a later run, however it is asked then."""
        return str(self.address), self.port, intern(f"agent {self.spec.kind}"), ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one answer says. What it does not say stays as it was."""

    percent: float | None = None
    weight: int | None = None
    """An absolute weight; never beside ``percent``."""
    mode: Mode | None = None
    up: bool | None = None
    why: str = ""
    """What it gives as the reason of being down."""
    note: str = ""
    """What of it was ignored."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds of an agent: all that it has said so far."""

    tried: bool = False
    """Whether it was asked at all, with or without an answer."""
    heard: bool = False
    """Whether it has ever answered."""
    share: float = 1.0
    """Of the configured weight, in force."""
    asked: float = 1.0
    """The share that it wants; ``share`` follows in steps."""
    mode: Mode = Mode.READY
    down: bool = False
    why: str = ""
    since: float = 0.0
    """Monotonic seconds: of the last change from or to down."""
    silent: str = ""
    """Why it did not answer the last question; empty where it did."""
    missed: int = 0
    """Questions in a row that it did not answer, counted up to ``MISSES``."""
    note: str = ""
    """What of its last answer was ignored."""
    line: str = ""
    """The beginning of the answer that changed it last, printable."""
    duration: float = 0.0
    """Seconds that this answer took."""
    kept: float = 0.0
    """Wall clock of the last change from or to down, where an earlier run of the daemon saw it
    (``core.begun``); 0: it is as old as ``since`` says."""

    @property
    def mute(self) -> bool:
        """Whether its silence is worth telling."""
        return self.missed >= MISSES

    @property
    def decides(self) -> tuple[object, ...]:
        """What a decision depends on."""
        return self.tried, self.share, self.mode, self.down


NOT_ASKED = Standing()


def answered(
    standing: Standing,
    answer: Answer,
    agent: Agent,
    now: float,
    evidence: tuple[str, float] = ("", 0.0),
) -> Standing:
    """Fold an answer in. The first counts whole, each later one moves the share by a step.

    ``evidence``: the beginning of its line, and the seconds that it took.
    """
    asked = standing.asked
    if answer.percent is not None:
        asked = answer.percent / 100
    elif answer.weight is not None and agent.weight:
        asked = answer.weight / agent.weight
    asked = min(max(asked, 0.0), SHARE_MAX)
    down = standing.down if answer.up is None else not answer.up
    mode = standing.mode if answer.mode is None else answer.mode
    if standing.heard and (asked, mode, down) == (standing.asked, standing.mode, standing.down):
        evidence = standing.line, standing.duration
    return Standing(
        tried=True,
        heard=True,
        share=_stepped(standing, asked, agent.spec.step),
        asked=asked,
        mode=mode,
        down=down,
        why=answer.why if answer.up is False else standing.why if down else "",
        since=standing.since if down is standing.down else now,
        note=answer.note,
        line=evidence[0],
        duration=evidence[1],
    )


def unanswered(standing: Standing, reason: str) -> Standing:
    """Take note of silence: whatever it said before stands."""
    missed = min(standing.missed + 1, MISSES)
    return replace(standing, tried=True, silent=reason, missed=missed)


def _stepped(standing: Standing, asked: float, step: float) -> float:
    if not standing.heard or abs(asked - standing.share) <= step + _GRAIN:
        return asked
    return standing.share + (step if asked > standing.share else -step)


def weight_of(standing: Standing, configured: int) -> int:
    """The weight that it leaves of a configured one; only 0 itself becomes 0."""
    if standing.mode is not Mode.READY:
        return 0
    scaled = min(round(configured * standing.share), WEIGHT_MAX)
    return max(scaled, 1) if configured and standing.share > 0 else scaled


def state(standing: Standing) -> str:
    """One word: ``unknown``, ``down``, ``ready``, ``drain``, ``maint``."""
    if standing.down:
        return "down"
    return str(standing.mode) if standing.heard else "unknown"


def words(standing: Standing) -> str:
    """What to say of it beside the realserver's verdict; empty: nothing."""
    said = []
    if standing.down:
        said.append(f"down, {standing.why}" if standing.why else "down")
    if standing.mode is not Mode.READY:
        said.append(str(standing.mode))
    if abs(standing.asked - standing.share) > _GRAIN:
        said.append(f"weight {standing.share:.0%} on its way to {standing.asked:.0%}")
    elif standing.share != 1:
        said.append(f"weight {standing.share:.0%}")
    if standing.silent:
        stands = "; its last word stands" if standing.heard else ""
        said.append(f"no answer, {standing.silent}{stands}")
    if standing.note:
        said.append(standing.note)
    return f"agent: {', '.join(said)}" if said else ""
