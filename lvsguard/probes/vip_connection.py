"""One conversation over a connection that goes to the VIP of one realserver, as a client's goes.

What the director forwards by dr is a packet to the VIP with the realserver's MAC address; by tun it
is that packet in an envelope to the realserver. Exactly that is sent here. The kernel's own TCP
cannot: IPVS takes every packet to a virtual service that this host itself sends, too, and gives it
to whichever realserver is next. So TCP is ``stream``'s, and the kernel only lends a port.
"""

from __future__ import annotations

import errno
import random
import socket
from _socket import socket as RawSocket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from lvsguard.core.bpf import DROP_ALL
from lvsguard.core.config import Check, VipPath
from lvsguard.core.health import FailureClass
from lvsguard.core.model import IPAddress
from lvsguard.kernel.nexthop import NextHop
from lvsguard.kernel.port import KernelError
from lvsguard.kernel.socket_filter import attach
from lvsguard.probes import outcome, segment, vip_outcome
from lvsguard.probes.outcome import Conversation, Outcome, seconds
from lvsguard.probes.segment import Segment, Unreachable
from lvsguard.probes.stream import News, Stream
from lvsguard.probes.wire import Wire, WireKey, Wires

AGAIN: Final = 0.1
"""Share of the timeout after which a segment is sent again; then twice that, and so on."""
ASK_AGAIN: Final = 0.05
"""Share of the timeout between two segments that ask for the connection."""
CONNECT: Final = 0.4
"""Share of the timeout in which the connection must stand: eight segments that ask for it, so that
their silence on a bad line is none of the line's, and time to compare with the own address."""
LOOK_S: Final = 0.002
"""Seconds after which a MAC address that was asked for is looked up; then twice that, and so on."""
_HOLD: Final = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC


@dataclass(frozen=True, slots=True)
class Aim:
    """Where a check's probes go, made ready once."""

    realserver: IPAddress
    path: VipPath
    source: IPAddress | None
    """To ask from, or fail."""
    own: IPAddress | None
    """To ask from while this host has it."""
    timeout: float

    @classmethod
    def of(cls, check: Check, path: VipPath) -> Aim:
        """Make a check's aim ready."""
        spec = check.spec
        return cls(check.address, path, spec.source, spec.own, spec.timing.timeout)


Found = Callable[[Outcome, bool], None]
"""Takes what was found, and whether a connection stood by then."""


