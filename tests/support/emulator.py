"""A terminal in memory: what a program wrote, as the lines that a reader sees.

It is strict. A sequence that it does not know is an error, and so is whatever a small terminal may
not do, so that what is replayed here looks the same everywhere.
"""

from __future__ import annotations

import re

from rich.cells import cell_len

_PIECE = re.compile(r"\x1b\[(\??)([0-9;]*)([@-~])|\x1b|[\x00-\x1f\x7f]|[^\x00-\x1f\x7f]+")
_STYLES = frozenset({0, 1, 2, 3, 7, *range(30, 38), *range(90, 98)})


class UnknownSequence(Exception):
    """A program wrote what the terminal does not know."""


class Emulator:
    """A screen of ``width`` columns and ``height`` lines, and another one to come back from."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.alternate = False
        """Whether a program has the whole screen to itself."""
        self.cursor = True
        """Whether it is shown."""
        self._rows = self._empty()
        self._row = self._column = 0
        self._kept = (self._rows, 0, 0)

    @property
    def lines(self) -> list[str]:
        """What is shown, without the blanks at the ends of lines."""
        return ["".join(row).rstrip() for row in self._rows]

    def write(self, text: str) -> None:
        """What a program writes. Raises UnknownSequence."""
        for piece in _PIECE.finditer(text):
            private, numbers, final = piece.groups()
            if final is not None:
                self._sequence(private, numbers, final)
            elif piece[0] < " " or piece[0] == "\x7f":
                self._control(piece[0])
            else:
                self._print(piece[0])

    def _empty(self) -> list[list[str]]:
        return [[" "] * self.width for _ in range(self.height)]

    def _print(self, text: str) -> None:
        for character in text:
            if cell_len(character) != 1:
                raise UnknownSequence(f"{character!r} takes not one column")
            if self._column == self.width:  # only now: a full line may end here
                self._column = 0
                self._down()
            self._rows[self._row][self._column] = character
            self._column += 1

    def _control(self, character: str) -> None:
        match character:
            case "\r":
                self._column = 0
            case "\n":
                self._down()
            case "\b":
                self._column = max(self._column - 1, 0)
            case _:
                raise UnknownSequence(repr(character))

    def _down(self) -> None:
        if self._row < self.height - 1:
            self._row += 1
        else:
            self._rows = [*self._rows[1:], [" "] * self.width]

    def _sequence(self, private: str, numbers: str, final: str) -> None:
        match private, numbers, final:
            case "", _, "m" if _STYLES.issuperset(int(n or 0) for n in numbers.split(";")):
                pass
            case "", "", "H":
                self._row = self._column = 0
            case "?", "25", "h" | "l":
                self.cursor = final == "h"
            case "?", "1049", "h" | "l":
                self._alternate(final == "h")
            case _:
                raise UnknownSequence(repr(f"\x1b[{private}{numbers}{final}"))

    def _alternate(self, begins: bool) -> None:
        if begins == self.alternate:
            raise UnknownSequence(f"the other screen again: {begins}")
        self.alternate = begins
        if begins:
            self._kept = (self._rows, self._row, self._column)
            self._rows, self._row, self._column = self._empty(), 0, 0
        else:
            self._rows, self._row, self._column = self._kept
