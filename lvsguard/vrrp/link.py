"""One interface as VRRP sees it: its sockets, its own addresses, and what is thrown away.

For a loop that is not asyncio's: ``fileno`` is one descriptor for as long as the object lives,
``read`` and ``send`` never wait, ``timer`` says when to call ``read`` though nothing came. Whoever
has several interfaces for one instance has several of these. Messages are not decoded here.
"""

from __future__ import annotations

import select
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal

from lvsguard.core.dropped import Discard
from lvsguard.core.model import IPAddress
from lvsguard.kernel.interface_watch import InterfaceState
from lvsguard.kernel.port import KernelError
from lvsguard.vrrp.filter import (
    HEADER_MIN,
    PRESSED_SAMPLE,
    SAMPLE,
    TRUSTED_MAX,
    Rule,
    Voice,
    judge,
)
from lvsguard.vrrp.pressure import Pressure
from lvsguard.vrrp.raw_socket import RECEIVE_BUFFER, Packet, RawSocket
from lvsguard.vrrp.source import Sources

BATCH: Final = 64
"""Packets that one ``read`` takes from each socket: under a millisecond of work."""
WAITING_MAX: Final = 1024
"""Packets that an urgent ``read`` takes at most: all that a socket's buffer holds."""
RETRY: Final = 1.0
"""Seconds until a socket that could not be opened is tried again."""
_DOWN: Final = "has no carrier or is down: raise it (ip link set up), look at the cable"

FamilyNumber = Literal[4, 6]


@dataclass(frozen=True, slots=True)
class Datagram:
    """A VRRP message that may concern an instance here, and where it came in."""

    interface: str
    source: IPAddress
    destination: IPAddress
    ttl: int
    payload: bytes


