"""A check ``via = "vip"``: it asks a realserver on the VIP, and on its own address if that fails.

Well on its own address and not on the VIP is a failure of its own kind, ``vip-path``, and says what
is set up wrongly there; what fails on both is down, as a check of the own address would say.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Final

from lvsguard.core.config import Check, CheckKind, TlsSpec, VipPath
from lvsguard.core.health import FailureClass, Result
from lvsguard.core.model import endpoint
from lvsguard.probes import outcome, tls, vip_outcome
from lvsguard.probes.connection import Done
from lvsguard.probes.engine import Engine
from lvsguard.probes.http import HttpCheck
from lvsguard.probes.kinds import Probe, Start
from lvsguard.probes.outcome import Conversation, Outcome
from lvsguard.probes.tcp import TcpCheck
from lvsguard.probes.tls_talk import TlsTalk
from lvsguard.probes.vip_connection import Aim, VipConnection
from lvsguard.probes.wire import wires_of

COMPARE_MIN: Final = 0.1
"""Share of the timeout that must be left to compare with the own address."""


class VipCheck:
    """Such a check made ready."""

    def __init__(self, check: Check, path: VipPath, engine: Engine, plain: Start) -> None:
        """Args: plain: starts a probe of the own address."""
        self.engine = engine
        self.wires = wires_of(engine)
        self.aim = Aim.of(check, path)
        self.plain = plain
        self.where = endpoint(check.address, check.port)
        self._check = check
        self._open = _opener(check)

    def start(self, done: Done) -> Probe:
        """Start a probe (see ``kinds.Start``)."""
        probe = VipProbe(self, done)
        probe.start()
        return probe

    def open(self) -> Conversation | Outcome:
        """Begin one conversation; an outcome where the director itself cannot."""
        return self._open()

    def compare(self, on_vip: Outcome, plainly: Result) -> Outcome:
        """What it means that the VIP failed, beside what the own address says."""
        if on_vip is vip_outcome.HERE:
            return _as_outcome(plainly)
        if plainly.ok:
            return on_vip._replace(reason=self._explained(on_vip), failure=FailureClass.VIP_PATH)
        if on_vip.failure is FailureClass.REFUSED and plainly.failure is not FailureClass.LOCAL:
            return on_vip
        return _as_outcome(plainly)

    def _explained(self, on_vip: Outcome) -> str:
        vip, realserver = self.aim.path.address, self.aim.realserver
        ask = f"run lvsguard realserver check --vip {vip} --rip {realserver} there"
        if on_vip.code == "L4TOUT":
            return (
                f"{self.where} answers, the VIP {self.aim.path} does not ({on_vip.reason}):"
                f" the VIP is not set up there, or a firewall drops it; {ask}"
            )
        if on_vip.failure is FailureClass.REFUSED:
            return (
                f"{self.where} answers, the VIP {self.aim.path} refuses connections: the server"
                f" listens on its own address only, or a firewall rejects; have it listen on {vip}"
            )
        if on_vip.code == "L4CON":
            return (
                f"{self.where} answers, the VIP {self.aim.path} does not ({on_vip.reason}):"
                f" the VIP is not set up there, or a firewall rejects it; {ask}"
            )
        return (
            f"{self.where} answers as expected, the VIP {self.aim.path} does not ({on_vip.reason}):"
            " have the server treat both addresses alike"
        )


def _as_outcome(result: Result) -> Outcome:
    return Outcome(
        result.ok, result.code, result.reason, result.failure, result.seen, result.expires
    )


def _opener(check: Check) -> Callable[[], Conversation | Outcome]:
    if check.spec.kind is CheckKind.TCP:
        return TcpCheck(check).open
    if check.spec.kind is not CheckKind.HTTPS:
        return HttpCheck(check).open
    from lvsguard.probes.https import tls_name  # brings aiohttp, for the own address

    inner, name, spec = HttpCheck(check, 443), tls_name(check), check.spec.tls or TlsSpec()

    def open_tls() -> Conversation | Outcome:
        context = tls.context(spec)
        if not isinstance(context, ssl.SSLContext):
            return context
        return TlsTalk(context, name, inner.open())

    return open_tls


class VipProbe:
    """One probe under way (see ``kinds.Probe``)."""

    __slots__ = (
        "_check",
        "_done",
        "_engine",
        "_on_vip",
        "_plain",
        "_stalled",
        "_started",
        "_vip",
        "deadline",
    )

    def __init__(self, check: VipCheck, done: Done) -> None:
        self._check = check
        self._done = done
        self._engine = check.engine
        self._started = check.engine.now
        self._stalled = check.engine.stalled
        self.deadline = self._started + check.aim.timeout
        self._vip: VipConnection | None = None
        self._on_vip: Outcome | None = None
        """What went wrong there, while the own address is asked."""
        self._plain: Probe | None = None

    @property
    def reached(self) -> bool:
        """See ``kinds.Probe``."""
        if self._plain is not None:
            return self._plain.reached
        return self._vip is not None and self._vip.connected

    def start(self) -> None:
        """Ask on the VIP."""
        talk = self._check.open()
        if isinstance(talk, Outcome):
            self._finish(talk)
            return
        replies = talk.replies if isinstance(talk, TlsTalk) else None
        check = self._check
        self._vip = VipConnection(check.wires, check.aim, talk, self._found_on_vip, replies)
        self._vip.start()

    def cancel(self) -> None:
        """End it without a result."""
        if self._vip is not None:
            self._vip.cancel()
        if self._plain is not None:
            self._plain.cancel()

    def expire(self, lateness: float) -> None:
        """End it: ``deadline`` passed, so many seconds ago."""
        lost = max(lateness, self._engine.stalled - self._stalled)
        if self._on_vip is not None:
            if self._plain is not None:
                self._plain.expire(lateness)
        elif self._vip is not None and lost > self._check.aim.timeout * outcome.STALL_SHARE:
            self._vip.cancel()
            self._finish(outcome.stalled(lost))
        elif self._vip is not None:
            self._vip.expire()

    # -- inside ----------------------------------------------------------------------------------

    def _found_on_vip(self, found: Outcome, connected: bool) -> None:
        if found is vip_outcome.HERE:
            self._ask_plainly(found)
            return
        left = self.deadline - self._engine.now
        enough = left >= self._check.aim.timeout * COMPARE_MIN
        if found.ok or found.failure is FailureClass.LOCAL or not enough:
            self._finish(found)
            return
        lost = self._engine.stalled - self._stalled
        if not connected and lost > self._check.aim.timeout * outcome.STALL_SHARE:
            self._finish(outcome.stalled(lost))
            return
        self._ask_plainly(found)

    def _ask_plainly(self, found: Outcome) -> None:
        self._on_vip = found
        plain = self._check.plain(self._found_plainly)
        if self._on_vip is not None:
            self._plain = plain

    def _found_plainly(self, result: Result) -> None:
        on_vip, self._on_vip = self._on_vip, None
        self._plain = None
        if on_vip is not None:
            self._finish(self._check.compare(on_vip, result))

    def _finish(self, found: Outcome) -> None:
        duration = self._engine.now - self._started
        self._done(found.result(duration))
