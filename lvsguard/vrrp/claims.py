"""Who claims VIPs beside this director, from the first claim to the silence. Pure.

A mis-set realserver answers each question about a VIP, so a conflict is told when it begins, again
once in a while, and when it is over. MAC addresses can be forged, a new one in each frame: of many
that begin only some are told, and then how many more there were.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Final

from lvsguard.core.event import Event
from lvsguard.core.model import IPAddress
from lvsguard.core.vrrp_event import VipConflict, VipConflictOver, VrrpTold

SILENT_AFTER: Final = 3.5
"""Seconds without a claim after which a conflict is over: three questions without an answer."""
REPEAT_S: Final = 60.0
"""Between two events of one conflict, for whoever was not there to hear the first."""
BEGIN_MAX: Final = 20
"""Conflicts of a VIP group that are told to have begun, in ``REPEAT_S``."""
KEPT_MAX: Final = 1000
"""Conflicts at one time; MAC addresses may be forged, so there is no end to them."""


@dataclass(slots=True)
class _Conflict:
    began: float
    heard: float
    told: float = -inf


@dataclass(slots=True)
class _Begun:
    """What began over one VIP group within ``REPEAT_S``."""

    since: float
    told: int = 0
    left_out: int = 0


class Claims:
    """The conflicts over VIPs. Times are monotonic."""

    def __init__(self) -> None:
        self._conflicts: dict[tuple[str, IPAddress, str], _Conflict] = {}
        self._begun: dict[str, _Begun] = {}

    def claim(self, vip: str, address: IPAddress, mac: str, now: float) -> Event | None:
        """Somebody at a MAC address says that it has an address; what is to be told of it."""
        key = (vip, address, mac)
        begun = self._begun.setdefault(vip, _Begun(now))
        known = self._conflicts.get(key)
        if known is None:
            kept = len(self._conflicts) < KEPT_MAX
            begun.left_out += not kept or begun.told >= BEGIN_MAX
            if not kept:
                return None
            known = self._conflicts[key] = _Conflict(now, now)
        known.heard = now
        if known.told == -inf:
            if begun.told >= BEGIN_MAX:
                return None
            begun.told += 1
        elif now - known.told < REPEAT_S:
            return None
        known.told = now
        how = "arp" if address.version == 4 else "nd"
        return VipConflict(vip, mac, how, str(address))

    @property
    def due(self) -> float | None:
        """When ``expire`` has something next."""
        over = min((one.heard for one in self._conflicts.values()), default=inf) + SILENT_AFTER
        rest = (one.since + REPEAT_S for one in self._begun.values() if one.left_out)
        due = min((over, *rest))
        return None if due == inf else due

    def expire(self, now: float) -> list[Event]:
        """The conflicts that are over, and how many were left out."""
        over: list[Event] = []
        for key, one in list(self._conflicts.items()):
            if now >= one.heard + SILENT_AFTER:
                del self._conflicts[key]
                vip, address, mac = key
                if one.told == -inf:
                    continue
                over.append(VipConflictOver(vip, mac, one.heard - one.began, str(address)))
        for vip, begun in list(self._begun.items()):
            if now >= begun.since + REPEAT_S:
                del self._begun[vip]
                if begun.left_out:
                    over.append(VrrpTold(vip, _MORE.format(begun.left_out)))
        return over


_MORE: Final = (
    "{} more claims of its addresses, each from another MAC address, were not told one by one:"
    " somebody forges them, or a switch has a loop; see who (tcpdump -eni INTERFACE arp or icmp6)"
)
