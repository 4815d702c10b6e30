"""The channel between directors: one connection to each of the others, made again when it breaks.

Of two directors the one whose name comes first connects. Either tells the other how it does each
second, and at once what has changed. A director that is down costs a SYN now and then; nobody waits
for it. What is heard decides nothing here.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from lvsguard.admin import peer_turns
from lvsguard.admin.accept import callers
from lvsguard.admin.peer_gate import Gate
from lvsguard.admin.peer_link import Link, LinkError, Refused, TooSlow, dial, listening, welcome
from lvsguard.admin.peer_message import VERSION, Beat, Hello
from lvsguard.admin.peer_session import Peer, Session, Shared
from lvsguard.core.event import Event
from lvsguard.core.ledger import Record
from lvsguard.core.peer import Account, PeerConfig
from lvsguard.core.peer_event import PeerHeard, PeerSilent
from lvsguard.core.turns import Turns
from lvsguard.credential import Credential

HEARD_S: Final = 5.0
"""Seconds without a word after which a director is not heard any more. Connections are made anew
before that, so a short cut is none."""
AGAIN_S: Final = 0.4
"""Pause before the next try to connect; with the time that a try takes, about one a second."""
REFUSED_AGAIN_S: Final = 5.0
"""The same after the other end was no good: only people mend that."""


class PeerChannel:
    """All other directors. Without a configuration it does nothing."""

    def __init__(self, director: str, shared: Shared, emit: Callable[[Event], None]) -> None:
        """``shared``: the overrides that all of them have."""
        self._director = director
        self._shared = shared
        self._emit = emit
        self._config: PeerConfig | None = None
        self._account: Account | None = None
        self._peers: dict[str, Peer] = {}
        self._sessions: dict[str, Session] = {}
        self._changed = asyncio.Event()
        self.gate = Gate(emit)
        self.turns = Turns(director)
        """Whose turn it is; ``news`` tells of a change."""

    @property
    def peers(self) -> Mapping[str, Peer]:
        """The other directors by name."""
        return self._peers

    def configure(self, config: PeerConfig | None) -> None:
        """Talk to exactly these. What is the same goes on."""
        if config == self._config:
            return
        before, self._config = self._peers, config
        self._peers = {}
        for name, address in config.others if config is not None else ():
            known = before.get(name)
            same = known is not None and known.address == str(address)
            self._peers[name] = known if known and same else Peer(name, str(address))
        self._changed.set()

    def tell(self, account: Account) -> None:
        """Say this of oneself from now on; and take note of who has fallen silent. To be called
        several times a second."""
        now = time.monotonic()
        for peer in self._peers.values():
            if not peer.silent and peer.heard is not None and now - peer.heard > HEARD_S:
                peer.silent, peer.since = True, time.time()
                why = peer.problem or f"no word within {HEARD_S:g} s"
                self._emit(PeerSilent(peer.name, peer.address, why))
        if account != self._account:
            self._account = account
            self.news()

    def news(self, records: Iterable[Record] = ()) -> None:
        """Tell what has changed now, and these records."""
        for session in self._sessions.values():
            session.news(records)

    async def run(self) -> None:
        """Keep the connections until cancelled."""
        while True:
            self._changed.clear()
            config = self._config
            serving = asyncio.create_task(self._serve(config), name="peers")
            waiting = asyncio.create_task(self._changed.wait(), name="peers-config")
            try:
                await asyncio.wait((serving, waiting), return_when=asyncio.FIRST_COMPLETED)
                if serving.done():
                    await serving  # a bug: let it be seen
            finally:
                for task in (serving, waiting):
                    task.cancel()
                await asyncio.gather(serving, waiting, return_exceptions=True)

    async def _serve(self, config: PeerConfig | None) -> None:
        if config is None:
            await asyncio.get_running_loop().create_future()
            return
        credential = Credential(config.credential)
        self.gate.pending = 0  # nobody is left of before
        async with asyncio.TaskGroup() as group:
            for name, _ in config.others:
                if self._director < name:
                    dialing = self._dial_on(config, self._peers[name], credential)
                    group.create_task(dialing, name=f"peer {name}")
            if any(name < self._director for name, _ in config.others):
                group.create_task(self._listen_on(config, credential), name="peer-listener")

    # -- connections -----------------------------------------------------------------------

    async def _dial_on(self, config: PeerConfig, peer: Peer, credential: Credential) -> None:
        address = dict(config.others)[peer.name]
        while True:
            pause = AGAIN_S
            try:
                link = await dial(address, config.port, config.address, credential)
                await self._talk(link, lambda name: name == peer.name)
            except TooSlow as error:
                # Perhaps a link that was cut: it is tried again at once, so that it heals at once.
                peer.problem = str(error)
                self.gate.refuse(peer.address, str(error), time.monotonic())
            except Refused as error:
                peer.problem = f"{error}: is its credential the same, and its version?"
                self.gate.refuse(peer.address, str(error), time.monotonic())
                pause = REFUSED_AGAIN_S
            except LinkError as error:
                peer.problem = str(error)
            await asyncio.sleep(pause)

    async def _listen_on(self, config: PeerConfig, credential: Credential) -> None:
        dialers = {n: p for n, p in self._peers.items() if n < self._director}
        while True:
            try:
                with listening(config.address, config.port) as sock:
                    for peer in dialers.values():
                        peer.problem = "it has not connected"
                    await self._accept_on(sock, config, credential)
            except OSError as error:
                for peer in dialers.values():
                    peer.problem = (
                        f"this director cannot listen on {config.address} port {config.port}:"
                        f" {error.strerror or error}"
                    )
            await asyncio.sleep(1.0)

    async def _accept_on(
        self, sock: socket.socket, config: PeerConfig, credential: Credential
    ) -> None:
        known = [address for name, address in config.others if name < self._director]
        async with asyncio.TaskGroup() as group:
            async for accepted, address in callers(sock):
                if not self.gate.admits(address, known, time.monotonic()):
                    accepted.close()
                    continue
                self.gate.pending += 1
                group.create_task(self._take(accepted, address, credential), name="peer-caller")

    async def _take(self, accepted: socket.socket, address: str, credential: Credential) -> None:
        waits = True

        def known(name: str) -> bool:
            nonlocal waits
            waits = False
            self.gate.pending -= 1
            peer = self._peers.get(name)
            return peer is not None and peer.address == address and name < self._director

        try:
            await self._talk(await welcome(accepted, address, credential), known)
        except Refused as error:
            self.gate.refuse(address, str(error), time.monotonic())
            self._blame(address, str(error))
        except LinkError as error:
            if waits:  # it did not get as far as a hello
                self.gate.refuse(address, str(error), time.monotonic())
            self._blame(address, str(error))
        finally:
            self.gate.pending -= waits

    def _blame(self, address: str, why: str) -> None:
        for peer in self._peers.values():
            if peer.address == address and peer.name not in self._sessions:
                peer.problem = why

    # -- what is said ----------------------------------------------------------------------

    async def _talk(self, link: Link, expected: Callable[[str], bool]) -> None:
        """Say hello and talk until it breaks. Raises LinkError, always."""
        try:
            await link.send([Hello(VERSION, self._director)])
            hello = await link.receive()
            if not isinstance(hello, Hello):
                raise Refused("it has not said hello")
            peer = self._peers.get(hello.director)
            if not expected(hello.director) or peer is None:
                raise Refused(f"it says that it is {hello.director}, which it cannot be here")
            if hello.version != VERSION:
                raise Refused(
                    f"it speaks version {hello.version} of the channel, this one {VERSION}:"
                    " upgrade the older of the two"
                )
            await self._converse(link, peer)
        finally:
            await link.close()

    async def _converse(self, link: Link, peer: Peer) -> None:
        if (old := self._sessions.get(peer.name)) is not None:
            await old.close()  # its other end knows nothing of it any more
        session = Session(
            link, peer, self._shared, self.turns, account=lambda: self._account, heard=self._heard
        )
        self._sessions[peer.name] = session
        peer.problem = ""
        try:
            await session.run()
        finally:
            if self._sessions.get(peer.name) is session:
                del self._sessions[peer.name]

    def _heard(self, peer: Peer, beat: Beat) -> None:
        now = time.monotonic()
        before, peer.heard, peer.last = peer.heard, now, time.time()
        if self.turns.hear(peer.name, peer_turns.stamp(beat.turn, peer.name)):
            self.news()
        if peer.silent:
            peer.silent, peer.since = False, peer.last
            gap = 0.0 if before is None else now - before
            self._emit(PeerHeard(peer.name, peer.address, beat.version, gap))
