"""Which bad verdicts to believe: what was asked over a link of the director's own that was down,
or has only just come back, is no evidence against a realserver.

Without this a cable pulled for some seconds would take every realserver out, and with them the
connections that would have survived it. Nothing here reads or writes the kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network

from lvsguard.core.config import Check
from lvsguard.core.health import FailureClass, Health, Timing, Verdict
from lvsguard.core.model import IPAddress, VipAddress

SILENT = frozenset({FailureClass.TIMEOUT, FailureClass.HOST_DEAD})
"""Failures that a link of one's own can cause. Whoever refuses or answers wrongly was reached."""


class Sight:
    """Knows the director's links, and keeps the bad verdicts that they may have caused."""

    def __init__(self) -> None:
        """All links count as up until told otherwise."""
        self._down: set[str] = set()
        self._back: dict[str, float] = {}
        self._addresses: frozenset[VipAddress] = frozenset()
        self._networks: dict[str, frozenset[IPv4Network | IPv6Network]] = {}
        self._kept: dict[Check, Health] = {}

    def links(self, states: Mapping[str, bool], now: float) -> None:
        """Take note of which links are up. ``now``: monotonic. One that is not named is watched no
        longer, and hides nothing."""
        self._down &= states.keys()
        self._back = {name: at for name, at in self._back.items() if name in states}
        for name, up in states.items():
            if not up:
                self._down.add(name)
            elif name in self._down:
                self._down.discard(name)
                self._back[name] = now

    def addresses(self, found: frozenset[VipAddress]) -> None:
        """Take note of the addresses on the links: their networks are what is seen through them.

        A link that has none at the moment keeps those that it had, but for what another one leads
        to now.
        """
        if found is self._addresses:
            return
        self._addresses = found
        networks: dict[str, set[IPv4Network | IPv6Network]] = {}
        for one in found:
            network = ip_network((one.address, one.prefix), strict=False)
            networks.setdefault(one.interface, set()).add(network)
        moved = frozenset(network for held in networks.values() for network in held)
        self._networks = {name: held - moved for name, held in self._networks.items()}
        self._networks |= {name: frozenset(held) for name, held in networks.items()}

    def believes(self, check: Check, health: Health, now: float) -> bool:
        """Whether this word of a prober is to be taken. One that is not is kept for ``due``."""
        if not _silent(health) or not self._hidden(check, now):
            self._kept.pop(check, None)
            return True
        self._kept[check] = health
        return False

    def due(self, now: float) -> list[tuple[Check, Health]]:
        """Verdicts that were kept and still hold after their link has been up long enough."""
        if not self._kept:
            return []
        ripe = [(c, h) for c, h in self._kept.items() if not self._hidden(c, now)]
        for check, _ in ripe:
            del self._kept[check]
        return ripe

    def _hidden(self, check: Check, now: float) -> bool:
        for name in self._down:
            if self._through(name, check.address):
                return True
        return any(
            now < back + recovery(check.spec.timing) and self._through(name, check.address)
            for name, back in self._back.items()
        )

    def _through(self, name: str, address: IPAddress) -> bool:
        return any(address in network for network in self._networks.get(name, ()))


def recovery(timing: Timing) -> float:
    """Seconds that a sound realserver needs at most to be up again in a prober's eyes: a probe
    that began before the link was back, the pause after it, and the successes that are asked."""
    return timing.timeout + timing.down_interval + timing.rise * timing.fast_interval + 1.0


def _silent(health: Health) -> bool:
    cause = health.cause or health.result
    return health.verdict is Verdict.DOWN and cause is not None and cause.failure in SILENT
