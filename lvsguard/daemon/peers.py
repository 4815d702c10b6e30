"""Joins the controller with the other directors: what this one tells of itself, and what it makes
of what they tell.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from lvsguard import __version__
from lvsguard.admin.peer_channel import PeerChannel
from lvsguard.admin.peer_session import Peer
from lvsguard.controller import Controller
from lvsguard.controller.ahead import Heard
from lvsguard.controller.standing import Seen
from lvsguard.core.config import Config
from lvsguard.core.event import Event
from lvsguard.core.peer import Account, VipPart, compare
from lvsguard.core.peer_event import PeerDiffers
from lvsguard.core.snapshot import PeerStatus, Role
from lvsguard.daemon.sharing import Sharing

LOOK_S = 0.25
"""Rhythm of the looks at what is to be told."""
ROLLOUT_S = 60.0
"""How long two directors may have different configurations before it is told: somebody copies a
file to one after the other."""


class Peers:
    """The other directors, on behalf of the controller."""

    def __init__(
        self,
        config: Config,
        controller: Controller,
        sharing: Sharing,
        *,
        elections: Callable[[], Mapping[str, Seen]],
        emit: Callable[[Event], None],
    ) -> None:
        """``elections``: what is known of the election of each VIP group."""
        self._controller = controller
        self._elections = elections
        self._emit = emit
        self._sharing = sharing
        self._channel = PeerChannel(config.director, sharing, emit)
        sharing.told = self._channel.news
        self._channel.configure(config.peer)
        self._other_since: dict[str, float] = {}
        self._told: dict[str, str] = {}

    def configure(self, config: Config) -> None:
        """Put a new config in force."""
        self._channel.configure(config.peer)

    async def run(self) -> None:
        """Talk until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._channel.run(), name="peer-channel")
            group.create_task(self._tell(), name="peer-account")
            group.create_task(self._sharing.run(), name="sharing")

    async def _tell(self) -> None:
        while True:
            if self._channel.peers:
                self._channel.tell(self._account())
                self._watch_configs(time.monotonic())
            await asyncio.sleep(LOOK_S)

    def _account(self) -> Account:
        book = self._controller.book
        return Account(
            version=__version__,
            config=book.config.digest,
            programmed=self._controller.pulse.programmed,
            vips=tuple(_part(name, seen) for name, seen in self._elections().items()),
            services=book.sights,
        )

    def _watch_configs(self, now: float) -> None:
        """Tell once of a configuration that stays another one, and of its end."""
        mine = self._controller.book.config.digest
        for name, peer in self._channel.peers.items():
            if peer.silent or peer.beat is None:
                continue
            theirs = peer.beat.config
            if theirs == mine:
                self._other_since.pop(name, None)
                if self._told.pop(name, ""):
                    self._emit(PeerDiffers(name, theirs, mine))
            elif now - self._other_since.setdefault(name, now) >= ROLLOUT_S:
                if name not in self._told:
                    self._emit(PeerDiffers(name, theirs, mine))
                self._told[name] = theirs

    def heard(self) -> Heard:
        """How each director that is heard sees the services."""
        peers = self._channel.peers.values()
        return {peer.name: peer.services for peer in peers if not peer.silent}

    def status(self) -> tuple[PeerStatus, ...]:
        """The other directors, for the status."""
        return tuple(self._status(peer) for peer in self._channel.peers.values())

    def _status(self, peer: Peer) -> PeerStatus:
        beat = None if peer.silent else peer.beat
        book = self._controller.book
        found = compare(book.sights, peer.services)
        return PeerStatus(
            name=peer.name,
            address=peer.address,
            heard=not peer.silent,
            since=peer.since,
            last=peer.last,
            version="" if beat is None else beat.version,
            config="" if beat is None else beat.config,
            same_config=None if beat is None else beat.config == book.config.digest,
            programmed=None if beat is None else beat.programmed,
            same_overrides=None if beat is None else beat.overrides == self._sharing.fingerprint,
            refused="" if beat is None else peer.refused,
            differs=() if beat is None else found.differs,
            vips=() if beat is None else peer.vips,
            problem=peer.problem if peer.silent else "",
        )


def _part(name: str, seen: Seen) -> VipPart:
    role = str(Role.INIT) if seen.state is None else seen.state.role
    return VipPart(name, role, seen.standing is not None and seen.standing.ready)
