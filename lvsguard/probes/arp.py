"""Asks the hosts of realservers on the director's own links whether they are there.

A frame each way five times a second finds a dead host in less than a second, and teaches which MAC
address is whose. Silence makes probes, and with a probe that cannot connect it is death; alone it
decides nothing. One host is asked once, however many checks and services ask there.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from lvsguard.core.config import ArpSpec, Check
from lvsguard.core.health import Hint
from lvsguard.core.model import IPAddress
from lvsguard.probes.arp_socket import ArpSocket, Unusable
from lvsguard.probes.engine import Engine
from lvsguard.probes.hints import Hints
from lvsguard.probes.outcome import seconds
from lvsguard.probes.presence import Answer, Presence, Silence
from lvsguard.probes.watched import Watched

REOPEN_S: Final = 5.0
"""Pause before another attempt on an interface where nothing can be asked."""
LATE_S: Final = 0.02
"""A turn that is later than this was late through this director's own fault."""

Met = Callable[[IPAddress, bytes], None]
"""Takes an address and its MAC address, when it is learnt and when it changes."""


class Arp:
    """All hosts that one prober asks."""

    def __init__(self, engine: Engine, hints: Hints, met: Met) -> None:
        self.engine = engine
        self.hints = hints
        self.met = met
        self._hosts: dict[bytes, AskedHost] = {}
        self._of: dict[Watched, AskedHost] = {}
        self._sockets: dict[tuple[str, int], ArpSocket] = {}
        self._closed: dict[tuple[str, int], tuple[float, str]] = {}
        """Until when nothing can be asked there, and why."""

    def join(self, running: Watched, check: Check) -> None:
        """Ask for a check's host, if the check wants it and the host is on a link."""
        spec = check.spec.arp
        if spec is None or spec.source is None or not spec.interface:
            return
        host = self._hosts.get(check.address.packed)
        if host is None:
            host = self._hosts[check.address.packed] = AskedHost(self, check.address, spec)
        host.join(running, spec)
        self._of[running] = host

    def leave(self, running: Watched) -> None:
        """A check ends."""
        host = self._of.pop(running, None)
        if host is None:
            return
        host.leave(running)
        if not host.checks:
            self.engine.sleep(host)
            del self._hosts[host.address.packed]

    def close(self) -> None:
        """Ask no more."""
        for host in self._hosts.values():
            self.engine.sleep(host)
        for sock in self._sockets.values():
            sock.close()
        self._hosts.clear()
        self._of.clear()
        self._sockets.clear()

    def socket(self, interface: str, version: int) -> ArpSocket:
        """The socket to ask through. Raises Unusable."""
        key = (interface, version)
        found = self._sockets.get(key)
        if found is None:
            until, why = self._closed.get(key, (0.0, ""))
            if self.engine.now < until:
                raise Unusable(why)
            try:
                found = ArpSocket(self.engine, interface, version, self._heard)
            except Unusable as error:
                self._closed[key] = self.engine.now + REOPEN_S, str(error)
                raise
            self._sockets[key] = found
        return found

    def failed(self, interface: str, version: int, error: OSError) -> None:
        """A question could not be sent: the interface may be another one by now."""
        sock = self._sockets.pop((interface, version), None)
        if sock is not None:
            sock.close()

    def crowd(self) -> int:
        """How many hosts there are."""
        return len(self._hosts)

    def _heard(self, address: bytes, mac: bytes) -> None:
        host = self._hosts.get(address)
        if host is not None:
            host.answered(mac)


