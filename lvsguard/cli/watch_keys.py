"""Keys of a terminal, one at a time, and the terminal as it was afterwards."""

from __future__ import annotations

import codecs
import os
import re
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

_NAMED = {
    "\x1b[A": "up",
    "\x1bOA": "up",
    "\x1b[B": "down",
    "\x1bOB": "down",
    "\x1b[5~": "page-up",
    "\x1b[6~": "page-down",
    "\x1b[H": "home",
    "\x1bOH": "home",
    "\x1b[1~": "home",
    "\x1b[F": "end",
    "\x1bOF": "end",
    "\x1b[4~": "end",
    "\x1b": "escape",
    "\r": "enter",
    "\n": "enter",
    "\x7f": "backspace",
    "\x08": "backspace",
    "\x15": "erase",
    "\x04": "q",
}
# Longer sequences first; one that is not known is one key, too, and no row of letters.
_KEY = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1bO.|.", re.DOTALL)

_BEGUN = re.compile(rb"\x1b(\[[0-9;?]*[ -/]*|O)?\Z")


def unfinished(typed: bytes) -> bool:
    """Whether the last key may be the beginning of one: escape is, and a slow network cuts others
    in two."""
    return _BEGUN.search(typed) is not None


class Keys:
    """What was typed, from the bytes that a terminal sends."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def split(self, typed: bytes) -> Iterator[str]:
        """Names of keys, or characters; what is neither is passed over."""
        for sequence in _KEY.findall(self._decoder.decode(typed)):
            if name := _NAMED.get(sequence, ""):
                yield name
            elif len(sequence) == 1 and sequence.isprintable():
                yield sequence


@contextmanager
def keys_one_by_one(terminal: int) -> Iterator[None]:
    """Have a terminal send each key at once, and not show it. Ctrl-C interrupts as ever."""
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal, termios.TCSADRAIN)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def is_foreground(terminal: int) -> bool:
    """Whether keys come here, and may be read: a program in the background would be stopped."""
    try:
        return os.isatty(terminal) and os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
