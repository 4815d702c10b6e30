"""What happened at the remote admin listener."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lvsguard.core.event import Event, Level


@dataclass(frozen=True, slots=True)
class AdminRefused(Event):
    """A remote caller was turned away; told once a minute at most for each caller and reason."""

    kind: ClassVar[str] = "admin-refused"
    level: ClassVar[Level] = Level.WARNING
    who: str
    """Address, and the certificate's name where one was shown that counts."""
    why: str

    def __str__(self) -> str:
        return f"remote admin: {self.who} was refused: {self.why}"
