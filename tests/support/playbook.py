"""Reads as much of YAML as a playbook on our pages is written in: mappings, lists, plain and quoted
scalars, folded text. Whatever else there is fails."""

from __future__ import annotations

import re

Node = str | list["Node"] | dict[str, "Node"]

_KEY = re.compile(r"([\w.]+):(?: (.+))?")


def parse(text: str) -> Node:
    """The document. Raises ValueError with the line that is not understood."""
    lines = [line for line in text.splitlines() if line.strip()]
    node, rest = _block(lines, 0)
    if rest:
        raise ValueError(f"this line belongs nowhere: {rest[0]!r}")
    return node


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _block(lines: list[str], indent: int) -> tuple[Node, list[str]]:
    """A list or a mapping whose lines begin at ``indent``, and the lines after it."""
    if lines and lines[0].startswith(" " * indent + "- "):
        return _list(lines, indent)
    return _mapping(lines, indent)


def _list(lines: list[str], indent: int) -> tuple[Node, list[str]]:
    items: list[Node] = []
    while lines and _indent(lines[0]) == indent and lines[0][indent:].startswith("- "):
        first = " " * (indent + 2) + lines[0][indent + 2 :]
        item, lines = _mapping([first, *lines[1:]], indent + 2)
        items.append(item)
    return items, lines


def _mapping(lines: list[str], indent: int) -> tuple[Node, list[str]]:
    found: dict[str, Node] = {}
    while lines and _indent(lines[0]) == indent and not lines[0][indent:].startswith("- "):
        match = _KEY.fullmatch(lines[0][indent:])
        if match is None or match[1] in found:
            raise ValueError(f"no key of its own and value: {lines[0]!r}")
        key, value, lines = match[1], match[2], lines[1:]
        if value == ">-":
            end = next((n for n, one in enumerate(lines) if _indent(one) <= indent), len(lines))
            found[key], lines = " ".join(line.strip() for line in lines[:end]), lines[end:]
        elif value is None:
            if not lines or _indent(lines[0]) <= indent:
                raise ValueError(f"{key} has no value")
            found[key], lines = _block(lines, _indent(lines[0]))
        else:
            found[key] = _scalar(value)
    return found, lines


def _scalar(text: str) -> str:
    if text[0] == text[-1] == '"' and len(text) > 1:
        return text[1:-1]
    if text[0] in "\"'&*!|>%@`{[" or ": " in text or " #" in text:
        raise ValueError(f"not a plain scalar, quote it: {text!r}")
    return text
