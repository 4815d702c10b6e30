from __future__ import annotations

import time

import pytest

from lvsguard.config.locate import DEPTH, Lines
from lvsguard.config.problem import KeyPath

TEXT = '''\
# a comment with = and [brackets]
top.dotted = 1
"quo.ted" = 2
[table] # [not.this]
a = """
[inside]
b = 2 \\""" still
"""""
'lit eral'.x = \'\'\'
c = '' ]
\'\'\'
list = [
  "one", # "not"
  [ "two",
    "three" ], { inner = 1, more.deep = [
      4 ] },
]
[[many]]
name = "first"
[many.sub]
x = 1
[[many.sub.leaf]]
y = 1
[[many.sub.leaf]]
y = 2
[[many]]
name = "second"
when = 1979-05-27 07:32:00Z
[many.sub]
x = 2
["a\\u0062c"."]"]
z = -inf
'''
EXPECTED: list[tuple[KeyPath, int]] = [
    (("top",), 2),
    (("top", "dotted"), 2),
    (("quo.ted",), 3),
    (("table",), 4),
    (("table", "a"), 5),
    (("table", "lit eral", "x"), 9),
    (("table", "list"), 12),
    (("table", "list", 0), 13),
    (("table", "list", 1), 14),
    (("table", "list", 1, 0), 14),
    (("table", "list", 1, 1), 15),
    (("table", "list", 2, "inner"), 15),
    (("table", "list", 2, "more", "deep"), 15),
    (("table", "list", 2, "more", "deep", 0), 16),
    (("many",), 18),
    (("many", 0), 18),
    (("many", 0, "name"), 19),
    (("many", 0, "sub", "x"), 21),
    (("many", 0, "sub", "leaf", 0), 22),
    (("many", 0, "sub", "leaf", 1, "y"), 25),
    (("many", 1), 26),
    (("many", 1, "name"), 27),
    (("many", 1, "when"), 28),
    (("many", 1, "sub", "x"), 30),
    (("abc", "]", "z"), 32),
]


@pytest.mark.parametrize(("path", "line"), EXPECTED)
def test_every_way_to_write_a_key_is_found(path: KeyPath, line: int) -> None:
    assert Lines(TEXT).of(path) == line


def test_what_is_not_written_is_told_by_the_table_around_it() -> None:
    lines = Lines(TEXT)
    assert lines.of(("many", 1, "missing")) == 26
    assert lines.of(("table", "list", 1, 9)) == 14
    assert lines.of(("nowhere", "at", "all")) == 0
    assert lines.of(()) == 0


def test_strings_and_comments_hide_what_is_in_them() -> None:
    lines = Lines(TEXT)
    assert lines.of(("inside",)) == 0
    assert lines.of(("table", "b")) == 4
    assert lines.of(("table", "c")) == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "a = [" * 50_000,
        "[" * 500_000,
        "a = {b = " * 50_000,
        "a." * 500_000,
        'a = "' + "\\n" * 500_000,
        'a = """' + '\\"' * 500_000,
        "a = '''" + "'' " * 300_000,
        "a = [" + "1, " * 300_000 + "]",
        "# " + "x" * 1_000_000,
    ],
)
def test_a_hostile_text_costs_time_in_proportion_to_its_length(text: str) -> None:
    start = time.process_time()
    lines = Lines(text)
    assert time.process_time() - start < 5
    assert lines.of(("a",)) in {0, 1}


def test_a_deep_nest_is_followed_to_a_bound() -> None:
    text = "a = " + "[\n" * 40 + "]" * 40
    path: KeyPath = ("a", *([0] * 30))
    assert Lines(text).of(path) == Lines(text).of(path[:DEPTH]) == DEPTH
