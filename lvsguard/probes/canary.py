"""The canary: one idle connection to a realserver; its end is a hint that makes probes at once.

A process that dies takes its connections along: the kernel's FIN or RST is here within
milliseconds, long before the next probe is due. But a server also closes what idles, and at a
graceful reload, so the end of a canary is never a verdict, nor is a refused reopening. It lives
while the check is up; ``habit`` says when it is opened, renewed and given up, ``greeting`` what it
says first. Where the config leaves that open, it goes by what it meets: see ``_learn``.
"""

from __future__ import annotations

import errno
import math
import random
from typing import Final, Protocol

from lvsguard.core.config import CanaryKind
from lvsguard.core.health import FailureClass, Hint
from lvsguard.probes import outcome
from lvsguard.probes.canary_line import EVENTS, End, Line
from lvsguard.probes.connection import Target
from lvsguard.probes.engine import Engine
from lvsguard.probes.greeting import CLOSES, Greeting, Manner
from lvsguard.probes.habit import BACKOFF_S, RETRY_S, UNTAKEN_S, Habit
from lvsguard.probes.outcome import Outcome
from lvsguard.probes.watched import Watched

LOCAL_PAUSE_S: Final = 5.0
"""Pause after a failure of the director's own."""
SPREAD: Final = 1000.0
"""Canaries opened in a second, when many checks come up at once."""
SPREAD_TLS: Final = 200.0
"""The same with a handshake, which costs up to a millisecond; also when many have ended at once."""


class Owner(Protocol):
    """Who has the canaries, and their files."""

    engine: Engine

    def take_file(self) -> bool:
        """Take a file for a canary, if there is one left."""

    def give_file_back(self) -> None:
        """Let a probe have it."""

    def sang(self, canary: Canary, hint: Hint) -> None:
        """Take a hint."""

    def crowd(self) -> int:
        """How many canaries there are."""


