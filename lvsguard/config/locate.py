"""Which line of a TOML text a key path was written on.

``tomllib`` reads the file and tells no positions; this walks the same text for its lines alone.
It is asked only when there is a problem to report, expects a text that ``tomllib`` accepted, and
for any other ends early instead of failing. It never judges and never reads a value.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from typing import Final

from lvsguard.config.problem import KeyPath

# Possessive quantifiers: a long string must cost no memory for ways back.
_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*+")
DEPTH: Final = 16
"""Longest key path that is told apart; no key of the config lies deeper than seven."""
_KEY: Final = re.compile(
    r"""[ \t]*+(?: "(?:[^"\\\n]|\\.)*+" | '[^'\n]*+' | [A-Za-z0-9_-]++ )[ \t]*+""", re.VERBOSE
)
_SCALAR: Final = re.compile(r"""[^\[\]{},"'#\n=]++""")
_STRINGS: Final = {
    '"""': re.compile(r'"""(?:[^"\\]|\\.|"(?!""))*+"{3,5}', re.DOTALL),
    "'''": re.compile(r"'''(?:[^']|'(?!''))*+'{3,5}"),
    '"': re.compile(r'"(?:[^"\\\n]|\\.)*+"'),
    "'": re.compile(r"'[^'\n]*+'"),
}


class Lines:
    """Lines of every key, table and list item of one text."""

    def __init__(self, text: str) -> None:
        """Walk the text once; time and memory grow with its length."""
        self._text = text
        self._starts = [0, *(m.end() for m in re.finditer("\n", text))]
        self._found: dict[KeyPath, int] = {}
        self._counts: dict[KeyPath, int] = {}
        self._walk()

    def of(self, path: KeyPath) -> int:
        """Line of a key path, or of the nearest table around it; 0 when there is none."""
        for length in range(len(path), 0, -1):
            line = self._found.get(path[:length])
            if line is not None:
                return line
        return 0

    def _walk(self) -> None:
        """Statement by statement: a table header, or a key and its value."""
        position, table = self._skip(0), ()
        prefix: KeyPath = table
        while position < len(self._text):
            if self._text[position] == "[":
                header = self._header(position)
                if header is None:
                    return
                position, prefix = header
            else:
                after = self._statement(position, prefix)
                if after is None:
                    return
                position = after
            position = self._skip(position)

    def _header(self, position: int) -> tuple[int, KeyPath] | None:
        many = self._text.startswith("[[", position)
        read = self._keys(position + 2 if many else position + 1)
        if read is None:
            return None
        end, keys = read
        closing = "]]" if many else "]"
        if not self._text.startswith(closing, end):
            return None
        path: KeyPath = ()
        for depth, key in enumerate(keys, 1):
            path = _into(path, key)
            self._mark(path, position)
            if depth < len(keys) and path in self._counts:
                path = _into(path, self._counts[path] - 1)
        if many:
            index = self._counts.get(path, 0)
            self._counts[path] = index + 1
            path = _into(path, index)
            self._mark(path, position)
        return end + len(closing), path

    def _statement(self, position: int, prefix: KeyPath) -> int | None:
        """A key and its value, with all that is inside; position after it.

        The open lists and inline tables are a stack of their own, so that no depth of them can
        exhaust Python's: each is (path, index of the next item; -1 for an inline table).
        """
        entry = self._entry(position, prefix)
        if entry is None:
            return None
        position, path = entry
        stack: list[tuple[KeyPath, int]] = []
        while True:
            opened = self._value(position)
            if opened is None:
                return None
            position, kind = opened
            if kind:
                stack.append((path, 0 if kind == "[" else -1))
            step = self._next(position, stack)
            if step is None:
                return None
            position, found = step
            if found is None:
                return position
            path = found

    def _next(
        self, position: int, stack: list[tuple[KeyPath, int]]
    ) -> tuple[int, KeyPath | None] | None:
        """Close what ends here and find the next value: where, and its path (None: all closed)."""
        while stack:
            position = self._skip(position)
            around, index = stack[-1]
            if self._text.startswith(",", position):
                position = self._skip(position + 1)
            if self._text.startswith("]" if index >= 0 else "}", position):
                stack.pop()
                position += 1
                continue
            if index < 0:
                return self._entry(position, around)
            stack[-1] = (around, index + 1)
            path = _into(around, index)
            self._mark(path, position)
            return position, path
        return position, None

    def _value(self, position: int) -> tuple[int, str] | None:
        """Read a scalar to its end, or the opening of a list or table (``[`` or ``{``)."""
        text = self._text
        opening = text[position : position + 1]
        if opening in {"[", "{"}:
            return position + 1, opening
        triple = text[position : position + 3]
        pattern = _STRINGS.get(triple) or _STRINGS.get(opening) or _SCALAR
        match = pattern.match(text, position)
        return (match.end(), "") if match else None

    def _entry(self, position: int, prefix: KeyPath) -> tuple[int, KeyPath] | None:
        """``a.b =``: mark the keys; position of the value and the path."""
        read = self._keys(position)
        if read is None or not self._text.startswith("=", read[0]):
            return None
        end, keys = read
        path = prefix
        for key in keys:
            path = _into(path, key)
            self._mark(path, position)
        return self._skip(end + 1), path

    def _keys(self, position: int) -> tuple[int, list[str]] | None:
        """A dotted key: position after it and its parts."""
        keys = []
        while match := _KEY.match(self._text, position):
            position = match.end()
            keys.append(_unquote(match.group().strip(" \t")))
            if not self._text.startswith(".", position):
                return position, keys
            position += 1
        return None

    def _skip(self, position: int) -> int:
        """Position after blanks, line ends and comments."""
        match = _BLANK.match(self._text, position)
        return match.end() if match else position

    def _mark(self, path: KeyPath, position: int) -> None:
        self._found.setdefault(path, bisect_right(self._starts, position))


def _into(path: KeyPath, part: str | int) -> KeyPath:
    # Without a bound the paths of a deep nest would cost the square of its depth.
    return (*path, part) if len(path) < DEPTH else path


def _unquote(key: str) -> str:
    if key.startswith('"') and "\\" in key:
        try:
            return str(tomllib.loads(f"k={key}")["k"])
        except tomllib.TOMLDecodeError:
            return key
    return key[1:-1] if key[0] in "\"'" else key
