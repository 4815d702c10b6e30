"""The project's pages in Markdown, taken apart: links, code blocks, and what is typed on a host."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).resolve().parents[2]
ANYTHING = "..."
"""In shown output: anything, also several lines."""
_FENCE = re.compile(r"^( *)```(\w*)$")
_FILE = re.compile(r"^ *<!-- file: (\S+) -->$")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_PROMPT = re.compile(r"^(client|director1|director2|rs1|rs2)# (.*)$")
_HEADING = re.compile(r"^#+ +(.*?) *$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of code, which begins at a line of its page."""

    language: str
    line: int
    text: str
    file: str = ""
    """The file that it is, if the line before says so: `<!-- file: PATH -->`."""


@dataclass(frozen=True, slots=True)
class Typed:
    """A command typed on a host of the lab, and what the page shows that it prints."""

    line: int
    host: str
    command: str
    shown: str

    def agrees(self, printed: str) -> bool:
        """Whether that is what the page shows; nothing shown agrees with anything.

        Which of two realservers is heard first is chance, so events may come in any order.
        """
        if not self.shown:
            return True
        shown, lines = self.shown.strip(), [line.rstrip() for line in printed.strip().splitlines()]
        if self.command == "lvsguard events":
            shown, lines = "\n".join(_without_time(shown.splitlines())), _without_time(lines)
        parts = (re.escape(part) for part in shown.split(ANYTHING))
        return re.fullmatch(".*".join(parts), "\n".join(lines), re.DOTALL) is not None


def _without_time(events: list[str]) -> list[str]:
    return sorted(line.partition(" ")[2] for line in events)


def pages() -> list[Path]:
    """Every page that the project ships."""
    found = [*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/**/*.md")]
    found += [*CHECKOUT.glob("deploy/**/*.md"), *CHECKOUT.glob("grafana/*.md")]
    found += [CHECKOUT / "tests/lab/README.md"]
    return sorted(found)


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a page, without the indent of the list that they stand in."""
    begun: re.Match[str] | None = None
    first, inside, file = 0, list[str](), ""
    for number, line in enumerate(text.splitlines(), 1):
        fence = _FENCE.match(line)
        if begun and fence:
            yield Block(begun[2], first, "\n".join(inside) + "\n", file)
            begun, file = None, ""
        elif begun:
            inside.append(line.removeprefix(begun[1]))
        elif fence:
            begun, first, inside = fence, number, []
        else:
            named = _FILE.match(line)
            file = named[1] if named else ""


def files(text: str) -> dict[Path, str]:
    """The files that a page shows whole."""
    return {Path(block.file): block.text for block in blocks(text) if block.file}


def typed(text: str) -> list[Typed]:
    """What a page tells to type on the lab's hosts, in its order. A backslash goes on."""
    found: list[Typed] = []
    for block in blocks(text):
        lines = block.text.replace("\\\n", "\0").splitlines()
        for number, line in enumerate(lines, block.line + 1):
            prompt = _PROMPT.match(line.replace("\0", " "))
            if prompt:
                found.append(Typed(number, prompt[1], prompt[2], ""))
            elif found and block.language == "console":
                last = found[-1]
                found[-1] = Typed(last.line, last.host, last.command, f"{last.shown}{line}\n")
    return found


def links(text: str) -> list[str]:
    """The targets of a page's links; code is no link."""
    lines, code = [], False
    for line in text.splitlines():
        if _FENCE.match(line):
            code = not code
        elif not code:
            lines.append(re.sub(r"`[^`]*`", "", line))
    return _LINK.findall("\n".join(lines))


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in _HEADING.findall(text)
    }
