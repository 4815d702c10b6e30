"""How fit this director is to be master of each VIP group: ready or not, and with which priority.

From whether IPVS is programmed for its addresses and from what the config tracks, both with
hysteresis. It decides nothing else: the VRRP process does with it what the election's rules say.

A director that starts, or a controller that comes back, says nothing of a VIP group before all that
the group depends on was looked at, and before the first verdicts of the services on its addresses:
until then their realservers have weight 0, and a VIP here would answer nobody. Until
then the VRRP process goes on as it was told before: one that is new contends for nothing, one that
is master stays it. What the kernel refuses leaves a VIP to whoever leads, too, but not to nobody.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from lvsguard.controller.factbook import FactBook
from lvsguard.controller.footing import STEADY_S, Footing
from lvsguard.controller.pulse import Pulse
from lvsguard.controller.quorum import asking
from lvsguard.controller.tracks import FIRST_VERDICTS_S, AskPeer, Tracks, nobody
from lvsguard.core.config import Config, VipConfig
from lvsguard.core.model import IPAddress
from lvsguard.core.vrrp import VrrpConfig
from lvsguard.vrrp.message import State
from lvsguard.vrrp.rating import LAST_RESORT

UNPROGRAMMED: Final = "IPVS is not programmed as it should be (lvsguard status says why)"
LATELY: Final = f"IPVS was not programmed as it should be until less than {STEADY_S:g} s ago"


@dataclass(frozen=True, slots=True)
class Standing:
    """Of one VIP group."""

    ready: bool
    priority: int
    why: tuple[str, ...] = ()
    """What holds it down now, one line each."""
    news: str = ""
    """What has changed since the last look, empty if nothing."""


@dataclass(frozen=True, slots=True)
class _Lack:
    """The kernel does not hold all that a party needs."""

    why: str
    leads: bool
    """Whether it may lead all the same, for nobody else does."""

    def __str__(self) -> str:
        return self.why + f"; nobody else leads: priority {LAST_RESORT}" * self.leads


@dataclass(frozen=True, slots=True)
class Seen:
    """All that is known of this director's part in the election of one VIP group."""

    state: State | None = None
    """As the VRRP process said last; None: it has not spoken."""
    standing: Standing | None = None
    awaited: str = ""
    """Why there is no standing yet."""


