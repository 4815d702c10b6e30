"""A TCP client of one conversation, as small as a probe needs it. Pure: no socket, no clock.

RFC 9293, of which it leaves out what a probe can do without: window scaling, selective
acknowledgement, urgent data, congestion control (at most ``FLIGHT`` bytes are under way), and
whatever came out of order, which the peer sends again. It ends with a reset, as every probe does.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from typing import Final

from lvsguard.probes.segment import ACK, FIN, PSH, RST, SYN, Segment

MSS: Final = 1200
"""Bytes of payload: every link and every envelope has room for it."""
WINDOW: Final = 16384
"""Bytes that the peer may send ahead."""
FLIGHT: Final = 10 * MSS
"""Bytes sent and not yet acknowledged (the initial window of RFC 6928)."""
_MOD: Final = 1 << 32


class News(Enum):
    """What a segment brought about."""

    CONNECTED = auto()
    REFUSED = auto()
    RESET = auto()
    DATA = auto()
    CLOSED = auto()


class Stream:
    """One connection. What is to be sent is asked for with ``outgoing`` and ``again``."""

    __slots__ = (
        "_acknowledged",
        "_answer",
        "_buffer",
        "_expected",
        "_mss",
        "_next",
        "_port",
        "_room",
        "_sent",
        "_source",
        "connected",
        "ended",
        "received",
    )

    def __init__(self, source: int, port: int, first: int) -> None:
        """Args: source, port: own and other; first: the initial sequence number, by chance."""
        self.connected = False
        self.ended = False
        """Whether the peer has closed, reset or refused."""
        self.received = b""
        """What the latest segment brought."""
        self._source = source
        self._port = port
        self._acknowledged = first
        """The first byte that the peer has not got."""
        self._next = (first + 1) % _MOD
        """The first byte never sent."""
        self._expected = 0
        self._buffer = bytearray()
        """What the peer has not got, and what was not sent yet."""
        self._sent = 0
        """Bytes of it that are under way."""
        self._room = 0
        self._mss = MSS
        self._answer = False

    @property
    def waiting(self) -> bool:
        """Whether something is under way, to be sent again if nobody acknowledges it."""
        return not self.ended and (not self.connected or bool(self._buffer))

    def syn(self) -> Segment:
        """The segment that asks for the connection."""
        return Segment(self._source, self._port, self._acknowledged, 0, SYN, WINDOW, b"", mss=MSS)

    def write(self, data: bytes) -> None:
        """Have more to send."""
        self._buffer += data

    def outgoing(self) -> Iterator[Segment]:
        """What is to be sent now: data that the peer has room for, or an acknowledgement."""
        if not self.connected or self.ended:
            return
        limit = min(self._room, FLIGHT)
        while self._sent < len(self._buffer) and self._sent < limit:
            size = min(self._mss, len(self._buffer) - self._sent, limit - self._sent)
            yield self._data(self._sent, size)
            self._sent += size
        self._next = (self._acknowledged + self._sent) % _MOD
        if self._answer:
            yield self._segment(self._next, ACK)
        self._answer = False

    def again(self) -> Segment | None:
        """The first segment that nobody has acknowledged; also a probe of a window without room."""
        if self.ended:
            return None
        if not self.connected:
            return self.syn()
        if not self._buffer:
            return None
        size = min(self._mss, max(self._sent, 1), len(self._buffer))
        self._sent = max(self._sent, size)
        self._next = (self._acknowledged + self._sent) % _MOD
        return self._data(0, size)

    def reset(self) -> Segment:
        """The segment that ends it, whatever the peer has got."""
        if not self.connected:
            return self._segment(self._next, RST)
        return self._segment(self._next, RST | ACK)

    def take(self, segment: Segment) -> News | None:
        """Take what came from the peer."""
        if self.ended or (segment.source, segment.port) != (self._port, self._source):
            return None
        return self._take(segment) if self.connected else self._shake(segment)

    def stray(self, segment: Segment) -> Segment | None:
        """The reset for an answer to a connection of which the peer still dreams (RFC 9293
        section 3.10.7.3); else it would never answer the new one."""
        wrong = segment.flags & ACK and not segment.flags & RST
        if self.connected or not wrong or segment.acknowledged == self._next:
            return None
        return Segment(self._source, self._port, segment.acknowledged, 0, RST)

    # -- inside ----------------------------------------------------------------------------------

    def _shake(self, segment: Segment) -> News | None:
        if not segment.flags & ACK or segment.acknowledged != self._next:
            return None
        if segment.flags & RST:
            self.ended = True
            return News.REFUSED
        if not segment.flags & SYN:
            return None
        self.connected = True
        self._expected = (segment.sequence + 1) % _MOD
        self._acknowledged = self._next
        self._room = segment.window
        self._mss = min(segment.mss or 536, MSS)
        self._answer = True
        return News.CONNECTED

    def _take(self, segment: Segment) -> News | None:
        ahead = (segment.sequence - self._expected) % _MOD
        if segment.flags & RST:
            if ahead >= WINDOW:
                return None
            self.ended = True
            return News.RESET
        if segment.flags & ACK:
            self._settle(segment)
        if segment.flags & (SYN | FIN) or segment.payload:
            self._answer = True
        if segment.flags & SYN:
            return None
        behind = -ahead % _MOD
        if behind > len(segment.payload):
            return None  # ahead of what is expected, or long known
        fresh = segment.payload[behind:]
        self._expected = (self._expected + len(fresh)) % _MOD
        self.received = fresh
        if segment.flags & FIN:
            self._expected = (self._expected + 1) % _MOD
            self.ended = True
            return News.CLOSED
        return News.DATA if fresh else None

    def _settle(self, segment: Segment) -> None:
        known = (segment.acknowledged - self._acknowledged) % _MOD
        if known > self._sent:
            return
        del self._buffer[:known]
        self._sent -= known
        self._acknowledged = segment.acknowledged
        self._room = segment.window

    def _data(self, start: int, size: int) -> Segment:
        sequence = (self._acknowledged + start) % _MOD
        self._answer = False
        payload = bytes(self._buffer[start : start + size])
        return self._segment(sequence, ACK | PSH, payload)

    def _segment(self, sequence: int, flags: int, payload: bytes = b"") -> Segment:
        acknowledged = self._expected if flags & ACK else 0
        return Segment(self._source, self._port, sequence, acknowledged, flags, WINDOW, payload)
