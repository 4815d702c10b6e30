"""Whether another director sees more healthy realservers than this one, for VIP groups whose
priority depends on that.

Only who sees fewer is held back, so it is never both. A director that is not heard says nothing.
While nobody can be asked it stays as it is: what is seen here now is not held against what others
saw then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from lvsguard.controller.factbook import FactBook
from lvsguard.controller.tracks import FIRST_VERDICTS_S
from lvsguard.core.config import Config
from lvsguard.core.peer import ServiceHealth, compare, shortened
from lvsguard.core.track import Finding

FIRST_WORD_S = 3.0
"""Longest wait for another director's first word, so that one that comes back does not take over
only to be told that it sees less. Nothing is heard of one that is down."""
LINGER_S = 20.0
"""For so long after its last word what a director saw is not replaced by nothing: it may be started
anew, and when it is dead the priority does not matter."""

Heard = Mapping[str, Mapping[str, ServiceHealth]]
"""How each director that is heard now sees the services, by its name."""


class Ahead:
    """Compares what this director sees with what others do."""

    def __init__(self, book: FactBook, heard: Callable[[], Heard | None]) -> None:
        """``heard``: None while it cannot be known who is heard."""
        self._book = book
        self._heard = heard
        self._begun: float | None = None
        self._last_word = float("-inf")
        self._unknown_since: dict[str, float] = {}
        """By VIP group."""
        self._compared: set[str] = set()
        """VIP groups of which something was found."""

    async def look(self, vip: str) -> Finding:
        """Compare the services on a VIP group, and on those that move with it."""
        return self.at(vip, time.monotonic())

    def at(self, vip: str, now: float) -> Finding:
        """The same at a time (monotonic)."""
        if self._begun is None:
            self._begun = now
        others = self._heard()
        if others is None and vip in self._compared:
            self._last_word = now  # who is back may find that the others are not yet
            return Finding(None, "it cannot be known now what other directors see")
        if not others:
            if now - self._begun < FIRST_WORD_S:
                return Finding(None, "a word of the other directors is awaited")
            if now - self._last_word < LINGER_S:
                return Finding(None, "the other directors have just fallen silent")
            return Finding(True)
        self._begun, self._last_word = now - FIRST_WORD_S, now
        names = services_on(self._book.config, vip)
        found = {name: compare(self._book.sights, seen, names) for name, seen in others.items()}
        if not any(one.unknown for one in found.values()):
            self._unknown_since.pop(vip, None)
        elif self._awaits(vip, now):
            return Finding(None, "first verdicts are awaited, to compare them")
        self._compared.add(vip)
        best, one = max(found.items(), key=lambda item: item[1].theirs - item[1].mine)
        if one.theirs <= one.mine:
            return Finding(True)
        return Finding(
            False, f"director {best} sees more healthy realservers ({shortened(one.differs)})"
        )

    def _awaits(self, vip: str, now: float) -> bool:
        return now - self._unknown_since.setdefault(vip, now) < FIRST_VERDICTS_S


def services_on(config: Config, vip: str) -> tuple[str, ...]:
    """Names of the services on a VIP group's addresses and on those of its sync group. Nobody knows
    by which address marked packets come, so marks count everywhere."""
    own = next((one for one in config.vips if one.name == vip), None)
    group = None if own is None or own.vrrp is None else own.vrrp.sync_group
    addresses = {
        held.address
        for one in config.vips
        if one.name == vip or (group and one.vrrp is not None and one.vrrp.sync_group == group)
        for held in one.addresses
    }
    return tuple(
        service.name
        for service in config.services
        if service.key.address is None or service.key.address in addresses
    )