class Link:
    """The sockets of one interface, opened, closed and opened again as it comes and goes."""

    def __init__(
        self,
        interface: str,
        vrids: Mapping[FamilyNumber, Iterable[int]],
        *,
        vips: Iterable[IPAddress] = (),
        sources: Iterable[IPAddress] = (),
        receive_buffer: int = RECEIVE_BUFFER,
    ) -> None:
        """``vrids``: of the instances, by family; a family without any gets no socket. ``vips``
        are never a source. ``sources``: addresses that the config names as sources.
        No socket is opened before the first ``update``."""
        self.interface = interface
        self._vrids: dict[FamilyNumber, frozenset[int]] = {
            family: frozenset(those) for family, those in vrids.items() if those
        }
        self._sources = Sources(self._vrids, vips, sources)
        self._receive_buffer = receive_buffer
        self._poll = select.epoll()
        self._sockets: dict[FamilyNumber, RawSocket] = {}
        self._drops: dict[FamilyNumber, int] = {}
        self._problems: dict[FamilyNumber, str] = {}
        self._state: InterfaceState | None = None
        self._trusted: dict[Voice, None] = {}
        self._pressure = Pressure(sum(map(len, self._vrids.values())))
        self._pressed = False
        # Families whose buffer was read empty since the filter became another.
        self._filtered: set[FamilyNumber] = set()
        self._retry_at: float | None = None
        self._paused = False
        self.discarded: Counter[Discard] = Counter()
        """What was thrown away; for what the kernel's filter dropped, an estimate by sample."""

    def fileno(self) -> int:
        """The descriptor that is readable when ``read`` has something; -1 when closed."""
        return -1 if self._poll.closed else self._poll.fileno()

    def update(self, state: InterfaceState | None, now: float) -> bool:
        """Take in what became of the interface (None: it is not there). True when a family can be
        used or no longer, or has another source."""
        before = self._usable()
        if state is None or self._state is None or self._state.index != state.index:
            # Another one of the same name: sockets stay bound to the one that is gone.
            self._close_sockets()
        self._state = state
        self._sources.update(state.addresses if state is not None else ())
        self._open_missing(now)
        if state is not None:
            for sock in self._sockets.values():
                sock.set_mtu(state.mtu)
        return self._usable() != before

    def problem(self, family: FamilyNumber, destination: IPAddress | None = None) -> str:
        """Why the family cannot be used now, and what to do; empty when it can. ``destination``:
        of adverts, for IPv6 has two kinds of addresses to speak from."""
        if self._state is None:
            return (
                f"there is no interface {self.interface}: create it, or name another in the config"
                " (ip link)"
            )
        if not self._state.up:
            return f"{self.interface} {_DOWN}"
        if family in self._problems:
            return self._problems[family]
        to = destination
        if not self._sources.any(family) or (to is not None and self._sources.to(to) is None):
            near = to is None or to.is_multicast or to.is_link_local
            kind = f"IPv6 {'link-local' if near else 'global'} address"
            kind = "IPv4 address of its own" if family == 4 else kind
            return (
                f"{self.interface} has no {kind} to send adverts from: add one"
                f" (ip addr add), a VIP is no source"
            )
        return ""

    def source_for(self, destination: IPAddress) -> IPAddress | None:
        """The address that an advert to ``destination`` comes from; None: there is none now."""
        return self._sources.to(destination)

    def send(self, payload: bytes, source: IPAddress, destination: IPAddress) -> None:
        """Send a message. Raises KernelError; ``update`` mends what can be mended."""
        family: FamilyNumber = 4 if destination.version == 4 else 6
        sock = self._sockets.get(family)
        if sock is None:
            why = self.problem(family) or f"no instance on {self.interface} speaks IPv{family}"
            raise KernelError(f"cannot send VRRP to {destination}: {why}")
        sock.send(payload, source, destination)

    def trust(self, datagram: Datagram) -> None:
        """This is an advert of the present master, and believed: in a flood its like is heard
        before all others."""
        voice = Voice(datagram.source, datagram.payload[:HEADER_MIN])
        if next(reversed(self._trusted), None) == voice:
            return
        new = voice not in self._trusted
        self._trusted.pop(voice, None)
        self._trusted[voice] = None
        if len(self._trusted) > TRUSTED_MAX:
            del self._trusted[next(iter(self._trusted))]
        if new and self._pressed:
            self._set_filters()

    def read(self, now: float, *, urgent: bool = False) -> list[Datagram]:
        """What came, at most ``BATCH`` for each family. Call it when ``fileno`` is readable and
        when ``timer`` is due; and with ``urgent`` before acting on an expired timer of an instance,
        for then everything that waits is read, whatever the budget says: the master's advert may
        lie behind a flood."""
        if self._retry_at is not None and now >= self._retry_at:
            self._open_missing(now)
        datagrams: list[Datagram] = []
        for family, sock in tuple(self._sockets.items()):
            room = self._pressure.room(now)
            room = WAITING_MAX if urgent else min(BATCH, room)
            if room == 0:
                break
            try:
                packets, malformed = sock.receive(room)
            except KernelError as error:
                self._fail(family, str(error), now)
                continue
            self._pressure.note(malformed, malformed)
            self.discarded[Discard.SHORT] += malformed
            datagrams += self._kept(family, packets)
            if len(packets) + malformed < room:
                self._filtered.add(family)  # these still waited there before
        self._keep_pressure()
        return datagrams

    @property
    def pressed(self) -> bool:
        """Whether a flood is being held back."""
        return self._pressed

    def timer(self) -> float | None:
        """When ``read`` must be called though nothing came; None: not at all."""
        resume = self._pressure.resume() if self._paused else None
        due = [at for at in (resume, self._retry_at) if at is not None]
        return min(due, default=None)

    def count_overflow(self) -> None:
        """Add to ``discarded`` what the sockets' buffers had no room for since the last call."""
        for family, sock in self._sockets.items():
            drops = sock.drops()
            self.discarded[Discard.OVERFLOW] += (drops - self._drops.get(family, 0)) % 2**32
            self._drops[family] = drops

    def close(self) -> None:
        """Give the sockets back."""
        self._close_sockets()
        self._poll.close()

    def _kept(self, family: FamilyNumber, packets: list[Packet]) -> list[Datagram]:
        """Those that may concern an instance; the others are counted."""
        kept: list[Datagram] = []
        offered = 0
        for one in packets:
            why = self._why_not(family, one)
            if why is not None and why is not Discard.OWN:
                # It stands for all that the filter dropped beside it.
                self.discarded[why] += SAMPLE
                offered += 1
                continue
            stands_for = PRESSED_SAMPLE if self._sampled(family, one) else 1
            self.discarded[Discard.PRESSURE] += stands_for - 1
            offered += stands_for
            if why is Discard.OWN:
                self.discarded[why] += 1
                continue
            kept.append(Datagram(self.interface, one.source, one.destination, one.ttl, one.payload))
        self._pressure.note(len(packets), offered)
        return kept

    def _why_not(self, family: FamilyNumber, one: Packet) -> Discard | None:
        payload = one.payload
        first, vrid = payload[:2] if len(payload) >= 2 else (0, 0)
        why = judge(self._vrids[family], one.destination, one.ttl, first, vrid, len(payload))
        return Discard.OWN if why is None and one.source in self._sources.own else why

    def _sampled(self, family: FamilyNumber, one: Packet) -> bool:
        """Whether the filter under pressure let it through by chance."""
        if not self._pressed or family not in self._filtered:
            return False
        return Voice(one.source, one.payload[:HEADER_MIN]) not in self._trusted

    def _keep_pressure(self) -> None:
        """Set the filters and the pause as the pressure says."""
        if self._pressure.pressed != self._pressed:
            self._pressed = self._pressure.pressed
            self._filtered.clear()
            self._set_filters()
        pause = self._pressure.resume() is not None
        if pause != self._paused:
            self._paused = pause
            events = 0 if pause else select.EPOLLIN
            for sock in self._sockets.values():
                self._poll.modify(sock.fileno(), events)

    def _set_filters(self) -> None:
        for family, sock in self._sockets.items():
            sock.set_rule(self._rule(family))

    def _rule(self, family: FamilyNumber) -> Rule:
        trusted = frozenset(one for one in self._trusted if one.source.version == family)
        return Rule(family, self._vrids[family], trusted, self._pressed)

    def _open_missing(self, now: float) -> None:
        self._retry_at = None
        state = self._state
        if state is None:
            return
        for family in self._vrids:
            if family in self._sockets:
                continue
            try:
                sock = RawSocket(state, self._rule(family), receive_buffer=self._receive_buffer)
            except KernelError as error:
                self._problems[family] = str(error)
                self._retry_at = now + RETRY
                continue
            self._problems.pop(family, None)
            self._sockets[family] = sock
            self._drops[family] = 0
            self._poll.register(sock.fileno(), 0 if self._paused else select.EPOLLIN)

    def _fail(self, family: FamilyNumber, problem: str, now: float) -> None:
        """A socket is of no use any more: another one is opened a while later."""
        self._problems[family] = problem
        self._sockets.pop(family).close()
        self._retry_at = now + RETRY

    def _close_sockets(self) -> None:
        self._each(lambda sock: self._poll.unregister(sock.fileno()))
        self._each(RawSocket.close)
        self._sockets.clear()
        self._problems.clear()

    def _each(self, act: Callable[[RawSocket], None]) -> None:
        for sock in self._sockets.values():
            with suppress(OSError):
                act(sock)

    def _usable(self) -> tuple[object, ...]:
        return (
            tuple(self.problem(family) for family in self._vrids),
            tuple(self._sources.chosen.items()),
        )
