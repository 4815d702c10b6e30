"""Who claims VIPs beside this director, from the first claim to the silence. Pure.

A mis-set realserver answers each question about a VIP, so a conflict is told when it begins, again
once in a while, and when it is over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lvsguard.core.event import Event
from lvsguard.core.model import IPAddress
from lvsguard.core.vrrp_event import VipConflict, VipConflictOver

SILENT_AFTER: Final = 3.5
"""Seconds without a claim after which a conflict is over: three questions without an answer."""
REPEAT_S: Final = 60.0
"""Between two events of one conflict, for whoever was not there to hear the first."""
KEPT_MAX: Final = 1000
"""Conflicts at one time; MAC addresses may be forged, so there is no end to them."""


@dataclass(slots=True)
class _Conflict:
    began: float
    heard: float
    told: float


class Claims:
    """The conflicts over VIPs. Times are monotonic."""

    def __init__(self) -> None:
        self._conflicts: dict[tuple[str, IPAddress, str], _Conflict] = {}

    def claim(self, vip: str, address: IPAddress, mac: str, now: float) -> Event | None:
        """Somebody at a MAC address says that it has an address; what is to be told of it."""
        key = (vip, address, mac)
        known = self._conflicts.get(key)
        if known is None:
            if len(self._conflicts) >= KEPT_MAX:
                return None
            self._conflicts[key] = _Conflict(now, now, now)
        else:
            known.heard = now
            if now - known.told < REPEAT_S:
                return None
            known.told = now
        how = "arp" if address.version == 4 else "nd"
        return VipConflict(vip, mac, how, str(address))

    @property
    def due(self) -> float | None:
        """When ``expire`` has something next."""
        heard = min((one.heard for one in self._conflicts.values()), default=None)
        return None if heard is None else heard + SILENT_AFTER

    def expire(self, now: float) -> list[Event]:
        """The conflicts that are over."""
        over: list[Event] = []
        for key, one in list(self._conflicts.items()):
            if now >= one.heard + SILENT_AFTER:
                del self._conflicts[key]
                vip, address, mac = key
                over.append(VipConflictOver(vip, mac, one.heard - one.began, str(address)))
        return over
