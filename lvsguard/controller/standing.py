"""How fit this director is to be master of each VIP group: ready or not, and with which priority.

Looks at whether IPVS is programmed and at what the config tracks, with hysteresis. It decides
nothing: the VRRP process does with it what the election's rules say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from lvsguard.core.config import Config
from lvsguard.core.vrrp import VrrpConfig

UNPROGRAMMED_S = 3.0
"""Seconds for which the kernel may refuse something before this director counts as unfit."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Of one VIP group."""

    ready: bool
    priority: int
    why: tuple[str, ...] = ()
    """What holds it down now."""
    news: str = ""
    """What has changed since the last look, empty if nothing."""


class Standings:
    """The standing of every VIP group that has an election."""

    def __init__(self, config: Config, *, programmed: Callable[[], bool]) -> None:
        """``programmed``: whether the last pass left the kernel as wanted."""
        self._config = config
        self._programmed = programmed
        self._unfit_since: float | None = None
        self._begun = False
        self.now: dict[str, Standing] = {}
        """As at the last look."""

    def configure(self, config: Config) -> None:
        """Put a new config in force."""
        self._config = config

    async def run(self) -> None:
        """Look after what takes time to look at, until cancelled."""
        await asyncio.Event().wait()

    def look(self, now: float) -> dict[str, Standing]:
        """How it stands now (monotonic). Empty until IPVS was programmed for the first time."""
        fit = self._fit(now)
        if not self._begun:
            return {}
        found: dict[str, Standing] = {}
        for vip in self._config.vips:
            if vip.vrrp is None:
                continue
            standing = self._standing(vip.vrrp, fit)
            before = self.now.get(vip.name)
            if before is not None and (before.ready, before.priority) != (
                standing.ready,
                standing.priority,
            ):
                standing = replace(standing, news="; ".join(standing.why) or "all is well again")
            found[vip.name] = standing
        self.now = {name: replace(standing, news="") for name, standing in found.items()}
        return found

    def _fit(self, now: float) -> bool:
        if self._programmed():
            self._unfit_since = None
            self._begun = True
            return True
        if self._unfit_since is None:
            self._unfit_since = now
        return now - self._unfit_since < UNPROGRAMMED_S

    def _standing(self, vrrp: VrrpConfig, fit: bool) -> Standing:
        why = () if fit else ("IPVS is not programmed as it should be (lvsguard status says why)",)
        return Standing(fit, vrrp.priority, why)
