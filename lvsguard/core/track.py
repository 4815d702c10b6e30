"""What a look at something tracked found, folded into whether it is well. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lvsguard.core.vrrp import Track


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found."""

    well: bool | None
    """None: nothing can be told yet; the look does not count."""
    why: str = ""
    """When it is not well: what is wrong, in words for people."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What is held of something tracked after rise and fall."""

    well: bool | None = None
    """None: no look has told anything yet."""
    why: str = ""
    """While it is not well: what the latest look found wrong; while nothing is known: what is
    awaited."""
    against: int = 0
    """Looks in a row that contradict ``well``."""


UNKNOWN = Condition()


def fold(condition: Condition, finding: Finding, track: Track) -> Condition:
    """Take one look in.

    The first that tells anything decides alone: a director that starts beside a file that says
    no must not lead for a moment. Afterwards ``fall`` or ``rise`` looks in a row change it.
    """
    if finding.well is None:
        return replace(condition, why=finding.why) if condition.well is None else condition
    if condition.well is None or condition.well is finding.well:
        return Condition(finding.well, finding.why)
    against = condition.against + 1
    if against >= (track.rise if finding.well else track.fall):
        return Condition(finding.well, finding.why)
    return replace(condition, against=against)
