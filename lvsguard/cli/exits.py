"""Exit statuses, and the exception that ends a command with one."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What a command's exit status says. Public."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    PENDING = 4


MEANING = {
    Exit.DONE: "done",
    Exit.FAILED: "failed",
    Exit.USAGE: "bad usage or bad configuration",
    Exit.UNREACHABLE: "the daemon cannot be reached",
    Exit.PENDING: "not over: steps pending (plan --exit-code), or not in time (--wait)",
}


INTERRUPTED, TERMINATED = 130, 143
"""Exit statuses after Ctrl-C and SIGTERM, as shells count them: 128 and the signal's number."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, where it is taken as Ctrl-C."""


def interrupted(error: KeyboardInterrupt) -> int:
    """The exit status after that."""
    return TERMINATED if isinstance(error, Terminated) else INTERRUPTED


class CommandError(Exception):
    """Ends a command: ``lines`` go to standard error, the first after ``lvsguard: ``."""

    def __init__(self, exit_status: Exit, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.exit_status = exit_status
        self.lines = lines
