"""What calls ``status --watch`` away from its terminal: signals, and answers that have come.

A signal that ends or stops the program is noted and obeyed when the terminal is as it was before;
the second of a kind that ends it is obeyed at once, should the terminal not take what is written.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

ENDS = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_READ_MAX = 1024


class Bell:
    """Rung by another thread or by a signal. ``heard`` can be read from once it was."""

    def __init__(self) -> None:
        self.heard, self._rung = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.ended: signal.Signals | None = None
        """What is to end the program."""
        self._stopped = self._resumed = False

    @property
    def called_away(self) -> bool:
        """Whether the terminal has to be left, for a while or for good."""
        return self.ended is not None or self._stopped or self._resumed

    def ring(self) -> None:
        """Wake who waits."""
        with suppress(BlockingIOError, OSError):
            os.write(self._rung, b"!")

    def silence(self) -> None:
        """It was heard."""
        with suppress(BlockingIOError):
            os.read(self.heard, _READ_MAX)

    def obey(self) -> None:
        """Stop, where that was asked, until somebody has the program go on."""
        if self._stopped:
            handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            # Not SIGSTOP: the kernel knows whether anybody is there who could say go on.
            signal.raise_signal(signal.SIGTSTP)
            signal.signal(signal.SIGTSTP, handler)
        self._stopped = self._resumed = False

    def close(self) -> None:
        """No more."""
        os.close(self.heard)
        os.close(self._rung)

    def signalled(self, number: int, _frame: FrameType | None) -> None:
        """The handler of all of its signals."""
        if number in ENDS:
            self.ended = signal.Signals(number)
            signal.signal(number, signal.SIG_DFL)
        self._stopped |= number == signal.SIGTSTP
        # Who stopped it without asking may have changed the terminal since.
        self._resumed |= number == signal.SIGCONT
        self.ring()


@contextmanager
def bell() -> Iterator[Bell]:
    """One that hears signals meanwhile, but those that are ignored. What was to end the program
    does so at the end."""
    made = Bell()
    wanted = (*ENDS, signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH)
    before = {
        number: signal.signal(number, made.signalled)
        for number in wanted
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield made
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        made.close()
        if made.ended is not None:
            signal.raise_signal(made.ended)
