"""What a command has put in force so far, and how it is told when the command ends half way."""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING

from lvsguard.cli.exits import CommandError, Exit, Terminated
from lvsguard.cli.text import complain, printable

if TYPE_CHECKING:
    from lvsguard.admin.protocol import ChangeReply
    from lvsguard.admin.waiting import Progress

_WORDS = {
    "drain": ("drained", "undrain {}"),
    "disable": ("disabled", "enable {}"),
    "weight": ("of another weight", "weight {} reset"),
}
_OVER = {
    "drain": "not drained any more",
    "disable": "enabled again",
    "weight": "of the configured weight again",
}


@dataclass(slots=True)
class Standing:
    """Targets by the kind of override that holds them, as they were typed."""

    args: argparse.Namespace
    held: dict[str, list[str]] = field(default_factory=dict)
    asking: tuple[str, str] | None = None
    """What the daemon is asked for now: a kind and a target."""
    share_of: str = ""
    """A service of which the daemon is asked to drain a share now."""
    freed: dict[str, list[str]] = field(default_factory=dict)
    """Targets by the kind of override that somebody had set and that was ended."""
    freeing: tuple[str, str] | None = None
    """What the daemon is asked to end now."""

    @contextmanager
    def setting(self, kind: str, target: str) -> Iterator[None]:
        """An override is asked for, and in force afterwards."""
        self.asking = kind, target
        yield
        self.held.setdefault(kind, []).append(target)
        self.asking = None

    @contextmanager
    def sharing(self, service: str) -> Iterator[None]:
        """A share of a service is asked for."""
        self.share_of = service
        yield
        self.share_of = ""

    @contextmanager
    def ending_of(self, kind: str, target: str) -> Iterator[None]:
        """An override is asked to end, and is not in force afterwards."""
        own = target in self.held.get(kind, [])
        self.freeing = None if own else (kind, target)
        yield
        self.freeing = None
        if own:
            self.held[kind].remove(target)
        else:
            self.freed.setdefault(kind, []).append(target)

    def still(self, kind: str, target: str) -> None:
        """Something else of the kind holds it yet."""
        self.freed[kind] = [one for one in self.freed.get(kind, []) if one != target]

    def lines(self, *, asked: bool = True) -> list[str]:
        """What is in force, and the command that ends it. ``asked``: what was asked for and not
        answered may be, too."""
        lines = []
        for kind, (state, _) in _WORDS.items():
            if targets := self.held.get(kind):
                lines.append(f"{state}: {_joined(targets)}: {self.ending(kind, targets)}")
        if asked and self.asking is not None:
            kind, target = self.asking
            state, _ = _WORDS[kind]
            lines.append(f"perhaps {state}: {_joined([target])}: {self.ending(kind, [target])}")
        if asked and self.share_of:
            of = printable(self.share_of)
            lines.append(f"perhaps drained: a share of {of}: `lvsguard status` shows who")
        freed = [(kind, targets) for kind, targets in self.freed.items() if targets]
        lines += [f"{_OVER[kind]}: {_joined(targets)}" for kind, targets in freed]
        if asked and self.freeing is not None:
            kind, target = self.freeing
            lines.append(f"perhaps {_OVER[kind]}: {_joined([target])}")
        return lines

    def ending(self, kind: str, targets: Sequence[str]) -> str:
        """The command that ends it, as a sentence."""
        only = f" --service {self.args.service}" if self.args.service else ""
        command = _WORDS[kind][1].format(_joined(targets))
        return f"`lvsguard {command}{printable(only)}` ends that"

    @contextmanager
    def telling(self) -> Iterator[None]:
        """What ends the command half way says what is in force. SIGTERM is taken as Ctrl-C."""
        with _terminable():
            try:
                yield
            except CommandError as error:
                # What the daemon has refused is not in force; without its answer one cannot know.
                asked = bool(self.held or self.freed or self.share_of)
                unsure = error.exit_status is Exit.UNREACHABLE and asked
                lines = [*error.lines, *self.lines(asked=unsure)]
                raise CommandError(error.exit_status, *lines) from error
            except KeyboardInterrupt:
                complain("interrupted", *self.lines())
                raise
            except OSError:  # standard output: a full disk, a reader that has had enough
                if lines := self.lines():
                    complain(*lines)
                raise


def still_drained(
    standing: Standing, targets: Sequence[str], changes: Sequence[ChangeReply], progress: Progress
) -> list[str]:
    """Which drains go on after a wait has been given up, and how they are ended; a line each."""
    lines, on = [], []
    for target, change in zip(targets, changes, strict=True):
        places = {(one.service, one.address, one.port) for one in change.realservers}
        left = places - progress.ended
        if left - progress.dropped:
            on.append(target)
        elif left:
            # Its name means nothing any more. Alone: of several targets each must mean something.
            for address in sorted({address for _, address, _ in left}):
                ending = standing.ending("drain", [address])
                lines.append(f"should {address} come back, it is still drained: {ending}")
    if on:
        lines.insert(0, f"still drained: {_joined(on)}: {standing.ending('drain', on)}")
    return lines


def _joined(targets: Sequence[str]) -> str:
    return " ".join(map(printable, targets))


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM (a playbook is cancelled, a CI job is out of time) ends it as Ctrl-C does."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
