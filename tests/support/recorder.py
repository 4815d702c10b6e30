"""A program in a real terminal, recorded as an asciicast (version 2).

https://docs.asciinema.org/manual/asciicast/v2/: a line of JSON each, a header and then events of
[seconds, "o", what was written] and [seconds, "m", name], the last one after a moment worth a name.
"""

from __future__ import annotations

import codecs
import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.emulator import Emulator

WITHIN_S = 30.0
"""For anything that is to be shown."""

Event = tuple[float, str, str]


@dataclass(frozen=True, slots=True)
class Recording:
    """What was shown on a terminal of so many columns and lines."""

    width: int
    height: int
    title: str
    events: Sequence[Event]

    @property
    def text(self) -> str:
        """As a file."""
        header = {"version": 2, "width": self.width, "height": self.height, "title": self.title}
        lines = (json.dumps(one) for one in (header, *self.events))
        return "".join(f"{line}\n" for line in lines)

    @staticmethod
    def read(path: Path) -> Recording:
        """From a file."""
        header, *events = map(json.loads, path.read_text().splitlines())
        if header["version"] != 2:
            raise ValueError(f"{path} is no asciicast of version 2: make cast")
        times = [(float(at), str(kind), str(text)) for at, kind, text in events]
        return Recording(header["width"], header["height"], header["title"], times)

    def moments(self) -> dict[str, list[str]]:
        """The screen at each moment that has a name. Raises UnknownSequence."""
        screen, found = Emulator(self.width, self.height), dict[str, list[str]]()
        for _, kind, text in self.events:
            if kind == "m":
                found[text] = screen.lines
            else:
                screen.write(text)
        return found


@dataclass
class Recorder:
    """A program that is typed to. ``pauses``: how much of the pauses for a reader is kept."""

    command: Sequence[str]
    environment: Mapping[str, str]
    width: int
    height: int
    pauses: float = 1.0
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.screen = Emulator(self.width, self.height)
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._ours, theirs = pty.openpty()
        size = struct.pack("HHHH", self.height, self.width, 0, 0)
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, size)
        self._process = subprocess.Popen(
            ["setsid", "--ctty", *self.command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=self.environment,
        )
        os.close(theirs)
        self._begun = time.monotonic()

    def type(self, keys: str, pause_s: float = 0.09) -> None:
        """Press keys one after the other."""
        for key in keys:
            self.press(key)
            self.pause(pause_s)

    def press(self, key: str) -> None:
        """Press one key, of one or more bytes."""
        os.write(self._ours, key.encode())

    def pause(self, seconds: float) -> None:
        """Give a reader time."""
        end = time.monotonic() + seconds * self.pauses
        while (left := end - time.monotonic()) > 0:
            self._take(left)

    def until(self, holds: Callable[[list[str]], bool], what: str) -> None:
        """Wait until the screen is so."""
        end = time.monotonic() + WITHIN_S
        while not holds(self.screen.lines):
            if time.monotonic() > end:
                shown = "\n".join(self.screen.lines)
                raise AssertionError(f"not within {WITHIN_S:g} s: {what}; shown:\n{shown}")
            self._take(0.1)

    def name(self, moment: str) -> None:
        """Give the screen of now a name."""
        self.events.append((self._now(), "m", moment))

    @property
    def echoes(self) -> bool:
        """Whether the terminal shows what is typed, as a shell's does."""
        return bool(termios.tcgetattr(self._ours)[3] & termios.ECHO)

    def end(self) -> None:
        """End the program, which may not wish to."""
        self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def _now(self) -> float:
        return round(time.monotonic() - self._begun, 3)

    def _take(self, seconds: float) -> None:
        if select.select([self._ours], [], [], seconds)[0]:
            text = self._decoder.decode(os.read(self._ours, 65536))
            self.events.append((self._now(), "o", text))
            self.screen.write(text)
