"""Waits at the command line until realservers are empty, or back; over restarts of the daemon."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from lvsguard.cli.arguments import positive_duration
from lvsguard.cli.exits import INTERRUPTED, CommandError, Exit, interrupted
from lvsguard.cli.progress import Display, details
from lvsguard.cli.talk import daemon

if TYPE_CHECKING:
    from lvsguard.admin.protocol import ChangeReply
    from lvsguard.admin.realservers import RealserversReply, RealserversRequest
    from lvsguard.admin.waiting import Place, Progress

TIMEOUT_S = 900.0
"""As long as the kernel remembers a TCP connection that is silent."""
POLL_S = 0.5
"""Between two looks, once the first few have not found it over."""
SINGLY = 16
"""Realservers that are asked for one by one; of more, their whole services."""


_GONE = frozenset({"unknown-target", "unknown-service"})
"""Refusals of what is not configured any more."""


class Outcome(StrEnum):
    """How a wait ended. In the JSON of --wait, so public."""

    DONE = "done"
    DEADLINE = "deadline"
    LOST = "lost"
    """It can never be: somebody has decided otherwise."""
    UNREACHABLE = "unreachable"
    """The daemon does not answer any more."""
    INTERRUPTED = "interrupted"


STATUS = {
    Outcome.DONE: int(Exit.DONE),
    Outcome.DEADLINE: int(Exit.PENDING),
    Outcome.LOST: int(Exit.FAILED),
    Outcome.UNREACHABLE: int(Exit.UNREACHABLE),
    Outcome.INTERRUPTED: INTERRUPTED,
}


@dataclass(frozen=True, slots=True)
class Waited:
    """What came of a wait."""

    outcome: Outcome
    seconds: float
    progress: Progress | None = None
    """The last that was seen; None: nothing was."""
    trouble: tuple[str, ...] = ()
    """Why the daemon does not answer, a line each."""
    signalled: int = INTERRUPTED
    """The exit status of one that was interrupted."""

    @property
    def status(self) -> int:
        """The command's exit status."""
        return self.signalled if self.outcome is Outcome.INTERRUPTED else STATUS[self.outcome]

    @property
    def lines(self) -> list[str]:
        """Who was waited for at the end, or why it can never be; a line each."""
        if self.progress is None or self.trouble:
            return list(self.trouble)
        return [f"  {line}" for line in self.progress.lost] or details(self.progress.left)

    @property
    def document(self) -> dict[str, object]:
        """For JSON."""
        progress = self.progress
        return {
            "outcome": self.outcome,
            "seconds": round(self.seconds, 3),
            "left": []
            if progress is None
            else [
                {
                    "service": one.place.service,
                    "address": one.place.address,
                    "port": one.place.port,
                    "connections": one.connections,
                    "idle_seconds": round(one.idle_s, 3),
                    "why": one.why,
                }
                for one in progress.left
            ],
            "lost": [] if progress is None else list(progress.lost),
        }


class Judge(Protocol):
    """Decides from look to look (admin.waiting)."""

    def look(self, replies: Sequence[RealserversReply], now: float, /) -> Progress:
        """Take answers in."""


def add_wait(parser: argparse.ArgumentParser, what: str) -> None:
    """``--wait`` and ``--timeout``."""
    parser.add_argument("--wait", action="store_true", help=f"wait until {what}")
    parser.add_argument(
        "--timeout",
        metavar="TIME",
        type=positive_duration,
        help="with --wait: until then at most, and then exit with 4 (default: 15m)",
    )


def needs_wait(args: argparse.Namespace, *options: str) -> None:
    """Refuse options that say nothing without --wait."""
    given = [f"--{option}" for option in options if getattr(args, option)]
    if given and not args.wait:
        raise CommandError(Exit.USAGE, f"{given[0]} says what --wait does: give --wait, too")


@dataclass(frozen=True, slots=True)
class Watch:
    """Realservers that are looked at again and again."""

    args: argparse.Namespace
    requests: tuple[RealserversRequest, ...]
    places: frozenset[Place]

    @classmethod
    def over(cls, args: argparse.Namespace, changes: Sequence[ChangeReply]) -> Watch:
        """Those that changes of overrides concern."""
        from lvsguard.admin.realservers import RealserversRequest
        from lvsguard.admin.waiting import Place

        places = frozenset(
            Place(one.service, one.address, one.port)
            for change in changes
            for one in change.realservers
        )
        if len(places) <= SINGLY:
            asked = {(place.target, place.service) for place in places}
            requests = [RealserversRequest(target=t, service=s) for t, s in sorted(asked)]
        else:
            services = sorted({place.service for place in places})
            requests = [RealserversRequest(service=service) for service in services]
        return cls(args, tuple(requests), places)

    def look(self) -> list[RealserversReply]:
        """As they are now. Raises CommandError."""
        return list(self._replies())

    def _replies(self) -> Iterator[RealserversReply]:
        from msgspec.structs import replace

        from lvsguard.admin.client import Refused
        from lvsguard.admin.waiting import Place

        with daemon(self.args) as client:
            for request in self.requests:
                try:
                    reply = client.realservers(request)
                except Refused as error:
                    if error.failure.code not in _GONE:
                        raise
                    continue  # a reload took it out of the configuration: it is not there
                services = [
                    replace(
                        service,
                        realservers=[
                            one
                            for one in service.realservers
                            if Place(service.name, one.address, one.port) in self.places
                        ],
                    )
                    for service in reply.services
                ]
                yield replace(reply, services=services)


def wait(
    look: Callable[[], Sequence[RealserversReply]],
    judge: Judge,
    limit: float,
    shown: Display,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Waited:
    """Look again and again until it is over, or ``limit`` seconds have passed, or Ctrl-C.

    Raises CommandError when the daemon refuses.
    """
    begun = clock()
    pause = 0.1
    progress: Progress | None = None
    with closing(shown):
        try:
            while True:
                at, gone = clock(), None
                try:
                    progress = judge.look(look(), at)
                except CommandError as error:
                    gone = _silent(error)
                elapsed = clock() - begun
                if gone is not None:
                    shown.trouble(f"waiting for the daemon: {gone.lines[0]}", elapsed)
                elif progress is not None:
                    shown.show(progress, elapsed)
                    if progress.lost:
                        return Waited(Outcome.LOST, elapsed, progress)
                    if progress.over:
                        return Waited(Outcome.DONE, elapsed, progress)
                if elapsed >= limit:
                    if gone is not None:
                        return Waited(Outcome.UNREACHABLE, elapsed, progress, gone.lines)
                    return Waited(Outcome.DEADLINE, elapsed, progress)
                sleep(max(min(max(pause, 4 * (clock() - at)), limit - elapsed), 0))
                pause = min(2 * pause, POLL_S)
        except KeyboardInterrupt as error:
            elapsed, status = clock() - begun, interrupted(error)
            return Waited(Outcome.INTERRUPTED, elapsed, progress, signalled=status)


def _silent(error: CommandError) -> CommandError:
    """A daemon that does not answer is restarted perhaps; whatever else it is ends the wait."""
    if error.exit_status is Exit.UNREACHABLE:
        return error
    raise CommandError(Exit.FAILED, *error.lines) from error
