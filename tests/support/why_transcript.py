"""What `lvsguard why` printed in a play, as golden files keep it: without what no play decides.

Taken out are the times of the clock, the ages and spans that were measured, and the random ids,
each by the words around it. All else stays, letter by letter: whatever is not named here and
differs between two runs fails the test.
"""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import TYPE_CHECKING, Final

from tests.support.director import wall

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.support.director import Director
    from tests.support.golden import Golden

FOLDER: Final = "why-lab"
"""Of tests/golden."""

_SPAN: Final = r"\d+(?:s|m\d\ds|h\d\dm|d\d\dh)"
"""As ``moment.span`` writes it."""
_SHORT: Final = r"\d+(?:\.\d+)? m?s"
"""As ``moment.duration`` does."""
_MEASURED: Final = (
    (rf"\d\d:\d\d:\d\d UTC \({_SPAN} ago\)", "TIME (SPAN ago)"),
    (rf"\d\d:\d\d:\d\d UTC \(in {_SPAN}\)", "TIME (in SPAN)"),
    (rf"(saw it first), {_SHORT} (before the verdict)", r"\1, SPAN \2"),
    (rf"(one probe|\d+ probes in a row), {_SHORT} (in all)", r"\1, SPAN \2"),
    (rf"\({_SHORT} (after a hint)", r"(SPAN \1"),
    (rf"(closed after) {_SHORT}", r"\1 SPAN"),
    (rf"(the host is silent for) {_SHORT}", r"\1 SPAN"),
    (r"\d+ (connections sent ahead of the handover, in) \d+\.\d\d s", r"COUNT \1 SPAN"),
)
_STAMP: Final = re.compile(r"^  (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)(?=  )")
_ID: Final = re.compile(
    r"(?<=  \[)[0-9a-f]{10}(?=\]$)|(?<=has the id )[0-9a-f]{10}\b"
    r"|(?<=onfiguration )[0-9a-f]{12}\b"
)
"""Of a verdict, an override, or a configuration."""
TOLD_S: Final = 1.0
"""The kernel shows a step before the daemon tells of it: so long at most, in a slow guest."""
_TITLES: Final = ("what to do", "what would bring it back", "what happened")


def check_why(
    golden: Golden,
    director: Director,
    name: str,
    target: object,
    since: float = 0.0,
    *,
    sorted_events: bool = False,
) -> None:
    """Compare what the command says now with ``tests/golden/why-lab/NAME.txt``; of the timeline
    what happened since a wall-clock time. ``sorted_events``: two processes tell of one moment,
    and either may be first."""
    path, end = f"{FOLDER}/{name}.txt", time.monotonic() + TOLD_S
    while True:
        printed = director.run("why", str(target)).stdout
        printed = printed.replace(f" {director.config} ", f" {director.config.name} ")
        kept = normalised(printed, since, sorted_events=sorted_events)
        text = f"$ lvsguard why {target}\n{kept}"
        if time.monotonic() > end or golden.has(path, text):
            break
        time.sleep(TOLD_S / 10)
    golden.check(path, text)


def after_all() -> float:
    """The wall clock, once what the kernel shows already is told, too."""
    time.sleep(TOLD_S / 2)
    return wall()


def normalised(printed: str, since: float = 0.0, *, sorted_events: bool = False) -> str:
    """A sentence a line, since where a line ends depends on how long a time was written."""
    told, title, timeline = printed.partition("\nwhat happened\n")
    lines = [_without_times(line) for line in _sentences(told.splitlines())]
    happened = [_STAMP.sub("  TIME", _without_times(e)) for e in _lately(timeline, since)]
    if sorted_events:
        happened.sort()
    if happened:
        lines += [title.strip("\n"), *happened]
    return "".join(f"{line}\n" for line in _with_numbered_ids(lines))


def _sentences(lines: Iterable[str]) -> Iterator[str]:
    """What was wrapped, in one piece again: heads, sentences and remedies."""
    pieces: list[tuple[str, str]] = []
    for line in lines:
        text = line.lstrip(" ")
        indent = line[: len(line) - len(text)]
        if indent == "  " and text.startswith("- "):
            pieces.append(("  - ", text[2:]))
        elif line in ("", *_TITLES):
            pieces.append(("title", line))
        elif pieces and pieces[-1][0] == ("  - " if indent == "    " else indent):
            pieces[-1] = pieces[-1][0], f"{pieces[-1][1]} {text}"
        else:
            pieces.append((indent, text))
    for indent, text in pieces:
        if indent in ("", "  "):
            yield from (f"{indent}{sentence}" for sentence in re.split(r"(?<=\.) ", text))
        else:
            yield text if indent == "title" else f"{indent}{text}"


def _without_times(line: str) -> str:
    for pattern, instead in _MEASURED:
        line = re.sub(pattern, instead, line)
    return line


def _lately(timeline: str, since: float) -> Iterator[str]:
    for line in timeline.splitlines():
        stamp = _STAMP.match(line)
        assert stamp is not None, f"no event: {line!r}"
        if datetime.fromisoformat(stamp[1]).timestamp() >= since:
            yield line


def _with_numbered_ids(lines: Iterable[str]) -> Iterator[str]:
    """The first id is ID1 wherever it stands, so that a line still leads to another."""
    known: dict[str, str] = {}
    for line in lines:
        yield _ID.sub(lambda found: known.setdefault(found[0], f"ID{len(known) + 1}"), line)
