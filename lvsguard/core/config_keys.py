"""Which keys two directors' configurations differ in, known by digests alone. Pure.

A value is never told, only its digest; where a table or a list has parts of its own, the digest is
over theirs, so that a director may tell less of a huge file (a service as a whole) than another
one and both still find what differs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

Path = tuple[str, ...]
"""From the top of the file: ``("service", "web", "realserver", "10.0.0.42", "weight")``."""
Keys = Mapping[Path, str]
"""Digests by path, of tables and of what is in them."""

SHARED: Final = frozenset({"vip", "service", "ipvs", "sync"})
"""Tables that say what is served and how. The others (``admin``, ``telemetry`` ...) are about the
host, and a director that has them otherwise takes over as well."""
_BARE: Final = re.compile(r"[A-Za-z0-9_:-]+|[0-9.]+(:[0-9]+)?")


class How(StrEnum):
    """In what way two files differ at a key."""

    VALUE = "value"
    HERE = "only here"
    THERE = "only there"
    ORDER = "in another order"


@dataclass(frozen=True, slots=True)
class KeyDifference:
    """A key that two directors do not have the same."""

    path: Path
    how: How

    @property
    def shared(self) -> bool:
        """Whether it is about what is served."""
        return self.path[0] in SHARED

    def __str__(self) -> str:
        spelled = ".".join(part if _BARE.fullmatch(part) else f'"{part}"' for part in self.path)
        return spelled if self.how is How.VALUE else f"{spelled} ({self.how})"


def differences(mine: Keys, theirs: Keys) -> tuple[KeyDifference, ...]:
    """The keys that differ, each as far down as both tell of it."""
    inner_mine, inner_theirs = _parents(mine), _parents(theirs)
    found = {
        path: how
        for path in dict.fromkeys((*mine, *theirs))
        if (how := _how(mine.get(path), theirs.get(path))) is not None
        and (how is How.VALUE or (path[:-1] in inner_mine and path[:-1] in inner_theirs))
    }
    above = {path[:depth] for path in found for depth in range(1, len(path))}
    return tuple(
        KeyDifference(path, How.ORDER if path in inner_mine and path in inner_theirs else how)
        for path, how in found.items()
        if path not in above
    )


def _parents(keys: Keys) -> frozenset[Path]:
    return frozenset({(), *(path[:-1] for path in keys)})


def _how(mine: str | None, theirs: str | None) -> How | None:
    if mine == theirs:
        return None
    if theirs is None:
        return How.HERE
    return How.THERE if mine is None else How.VALUE
