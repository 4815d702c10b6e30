"""Whether the other directors are fit to take over, as the controller sees it now: for the status,
for events, and for a failover that is asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from typing import Final

from lvsguard.admin.peer_session import Peer
from lvsguard.controller import Controller
from lvsguard.controller.ahead import services_on
from lvsguard.core.config_keys import KeyDifference, differences
from lvsguard.core.event import Event
from lvsguard.core.fitness import PeerFacts, Reason, Why, unfit
from lvsguard.core.peer import VipPart, compare
from lvsguard.core.peer_event import PeerFit, PeerUnfit
from lvsguard.core.snapshot import Role
from lvsguard.daemon.sharing import Sharing

SETTLE_S: Final = 3.0
"""For so long it stays as it is before it is told: two directors do not see a realserver's death at
the same moment."""


class Fitness:
    """Looks at the other directors with this one's eyes."""

    def __init__(
        self, controller: Controller, sharing: Sharing, emit: Callable[[Event], None]
    ) -> None:
        self._controller = controller
        self._sharing = sharing
        self._emit = emit
        self._found: dict[str, tuple[tuple[str, str], tuple[KeyDifference, ...]]] = {}
        self._since: dict[str, tuple[frozenset[Why], float]] = {}
        self._told: dict[str, frozenset[Why]] = {}

    def differing(self, peer: Peer) -> tuple[KeyDifference, ...] | None:
        """The keys that its configuration differs in; None: it has not told."""
        config = self._controller.book.config
        beat = peer.beat
        if beat is None or beat.config == config.digest:
            return ()
        if peer.keys_of != beat.config:
            return None
        of = (config.digest, peer.keys_of)
        known = self._found.get(peer.name)
        if known is None or known[0] != of:
            known = self._found[peer.name] = (of, differences(config.keys, peer.keys))
        return known[1]

    def unfit(self, peer: Peer, vips: Collection[str] | None = None) -> tuple[Reason, ...]:
        """Why it is not fit to take over these VIP groups (None: all) now."""
        book = self._controller.book
        account = peer.account
        names = None
        if vips is not None:
            names = {name for vip in vips for name in services_on(book.config, vip)}
        return unfit(
            PeerFacts(
                account=account,
                problem=peer.problem,
                by_etcd=book.config.etcd is not None,
                same_config=account is None or account.config == book.config.digest,
                differing=self.differing(peer),
                seen=compare(book.sights, peer.services, names),
                same_overrides=peer.beat is None
                or peer.beat.overrides == self._sharing.fingerprint,
                refused=peer.refused,
                clock=peer.clock.read(time.monotonic()),
            ),
            vips,
        )

    def watch(self, peers: Iterable[Peer], now: float) -> None:
        """Tell of each whose fitness has changed (``now``: monotonic). That one is not heard is
        told elsewhere."""
        for peer in peers:
            if peer.silent:
                self._since.pop(peer.name, None)
                continue
            reasons = self.unfit(peer)
            kinds = frozenset(one.why for one in reasons)
            known, since = self._since.setdefault(peer.name, (kinds, now))
            if known != kinds:
                self._since[peer.name] = (kinds, now)
            elif now - since >= SETTLE_S and self._told.get(peer.name) != kinds:
                self._told[peer.name] = kinds
                self._emit(_event(peer.name, reasons))

    def objections(self, peers: Collection[Peer], vips: Collection[str]) -> tuple[str, ...]:
        """Why these VIP groups should not be left to whoever would take them over; empty: there is
        nothing against it, or no channel to know by."""
        heard = [peer for peer in peers if not peer.silent]
        if not heard:
            return tuple(f"{peer.name}: {one}" for peer in peers for one in self.unfit(peer))
        heir = max(heard, key=lambda peer: _claim(peer, vips))
        return tuple(f"{heir.name}: {one}" for one in self.unfit(heir, vips))


def _claim(peer: Peer, vips: Collection[str]) -> tuple[bool, int, str]:
    """Who has more of it takes over."""
    parts = [part for part in peer.vips if part.name in vips]
    able = bool(parts) and all(_able(part) for part in parts)
    return able, min((part.priority for part in parts), default=0), peer.address


def _able(part: VipPart) -> bool:
    return part.ready and part.role in (Role.BACKUP, Role.MASTER)


def _event(name: str, reasons: tuple[Reason, ...]) -> Event:
    if not reasons:
        return PeerFit(name)
    kinds = tuple(dict.fromkeys(str(one.why) for one in reasons))
    return PeerUnfit(name, kinds, "; ".join(map(str, reasons)))
