"""What a benchmark holds lvsguard to, and which of its plays are wanted. Measures nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True, slots=True)
class Bound:
    """What is promised of an event: by its p99, in a guest as anywhere else."""

    out_s: float
    """From the event to the kernel's table."""
    failed: int | None = None
    """Connections without an answer meanwhile; None: nothing is promised of them."""
    why: str = ""
    """What the time is made of."""

    def __str__(self) -> str:
        time = f"p99 {self.out_s:g} s" + (f" ({self.why})" if self.why else "")
        return time if self.failed is None else f"{time}, {self.failed} failed"

    def holds(self, out_s: Sequence[float], failed: Sequence[int]) -> bool:
        """Whether so many runs kept it."""
        quick = quantiles(out_s)[1] <= self.out_s
        return quick and (self.failed is None or quantiles(failed)[1] <= self.failed)


def quantiles(values: Sequence[_Number]) -> list[_Number]:
    """p50, p99, max, by nearest rank."""
    ordered = sorted(values)
    return [ordered[-(-len(ordered) * percent // 100) - 1] for percent in (50, 99, 100)]


def verdict(*, holds: bool) -> str:
    """For the last column."""
    return "holds" if holds else "**NOT**"


def wanted(words: Sequence[str], names: Iterable[str]) -> list[str]:
    """The names that have one of the words in them; an empty word is in each.

    Raises SystemExit where no name has: a benchmark that plays nothing would find nothing wrong.
    """
    every = list(names)
    found = [name for name in every if any(word.strip() in name for word in words)]
    if not found:
        raise SystemExit(
            f"--only {','.join(words)}: none has that in its name; there are: {'; '.join(every)}"
        )
    return found