class Canary:
    """The canary of one realserver's port (an ``engine.Sleeper`` and ``Watcher``)."""

    __slots__ = (
        "_ended",
        "_fixed",
        "_holds",
        "_line",
        "_look_at",
        "_next",
        "_opened",
        "_owner",
        "_renew_at",
        "_target",
        "_trusted",
        "_unheard",
        "alarm",
        "checks",
        "habit",
        "kind",
    )

    def __init__(self, owner: Owner, target: Target, kind: CanaryKind, *, fixed: bool) -> None:
        """Args: fixed: whether it stays of this kind, whatever it meets."""
        self.alarm = 0
        self.checks: dict[Watched, Manner] = {}
        """Those that it sings for, and how each wants it; it is as the first of them wants it."""
        self.habit = Habit()
        self.kind = kind
        self._owner = owner
        self._target = target
        self._line: Line | None = None
        self._holds = False
        """Whether it has taken a file."""
        self._fixed = fixed
        self._unheard = False
        """Whether the last one was reset that nothing had ever come over."""
        self._trusted = False
        """Whether a probe went well while it was open."""
        self._opened = 0.0
        self._ended = 0.0
        self._next = 0.0
        """When it may be opened."""
        self._renew_at = self._look_at = math.inf

    @property
    def singing(self) -> bool:
        """Whether the connection stands."""
        return self._line is not None and self._line.stands

    def settle(self) -> None:
        """A check's verdict changed, or it came or went: be there while one is up."""
        wanted = any(check.up for check in self.checks)
        if not wanted:
            self._learn()
            self._owner.engine.sleep(self)
            self._close()
            self._trusted = False
            self._ended = 0.0
            if self.habit.died():
                self._next = 0.0
        elif self._line is None and not self.alarm:
            now = self._owner.engine.now
            pause = random.random() * self._owner.crowd() / self._spread
            self._wake(max(self._next, now + pause))

    def end(self) -> None:
        """End for good."""
        self._owner.engine.sleep(self)
        self._close()

    def disturbs(self) -> None:
        """A probe got a connection and no answer: a server may be short of workers. Make room."""
        if self.singing:
            self._close()
            pause = self.habit.failed("a probe waited in vain while it stood")
            self._note(self.habit.why)
            self._pause(pause)

    # -- the engine ------------------------------------------------------------------------------

    def ring(self, _due: float) -> None:
        """Take an alarm (see ``engine.Sleeper``)."""
        now = self._owner.engine.now
        line = self._line
        if line is None:
            if self._ended and any(check.well_since(self._ended) for check in self.checks):
                self.habit.well()
            self._open()
        elif not line.stands:
            self._fail(line.expired(self._target.timeout))
        elif self._look_at <= now:
            self._look(now)
        elif self._renew_at <= now and self.habit.outgrown(now):
            self._close()
            self._open()
        else:
            self._renew_at = math.inf
            self._rearm()

    def ready(self, events: int) -> None:
        """Take the socket's events (see ``engine.Watcher``)."""
        line = self._line
        if line is None:
            return
        if not line.stands:
            found = line.advance(events, self._greet)
            if found is None:
                return
            if not found.ok:
                self._fail(found)
                return
            self._stand(line)
        end = line.listen()  # edge-triggered: what has come with the rest is told no more
        if end is not None:
            self._over(end)
        elif line.flooded:
            self._give_up("it sends without being asked")

    # -- what it learns ----------------------------------------------------------------------------

    def _learn(self) -> None:
        """A server has died. Where connections were refused before this one had ended, or it was
        reset and had never said a word, nobody had taken it: the kernel keeps a connection half
        open for a listener that waits for data (``TCP_DEFER_ACCEPT``), and answers for it until
        the next keepalive. From now on there will be data.
        """
        if self._fixed or self.kind is not CanaryKind.TCP:
            return
        if not any(check.refused for check in self.checks):
            return
        unheard = self._unheard or (self._line is not None and self._line.unheard)
        if unheard and any(manner.head for manner in self.checks.values()):
            self._become(CanaryKind.HTTP)

    def _retreat(self) -> bool:
        """Whether it can do with less: not wanted as it is, it is a tcp one from now on."""
        if self._fixed or self.kind is CanaryKind.TCP:
            return False
        self._fixed = True
        self._become(CanaryKind.TCP)
        self._close()
        self._pause(BACKOFF_S[1])
        return True

    def _become(self, kind: CanaryKind) -> None:
        self.kind = kind
        self.habit = Habit()
        self._unheard = self._trusted = False

    # -- inside ----------------------------------------------------------------------------------

    @property
    def _spread(self) -> float:
        return SPREAD_TLS if self._secure else SPREAD

    @property
    def _secure(self) -> bool:
        first = next(iter(self.checks.values()), None)
        return self.kind is not CanaryKind.TCP and first is not None and first.tls is not None

    def _open(self) -> None:
        if not self._owner.take_file():
            self._note("no file left for it; raise the prober's limit of open files (LimitNOFILE=)")
            self._pause(RETRY_S)
            return
        self._holds = True
        engine = self._owner.engine
        line = Line.dial(self._target, engine.now)
        if isinstance(line, int):
            refused = line == errno.ECONNREFUSED
            self._fail(outcome.connect_failed(line) if refused else outcome.local(line))
            return
        self._line = line
        try:
            engine.watch(line.fd, EVENTS, self)
        except OSError as error:
            self._fail(outcome.local(error.errno or errno.EIO))
            return
        self._wake(engine.now + self._target.timeout)

    def _greet(self) -> Greeting | Outcome | None:
        """What there is to say: that of the first check that has something to say."""
        begun = (manner.greet(self.kind) for manner in self.checks.values())
        return next((greeting for greeting in begun if greeting is not None), None)

    def _stand(self, line: Line) -> None:
        now = self._owner.engine.now
        told = line.greeting.idle if line.greeting is not None else None
        line.greeting = None
        self._unheard = False
        self._opened = now
        untaken = self.kind is CanaryKind.TCP and any(m.head for m in self.checks.values())
        most = UNTAKEN_S if untaken else math.inf
        self._renew_at = self.habit.opened(now, told, most) or math.inf
        self._look_at = math.inf if self._trusted else self._next_look(now)
        self._note("")
        self._rearm()

    def _look(self, now: float) -> None:
        """See whether a server that serves one connection at a time waits for this one to end."""
        half = self._target.timeout / 2
        began = [b for check in self.checks if (b := check.waiting) is not None]
        dialled = self._line.dialled if self._line is not None else now
        if any(dialled <= b <= now - half * 0.99 for b in began):
            self._give_up("a probe waits while it stands: does the server serve one at a time?")
            return
        self._trusted = any(check.well_since(self._opened) for check in self.checks)
        self._look_at = math.inf if self._trusted else self._next_look(now)
        self._rearm()

    def _next_look(self, now: float) -> float:
        ahead = [check.look_at for check in self.checks if check.look_at > now]
        return min(ahead, default=now + self._target.timeout)

    def _over(self, end: End) -> None:
        now = self._ended = self._owner.engine.now
        self._unheard = end.unheard
        why = f"{end.why} after {now - self._opened:.1f} s"
        self._sing(why, self.habit.closed(now, why, by_server=end.by_server))

    def _fail(self, found: Outcome) -> None:
        """No connection came about."""
        if found.failure is FailureClass.LOCAL:
            self._close()
            self._pause(LOCAL_PAUSE_S)
            return
        if found is CLOSES:
            self._give_up(found.reason)
            return
        self._sing(found.reason, self.habit.failed(found.reason))

    def _sing(self, why: str, pause: float) -> None:
        self._close()
        if not self.habit.given_up or not self._retreat():
            if self.habit.given_up:
                self._note(self.habit.why)
            self._pause(pause)
        self._owner.sang(self, Hint("canary", why, self._owner.engine.now))

    def _give_up(self, why: str) -> None:
        if self._retreat():
            return
        pause = self.habit.unwanted(why)
        self._close()
        self._note(why)
        self._pause(pause)

    def _note(self, why: str) -> None:
        less = "canary = false in the check does without"
        if self.kind is not CanaryKind.TCP:
            less = 'canary = { kind = "tcp" } in the check asks less of the server'
        text = f"no canary for now: {why}; {less}" if why else ""
        for check in self.checks:
            check.note("canary", text)

    def _pause(self, pause: float) -> None:
        """Many may have ended at once: they do not come back at once."""
        apart = self._owner.crowd() / SPREAD_TLS if self._secure else 0.0
        self._next = self._owner.engine.now + pause + random.random() * max(pause, apart)
        self._wake(self._next)

    def _rearm(self) -> None:
        due = min(self._look_at, self._renew_at)
        if due < math.inf:
            self._wake(due)
        else:
            self._owner.engine.sleep(self)

    def _wake(self, due: float) -> None:
        self._owner.engine.wake(due, self)

    def _close(self) -> None:
        """Let go of the connection, and of the greeting."""
        line, self._line = self._line, None
        if line is not None:
            self._owner.engine.forget(line.fd)
            line.hang_up()
        if self._holds:
            self._owner.give_file_back()
        self._holds = False
        self._renew_at = self._look_at = math.inf