class VipConnection:
    """One such conversation (a ``wire.Receiver`` and ``engine.Sleeper``). ``found`` is called
    exactly once, unless it is cancelled before."""

    def __init__(
        self,
        wires: Wires,
        aim: Aim,
        talk: Conversation,
        found: Found,
        replies: Callable[[], bytes] | None = None,
    ) -> None:
        """Args: replies: what the conversation has to send after it was fed something."""
        self.alarm = 0
        self._wires = wires
        self._engine = wires.engine
        self._aim = aim
        self._talk = talk
        self._found: Found | None = found
        self._replies = replies
        self._connect_by = self._engine.now + aim.timeout * CONNECT
        self._again_at = 0.0
        self._pause = aim.timeout * ASK_AGAIN
        self._look = LOOK_S
        self._hop: NextHop | None = None
        self._own: IPAddress | None = None
        self._mac = b""
        self._holder: RawSocket | None = None
        self._port = 0
        self._wire: Wire | None = None
        self._stream: Stream | None = None

    @property
    def connected(self) -> bool:
        """Whether the connection stood."""
        return self._stream is not None and self._stream.connected

    def start(self) -> None:
        """Find the way, and send the first segment as soon as the MAC address is known."""
        try:
            self._find_way()
        except (OSError, KernelError) as error:
            self._finish(vip_outcome.own_fault(error.errno or errno.EIO))

    def cancel(self) -> None:
        """End without a result; nothing happens when it has ended already."""
        self._found = None
        self._close()

    def expire(self) -> None:
        """End it: the time for the whole probe is over."""
        timeout = self._aim.timeout
        if self.connected:
            self._finish(self._talk.expired(timeout))
        else:
            self._finish(outcome.connect_expired(timeout))

    def receive(self, came: Segment | Unreachable) -> None:
        """Take what came to its port (see ``wire.Receiver``)."""
        stream = self._stream
        if stream is None or self._found is None:
            return
        try:
            if isinstance(came, Unreachable):
                if not stream.connected:
                    self._finish(vip_outcome.unreachable(came.code, self._aim.path.address.version))
                return
            if (wrong := stream.stray(came)) is not None:
                self._send(wrong)
            found = self._hear(stream, stream.take(came))
            if found is None:
                self._flush(stream)
        except (OSError, KernelError) as error:
            found = vip_outcome.own_fault(error.errno or errno.EIO)
        if found is not None:
            self._finish(found)

    def ring(self, _due: float) -> None:
        """Take an alarm (see ``engine.Sleeper``)."""
        now = self._engine.now
        try:
            if not self.connected and now >= self._connect_by:
                self._finish(self._silence())
            elif self._stream is None:
                self._look_for_mac()
            elif now >= self._again_at:
                self._send_again(self._stream)
            else:
                self._rearm()
        except (OSError, KernelError) as error:
            self._finish(vip_outcome.own_fault(error.errno or errno.EIO))

    # -- inside ----------------------------------------------------------------------------------

    def _find_way(self) -> None:
        aim = self._aim
        hop = self._hop = self._wires.paths.route(aim.realserver)
        if hop is None:
            self._finish(vip_outcome.HERE)
            return
        if aim.path.tunnel is None and hop.neighbour != aim.realserver:
            self._finish(
                vip_outcome.no_way(
                    f"{aim.realserver} is not on the link but behind {hop.neighbour}"
                )
            )
            return
        self._hold_port(hop)
        self._look_for_mac()

    def _hold_port(self, hop: NextHop) -> None:
        """Take a port of the own address. The kernel then neither gives it to anybody else, nor
        resets a connection of which it does not know."""
        aim = self._aim
        family = socket.AF_INET if aim.path.address.version == 4 else socket.AF_INET6
        holder = self._holder = RawSocket(family, _HOLD, 0)
        attach(holder, DROP_ALL)
        if aim.source is not None:
            holder.bind((str(aim.source), 0))
        else:
            self._bind_own(holder, hop)
        holder.listen(0)
        address, self._port = holder.getsockname()[:2]
        self._own = type(aim.path.address)(address)

    def _bind_own(self, holder: RawSocket, hop: NextHop) -> None:
        vip = self._aim.path.address
        for own in (self._aim.own, hop.source):
            if own is None or own.version != vip.version or own == vip:
                continue
            try:
                holder.bind((str(own), 0))
            except OSError as error:
                if error.errno != errno.EADDRNOTAVAIL:
                    raise
            else:
                return
        raise OSError(errno.EADDRNOTAVAIL, "no own address to ask from")

    def _look_for_mac(self) -> None:
        hop, own = self._hop, self._own
        if hop is None or own is None:
            return
        known = self._wires.paths.neighbour(hop)
        if not known.fresh and self._look == LOOK_S:
            self._wires.paths.resolve(hop)
        if not known.mac:
            self._engine.wake(min(self._engine.now + self._look, self._connect_by), self)
            self._look = min(self._look * 2, 0.05)
            return
        self._mac = known.mac
        self._wire = self._wires.get(WireKey(hop.link, own, self._aim.path.address))
        self._wire.join(self._port, self)
        self._stream = Stream(self._port, self._aim.path.port, random.getrandbits(32))
        self._send(self._stream.syn())
        self._wait()

    def _hear(self, stream: Stream, news: News | None) -> Outcome | None:
        match news:
            case None:
                return None
            case News.REFUSED:
                return outcome.connect_failed(errno.ECONNREFUSED)
            case News.CONNECTED:
                stream.write(self._talk.request)
                return None if self._talk.request else self._talk.sent()
            case News.RESET:
                return self._talk.reset(ConnectionResetError(errno.ECONNRESET, "connection reset"))
        found = None
        if stream.received:
            found = self._talk.feed(stream.received)
            if self._replies is not None:
                stream.write(self._replies())
        if found is None and news is News.CLOSED:
            found = self._talk.closed()
        return found

    def _flush(self, stream: Stream) -> None:
        was_waiting = stream.waiting
        for one in stream.outgoing():
            self._send(one)
        if stream.waiting or was_waiting:
            self._pause = self._aim.timeout * AGAIN
        self._wait()

    def _send_again(self, stream: Stream) -> None:
        one = stream.again()
        if one is not None:
            self._send(one)
            if stream.connected:
                self._pause *= 2
            self._wait()

    def _wait(self) -> None:
        self._again_at = self._engine.now + self._pause
        self._rearm()

    def _rearm(self) -> None:
        stream = self._stream
        if stream is not None and not stream.waiting:
            self._engine.sleep(self)
            return
        due = self._again_at
        self._engine.wake(due if self.connected else min(due, self._connect_by), self)

    def _send(self, one: Segment) -> None:
        aim, own, wire = self._aim, self._own, self._wire
        if own is None or wire is None or self._hop is None:
            return
        packet = segment.packet(own, aim.path.address, one)
        if aim.path.tunnel is not None:
            outer = self._outer(own, self._hop)
            packet = segment.envelope(
                aim.path.tunnel, outer, aim.realserver, 0xC000 | self._port, packet
            )
        wire.send(packet, self._mac)

    def _outer(self, own: IPAddress, hop: NextHop) -> IPAddress:
        """The envelope's own source: IPVS takes the route's."""
        if hop.source is not None:
            return hop.source
        if own.version != self._aim.realserver.version:
            raise OSError(errno.EADDRNOTAVAIL, "no own address for the tunnel")
        return own

    def _silence(self) -> Outcome:
        patience = self._aim.timeout * CONNECT
        if self._stream is None and self._hop is not None:
            reason = f"no MAC address of {self._hop.neighbour} within {seconds(patience)}"
            return Outcome(False, "L4TOUT", reason, FailureClass.TIMEOUT)
        return outcome.connect_expired(patience)

    def _finish(self, found: Outcome) -> None:
        connected = self.connected
        report, self._found = self._found, None
        self._close()
        if report is not None:
            report(found, connected)

    def _close(self) -> None:
        self._engine.sleep(self)
        stream, wire, holder = self._stream, self._wire, self._holder
        self._holder = None
        if wire is not None and stream is not None:
            if stream.connected or not stream.ended:
                with suppress(OSError):  # it is only a courtesy
                    self._send(stream.reset())
            wire.leave(self._port)
            self._wire = None
        if holder is not None:
            holder.close()
