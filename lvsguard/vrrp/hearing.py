"""By which of its paths a director hears the others, and whether its own adverts go out. Pure.

A second path is there for the day on which the first is cut, so that it is dead must be known
before. A backup knows: what comes by one path must come by the others. A master hears nobody, and
knows only what its own kernel says of its adverts.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Final

from lvsguard.core.snapshot import Role
from lvsguard.core.vrrp import Version
from lvsguard.vrrp.message import Path
from lvsguard.vrrp.timing import longest_master_down

SILENT_DOWNS: Final = 3
"""Master-down intervals without an advert after which a path is silent: a few that are lost are not
enough to say so."""


class Hearing:
    """Of one instance. Times are monotonic seconds."""

    def __init__(self, paths: Iterable[str], version: Version, interval: float) -> None:
        self._paths = tuple(paths)
        self._version = version
        self._own = self._interval = interval
        self._heard: dict[str, float] = {}
        self._mute: dict[str, str] = {}

    def inherit(self, before: Hearing) -> None:
        """Know what an instance of another config knew."""
        self._heard, self._mute = dict(before._heard), dict(before._mute)

    def heard(self, path: str, interval: float, now: float) -> None:
        """An advert of another director was believed; ``interval``: what it says."""
        self._heard[path] = now
        self._interval = max(self._own, interval)

    def said(self, path: str, trouble: str) -> None:
        """An own advert went out there; empty, or why it did not."""
        self._mute[path] = trouble

    def look(self, role: Role, since: float, now: float) -> dict[str, Path]:
        """How each path is; ``since`` when the director has had this role. Before it has any there
        is nothing to say."""
        if role is Role.MASTER:
            return {
                path: Path(not self._mute.get(path), self._mute.get(path, ""))
                for path in self._paths
            }
        if role is Role.INIT:
            return {}
        patience = SILENT_DOWNS * longest_master_down(self._version, self._interval)
        last = {path: max(self._heard.get(path, -inf), since) for path in self._paths}
        heard = {path: now - at < patience for path, at in last.items()}
        by = [path for path in self._paths if heard[path] and path in self._heard]
        lone = role is Role.BACKUP and by and not all(heard.values())
        return {
            path: Path(heard[path], _silent(path, by, patience) if lone and not heard[path] else "")
            for path in self._paths
        }


def together(families: Iterable[dict[str, Path]]) -> dict[str, Path]:
    """The paths of a VIP group: well when they are so for each of its families."""
    found: dict[str, Path] = {}
    for paths in families:
        for name, path in paths.items():
            before = found.get(name)
            found[name] = path if before is None or before.heard else before
    return found


def _silent(path: str, by: Iterable[str], patience: float) -> str:
    return (
        f"no advert of the master has come by {path} for {patience:.0f} s or more, while they come"
        f" by {', '.join(by)}: when that is cut as well, both directors become master; look at the"
        f" cable, the switch and the firewall of {path} on both (tcpdump -ni {path} proto 112)"
    )