class Standings:
    """The standing of every VIP group that has an election."""

    def __init__(
        self, config: Config, book: FactBook, pulse: Pulse, *, peer: AskPeer = nobody
    ) -> None:
        """The facts tell of quorums, the pulse whether the kernel holds what is wanted; ``peer``
        compares a VIP group's services with what other directors see."""
        self._book = book
        self._tracks = Tracks(asking(book), peer)
        self._pulse = pulse
        self._footings: dict[tuple[str, ...], Footing] = {}
        """By the names of VIP groups that move together."""
        self._waiting_since: dict[str, float] = {}
        """VIP groups by name that wait for first verdicts."""
        self.now: dict[str, Standing] = {}
        """As at the last look; without those of which nothing can be said yet."""
        self.awaited: dict[str, str] = {}
        """VIP groups of which nothing can be said yet, and what that waits for."""
        self.configure(config)

    def configure(self, config: Config) -> None:
        """Put a new config in force."""
        self._parties = _parties(config)
        parties = set(map(_names, self._parties))
        self._footings = {key: one for key, one in self._footings.items() if key in parties}
        elected = [vip.vrrp for party in self._parties for vip in party if vip.vrrp is not None]
        self._tracks.configure(track for vrrp in elected for track in vrrp.track)

    async def run(self) -> None:
        """Look after what is tracked, until cancelled."""
        await self._tracks.run()

    def look(self, now: float, led: Collection[str] = ()) -> dict[str, Standing]:
        """How it stands now (monotonic). Without those of which nothing can be said yet.

        ``led``: VIP groups that another director is heard to lead."""
        found: dict[str, Standing] = {}
        self.awaited = {}
        for party in self._parties:
            footing = self._footing(party, now, led)
            if awaited := self._awaited(party, footing, now, led):
                self.awaited |= {vip.name: awaited for vip in party}
                continue
            lacks = self._lacks(party, footing)
            found |= _together({v.name: self._standing(v.vrrp, lacks) for v in party if v.vrrp})
        told = {name: replace(s, news=_news(self.now.get(name), s)) for name, s in found.items()}
        self.now = found
        return told

    def seen(self, name: str, state: State | None) -> Seen:
        """A VIP group's standing beside what the VRRP process said of it."""
        return Seen(state, self.now.get(name), self.awaited.get(name, ""))

    def _footing(self, party: tuple[VipConfig, ...], now: float, led: Collection[str]) -> Footing:
        names = _names(party)
        footing = self._footings.get(names)
        if footing is None:
            stands = any(name in self.now for name in names)
            footing = self._footings[names] = Footing(begun=stands, fit=stands)
        elsewhere = any(name in led for name in names)
        footing.look(now, holds=self._pulse.holds(_addresses(party)), led=elsewhere)
        return footing

    def _lacks(self, party: tuple[VipConfig, ...], footing: Footing) -> _Lack | None:
        """What speaks against a party in what the kernel holds; None: nothing."""
        if footing.fit:
            return None
        why = LATELY if self._pulse.holds(_addresses(party)) else UNPROGRAMMED
        drops = all(vip.vrrp is None or vip.vrrp.unready_drop is not None for vip in party)
        return _Lack(why, leads=footing.nobody and not drops)

    def _awaited(
        self, party: tuple[VipConfig, ...], footing: Footing, now: float, led: Collection[str]
    ) -> str:
        """What is missing to say anything of a party; empty if nothing. What a reload adds to a
        party that stands already holds nothing back."""
        if any(vip.name in self.now for vip in party):
            return ""
        # Of a kernel that could not be asked nobody knows whether it has any table.
        if not footing.begun and not (footing.nobody and self._pulse.refused):
            return "IPVS is not programmed yet"
        tracks = [track for vip in party if vip.vrrp is not None for track in vip.vrrp.track]
        for track in tracks:
            condition = self._tracks.condition(track)
            if condition.well is None:
                return condition.why or f"{track.kind} {track.subject} was not looked at yet"
        return self._awaited_verdicts(party, now, led)

    def _awaited_verdicts(
        self, party: tuple[VipConfig, ...], now: float, led: Collection[str]
    ) -> str:
        """The same of its services. Nobody knows by which address marked packets come. For want of
        verdicts a VIP is left to whoever leads, but not to nobody."""
        elsewhere = any(vip.name in led for vip in party)
        addresses = _addresses(party)
        for service in self._book.config.services:
            here = service.key.address is None or service.key.address in addresses
            if here and self._book.awaits_verdicts(service):
                since = self._waiting_since.setdefault(party[0].name, now)
                if elsewhere or now - since < FIRST_VERDICTS_S:
                    return f"the first verdicts of service {service.name} are awaited"
        self._waiting_since.pop(party[0].name, None)
        return ""

    def _standing(self, vrrp: VrrpConfig, lack: _Lack | None) -> Standing:
        ready, drops = lack is None or lack.leads, 0
        why = [] if lack is None else [str(lack)]
        for track in vrrp.track:
            condition = self._tracks.condition(track)
            if condition.well is not False:
                continue
            if track.drop is None:
                ready = False
                why.append(condition.why)
            else:
                drops += track.drop
                why.append(f"{condition.why}: priority -{track.drop}")
        last = lack is not None and lack.leads
        priority = LAST_RESORT if last else max(vrrp.priority - drops, 1)
        return Standing(ready, priority, tuple(why))


def _parties(config: Config) -> tuple[tuple[VipConfig, ...], ...]:
    """VIP groups by the sync group that they are in, or alone."""
    found: dict[str, list[VipConfig]] = {}
    for vip in config.vips:
        if vip.vrrp is not None:
            group = vip.vrrp.sync_group
            found.setdefault(f"group {group}" if group else f"vip {vip.name}", []).append(vip)
    return tuple(map(tuple, found.values()))


def _names(party: tuple[VipConfig, ...]) -> tuple[str, ...]:
    return tuple(vip.name for vip in party)


def _addresses(party: tuple[VipConfig, ...]) -> set[IPAddress]:
    return {vip.address for group in party for vip in group.addresses}


def _together(party: dict[str, Standing]) -> dict[str, Standing]:
    """VIP groups that move together are ready together; each keeps its own priority."""
    back = [name for name, standing in party.items() if not standing.ready]
    if not back:
        return party
    return {
        name: replace(standing, ready=False, why=(*standing.why, *_with(back)))
        if standing.ready
        else standing
        for name, standing in party.items()
    }


def _with(back: list[str]) -> list[str]:
    return [f"it moves together with {', '.join(back)}, which may not be master here"]


def _news(before: Standing | None, now: Standing) -> str:
    if before is not None and (before.ready, before.priority) == (now.ready, now.priority):
        return ""
    return "; ".join(now.why) or ("" if before is None else "all is well again")
