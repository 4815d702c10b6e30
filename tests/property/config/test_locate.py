"""The locator finds the line that a generator wrote a key on, and ends quietly on any text."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lvsguard.config.locate import DEPTH, Lines
from lvsguard.config.problem import KeyPath
from tests.property.config.patience import PATIENT
from tests.property.config.test_load import WORDS
from tests.support.examples import examples

BARE = st.from_regex(r"[A-Za-z0-9_-]{1,6}", fullmatch=True)
ODD = st.text(
    st.characters(codec="utf-8", exclude_characters="\x7f", exclude_categories=["Cs"]), max_size=6
)
NOISE = st.sampled_from(
    ["", "\n", "  \n", "# plain\n", '# x = "[y]" """\n', "\t# '''\n", "\r\n", "\n\n#[z]\n"]
)
SCALARS = st.sampled_from(
    [
        "1",
        "-0.5e3",
        "true",
        "nan",
        "1979-05-27 07:32:00.5-07:00",
        "07:32:00",
        '""',
        '"a\\"]"',
        '"# no, }"',
        "'c:\\'",
        '"""\n\nx = 1\n[y]\n"""',
        '"""""two quotes"""""',
        '"""\\\n  \\""" """',
        "'''\n'' ]\n'''",
        "''''quoted''''",
    ]
)


@dataclass
class Writer:
    """Writes TOML and notes on which line each key went."""

    draw: st.DrawFn
    text: str = ""
    lines: dict[KeyPath, int] = field(default_factory=dict)

    def line(self) -> int:
        return self.text.count("\n") + 1

    def put(self, text: str) -> None:
        self.text += text

    def key(self, used: set[str]) -> tuple[str, str]:
        """A key that is new here: how it is written, and what it is."""
        while True:
            if self.draw(st.booleans()):
                key = self.draw(BARE)
                written = self.draw(st.sampled_from([key, f'"{key}"', f"'{key}'"]))
            else:
                key = self.draw(ODD)
                written = json.dumps(key, ensure_ascii=self.draw(st.booleans()))
                # JSON writes what lies beyond 16 bits as two escapes, which TOML has not.
                if "\\ud" in written:
                    written = json.dumps(key, ensure_ascii=False)
            if key not in used:
                used.add(key)
                return written, key

    def value(self, path: KeyPath, depth: int, *, inline: bool) -> None:
        shape = self.draw(st.sampled_from(["scalar", "list", "table"])) if depth else "scalar"
        if shape == "scalar":
            self.put(self.draw(SCALARS))
        elif shape == "list":
            self.put("[")
            count = self.draw(st.integers(0, 3))
            for index in range(count):
                self.put(self.draw(NOISE))
                self.lines[*path, index] = self.line()
                self.value((*path, index), depth - 1, inline=inline)
                self.put(self.draw(st.sampled_from(["", " "])) + self.draw(NOISE))
                if index < count - 1 or self.draw(st.booleans()):
                    self.put(",")
            self.put(self.draw(NOISE) + "]")
        else:
            self.put("{ ")
            used: set[str] = set()
            count = self.draw(st.integers(0, 3))
            for index in range(count):
                self.entry(path, used, depth - 1, inline=True)
                self.put(" , " if index < count - 1 else " ")
            self.put("}")

    def entry(self, path: KeyPath, used: set[str], depth: int, *, inline: bool) -> None:
        """``key = value``, the key with up to three parts."""
        here = self.line()
        written, key = self.key(used)
        parts, inner = [written], (*path, key)
        self.lines[inner] = here
        for _ in range(self.draw(st.sampled_from([0, 0, 1, 2]))):
            more, key = self.key(set())
            parts.append(more)
            inner = (*inner, key)
            self.lines[inner] = here
        self.put(self.draw(st.sampled_from([".", " . "])).join(parts))
        self.put(self.draw(st.sampled_from([" = ", "=", "\t=\t"])))
        self.value(inner, depth, inline=inline)

    def body(self, path: KeyPath, used: set[str]) -> None:
        for _ in range(self.draw(st.integers(0, 3))):
            self.put(self.draw(NOISE) + self.draw(st.sampled_from(["", "  "])))
            self.entry(path, used, 2, inline=False)
            self.put(self.draw(st.sampled_from(["\n", " # [x]\n", "\r\n"])))


@st.composite
def documents(draw: st.DrawFn) -> Writer:
    """A TOML text: keys at the top, tables, lists of tables and tables below these."""
    writer = Writer(draw)
    top: set[str] = set()
    writer.body((), top)
    for _ in range(draw(st.integers(0, 3))):
        written, key = writer.key(top)
        many = draw(st.booleans())
        for index in range(draw(st.integers(1, 3)) if many else 1):
            writer.put(draw(NOISE))
            path: KeyPath = (key, index) if many else (key,)
            if index == 0:
                writer.lines[key,] = writer.line()
            writer.lines[path] = writer.line()
            writer.put(f"[[ {written} ]]\n" if many else f"[{written}] # ]\n")
            used: set[str] = set()
            writer.body(path, used)
            if draw(st.booleans()):
                below, inner = writer.key(used)
                writer.lines[*path, inner] = writer.line()
                writer.put(f"[{written} . {below}]\n")
                writer.body((*path, inner), set())
    return writer


@pytest.mark.slow
@settings(PATIENT, max_examples=examples(150))
@given(documents())
def test_every_key_is_found_on_the_line_it_was_written_on(written: Writer) -> None:
    tomllib.loads(written.text)  # the generator writes valid TOML
    lines = Lines(written.text)
    found = {path: lines.of(path) for path in written.lines}
    assert found == written.lines
    assert all(len(path) <= DEPTH for path in found)


@settings(PATIENT, max_examples=examples(150))
@given(st.text(max_size=300) | st.lists(st.sampled_from(WORDS), max_size=60).map("".join))
def test_any_text_is_walked_to_some_end(text: str) -> None:
    lines = Lines(text)
    for path in ((), ("service",), ("service", 0, "name")):
        assert 0 <= lines.of(path) <= text.count("\n") + 1