class AskedHost:
    """One host (an ``engine.Sleeper``)."""

    __slots__ = (
        "_arp",
        "_due",
        "_frame",
        "_frame_of",
        "_noted",
        "_presence",
        "_spec",
        "_specs",
        "address",
        "alarm",
        "checks",
    )

    def __init__(self, arp: Arp, address: IPAddress, spec: ArpSpec) -> None:
        self.alarm = 0
        self.address = address
        self.checks: list[Watched] = []
        self._specs: dict[Watched, ArpSpec] = {}
        self._arp = arp
        self._spec = spec
        self._presence = Presence(spec.interval, spec.tries)
        self._frame, self._frame_of = b"", (b"", b"")
        self._noted = ""
        # Many hosts begin at once; a host's first answer may wait for that of others.
        first = random.random() * min(spec.interval, 0.0001 * (arp.crowd() + 1))
        self._due = arp.engine.now + first
        arp.engine.wake(self._due, self)

    def join(self, check: Watched, spec: ArpSpec) -> None:
        """Be asked for one more check."""
        self.checks.append(check)
        self._specs[check] = spec
        if self._noted:
            check.note("arp", self._words())
        self._pace()

    def leave(self, check: Watched) -> None:
        """A check ends."""
        self.checks.remove(check)
        del self._specs[check]
        if self.checks:
            self._pace()

    def _pace(self) -> None:
        """Ask as the check wants that finds a dead host soonest."""
        spec = min(self._specs.values(), key=lambda one: (one.interval * one.tries, one.interval))
        if spec == self._spec:
            return
        self._spec = spec
        self._presence.pace(spec.interval, spec.tries)
        soon = self._arp.engine.now + self._presence.pause
        if soon < self._due:
            self._due = soon
            self._arp.engine.wake(soon, self)

    def ring(self, due: float) -> None:
        """Take a turn (see ``engine.Sleeper``)."""
        presence, now = self._presence, self._arp.engine.now
        late = now - due
        since = presence.since
        word = presence.turn(now, late if late > LATE_S else 0.0)
        if word is not Silence.NONE:
            self._silent(word, since)
        self._ask()
        pause = presence.pause
        # On time, unless that has passed: many hosts that share a moment share its wake-up.
        self._due = due + pause if now < due + pause else now + pause
        self._arp.engine.wake(self._due, self)

    def answered(self, mac: bytes) -> None:
        """It is there."""
        presence = self._presence
        was = presence.silent
        trouble = presence.since < self._arp.engine.now - self._spec.interval
        answer = presence.answered(mac)
        if answer is not Answer.SAME:
            self._note("")
            self._arp.met(self.address, presence.mac)
        if was:
            hint = Hint("arp", "the host answers again", self._arp.engine.now)
            for check in self.checks:
                if not check.up:
                    self._arp.hints.give(check, hint)
        if was or trouble:
            for check in self.checks:
                check.heard()
        soon = self._arp.engine.now + presence.pause
        if soon < self._due:  # the next turn is that of a host that was silent
            self._due = soon
            self._arp.engine.wake(soon, self)

    def _silent(self, word: Silence, since: float) -> None:
        now = self._arp.engine.now
        if word is Silence.STRANGER:
            self._note("it has never answered")
            return
        hint = Hint("arp", f"the host is silent for {seconds(round(now - since, 2))}", since)
        hints, patience = self._arp.hints, self._spec.interval
        for check in self.checks:
            if not check.up:
                continue
            begun = check.waiting
            if word is Silence.DOUBT:
                # Whatever its probe finds: what makes it dead is an interval away.
                hints.silent(check, now, patience)
                hints.give(check, hint)
                continue
            hints.silent(check, now if begun is None else begun, patience)
            check.silent(hint, patience)
            if begun is None:
                hints.give(check, hint)

    def _ask(self) -> None:
        source, presence, version = self._spec.source, self._presence, self.address.version
        if source is None:
            return
        to = b"" if presence.to_all else presence.mac
        try:
            sock = self._arp.socket(self._spec.interface, version)
            if self._frame_of != (sock.mac, to):
                self._frame = sock.question(source, self.address, to)
                self._frame_of = sock.mac, to
            sock.ask(self._frame)
        except Unusable as error:
            presence.unasked()
            self._note(str(error))
        except OSError as error:
            presence.unasked()
            self._arp.failed(self._spec.interface, version, error)

    def _note(self, why: str) -> None:
        if why == self._noted:
            return
        self._noted = why
        for check in self.checks:
            check.note("arp", self._words())

    def _words(self) -> str:
        name = "ARP" if self.address.version == 4 else "neighbour discovery"
        why = self._noted
        return f"not asked by {name}: {why}; arp = false in the check does without" if why else ""
