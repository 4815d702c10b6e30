"""What a realserver's own agent said, and its silence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lvsguard.core.event import Event, Level


@dataclass(frozen=True, slots=True)
class AgentChanged(Event):
    """An agent asks for another state; a change of weight alone shows as the step it makes."""

    kind: ClassVar[str] = "agent"
    realserver: str
    """Address and port of the agent."""
    before: str
    after: str
    why: str = ""
    code: str = ""
    """``L7STS`` for down, as HAProxy has it, else ``L7OK``."""
    duration: float = 0.0
    """Seconds that the answer took that said so."""
    seen: str = ""
    """Its beginning, printable."""
    detector: str = "agent"
    trace: str = ""
    """Id of this answer; what followed from it carries the same."""

    def __str__(self) -> str:
        because = f": {self.why}" if self.why else ""
        return f"agent {self.realserver} says {self.after} (was {self.before}){because}"


@dataclass(frozen=True, slots=True)
class AgentSilent(Event):
    """An agent does not answer, or not as agents do. That takes nobody out."""

    kind: ClassVar[str] = "agent-silent"
    level: ClassVar[Level] = Level.WARNING
    realserver: str
    reason: str

    def __str__(self) -> str:
        return (
            f"agent {self.realserver} does not answer: {self.reason}; what it said last stands,"
            " look whether it runs"
        )


@dataclass(frozen=True, slots=True)
class AgentBack(Event):
    """An agent answers again."""

    kind: ClassVar[str] = "agent-back"
    realserver: str

    def __str__(self) -> str:
        return f"agent {self.realserver} answers"


AGENT: tuple[type[Event], ...] = (AgentChanged, AgentSilent, AgentBack)
"""All of them."""
