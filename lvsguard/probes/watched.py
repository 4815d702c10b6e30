"""What a detector asks of a check, and tells it. ``running.Running`` is one."""

from __future__ import annotations

from typing import Protocol

from lvsguard.core.health import Hint
from lvsguard.probes.hints import Hinted


class Watched(Hinted, Protocol):
    """A check that has detectors."""

    @property
    def up(self) -> bool:
        """Whether its verdict is up."""

    @property
    def refused(self) -> bool:
        """Whether it is down because a connection was refused."""

    @property
    def waiting(self) -> float | None:
        """When the probe began that is under way."""

    @property
    def look_at(self) -> float:
        """When a probe that goes well has ended: half a timeout after it began or begins."""

    def well_since(self, when: float) -> bool:
        """Whether it is up and its latest probe, ended after that, was a success."""

    def note(self, detector: str, text: str) -> None:
        """Have something shown beside its verdict, in place of what the detector said before."""

    def silent(self, hint: Hint, patience: float) -> None:
        """The host says nothing on its link: a probe that cannot connect within ``patience``
        (seconds) shows that it is dead."""

    def heard(self) -> None:
        """The host answers on its link."""
