"""What can be written into a config, told from the models: sections, keys and the reference page.

For people; ``json_schema`` is the same for editors. It returns text, others print it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from lvsguard.config.json_schema import json_schema
from lvsguard.config.leaf import Leaf, period, show
from lvsguard.config.problem import KeyPath
from lvsguard.config.table import Table
from lvsguard.config.validate import TABLES

SCHEMA_FILE: Final = "config.schema.json"
REFERENCE_FILE: Final = "config.md"

_LISTS: Final = frozenset({"vip", "track", "service", "realserver", "hook"})


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a section. ``default`` is TOML; empty when there is none or it depends."""

    name: str
    allowed: str
    default: str
    required: bool
    per_director: bool
    description: str


@dataclass(frozen=True, slots=True)
class Section:
    """One table of the file. ``header`` is how it is opened, such as ``[[service]]``."""

    header: str
    about: str
    keys: tuple[Key, ...]


def sections() -> tuple[Section, ...]:
    """Every table with its keys, in the order of the file."""
    seen: set[type[Table]] = set()
    found = []
    for path, table in TABLES.items():
        if not path or table in seen:
            continue
        seen.add(table)
        keys = tuple(
            _key(name, field)
            for name, field in table.model_fields.items()
            if (*path, name) not in TABLES or name == "check" or name in _INLINE
        )
        found.append(Section(_header(path), (table.__doc__ or "").strip(), keys))
    return tuple(found)


_INLINE: Final = frozenset({"tunnel", "persistence", "sorry_server", "canary", "agent"})


def reference() -> str:
    """The reference page in Markdown; ends with a newline."""
    parts = [_INTRODUCTION]
    for section in sections():
        parts.append(f"\n## `{section.header}`\n\n{section.about}\n\n{_HEAD}")
        parts.extend(map(_row, section.keys))
    return "".join(parts)


def write(folder: Path) -> None:
    """Write the page and the JSON Schema into a folder (``docs/reference``)."""
    (folder / SCHEMA_FILE).write_text(json.dumps(json_schema(), indent=2) + "\n")
    (folder / REFERENCE_FILE).write_text(reference())


_INTRODUCTION: Final = """\
# The configuration file

<!-- Made by lvsguard.config.document from the descriptions in lvsguard/config; edit them. -->

`/etc/lvsguard/config.toml` is [TOML](https://toml.io/en/v1.0.0). Unknown keys are errors, and a
file with an error is refused whole: a running director goes on with what it has.
`lvsguard check` lists every mistake with its line; `config.example.toml` is a file to begin with.

A *duration* is text such as `"200ms"`, `"1s"`, `"5m"`, `"2h"` or `"1d"`, or a number of seconds.

One file may serve several directors. A value that is marked *per director* may be a table keyed
by director name instead: `weight = { director1 = 10, director2 = 20 }`. Every such table names
the same directors, and `[director] name` is then left out, so that each goes by its host name
(or by `--director`).

For editors, `config.schema.json` beside this page is a JSON Schema; the first line
`#:schema PATH` of a config names it to those that know it, such as taplo.
"""


_HEAD: Final = "| Key | Value | Default | Meaning |\n|---|---|---|---|\n"


def _row(key: Key) -> str:
    default = "**required**" if key.required else f"`{key.default}`" if key.default else ""
    allowed = f"{key.allowed}; *per director*" if key.per_director else key.allowed
    cells = (f"`{key.name}`", allowed, default, key.description)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _header(path: KeyPath) -> str:
    spelled = ".".join(map(str, path))
    if path[-1] in _LISTS:
        return f"[[{spelled}]]"
    inline = path[-1] == "check" or path[-1] in _INLINE
    return f"{path[-1]} = {{ ... }}" if inline else f"[{spelled}]"


def _key(name: str, field: FieldInfo) -> Key:
    shapes = set(_shapes(field.annotation))
    allowed = " or ".join(dict.fromkeys(leaf.allowed for leaf in leaves(field)))
    if "tables" in shapes and allowed:
        allowed = f"{allowed}, or a table"
    elif "tables" in shapes:
        allowed = "a table or a list of them" if "list" in shapes else "a table"
    elif "list" in shapes:
        allowed = f"a list of: {allowed}"
    return Key(
        name,
        allowed,
        _default(field, allowed),
        field.is_required(),
        "dict" in shapes,
        field.description or "",
    )


def leaves(field: FieldInfo) -> list[Leaf]:
    """The leaves that a key's value is read by."""
    own = [one for one in field.metadata if isinstance(one, Leaf)]
    return [*own, *_leaves(field.annotation)]


def _leaves(annotation: object) -> Iterator[Leaf]:
    """Leaves anywhere in a type, those of keys of tables left out."""
    for one in getattr(annotation, "__metadata__", ()):
        if isinstance(one, Leaf):
            yield one
    parts = get_args(annotation)
    for part in parts[1:] if get_origin(annotation) is dict else parts:
        yield from _leaves(part)


def _shapes(annotation: object) -> Iterator[str]:
    """``dict``, ``list`` and ``tables``, as they occur in a type."""
    if isinstance(annotation, type) and issubclass(annotation, Table):
        yield "tables"
    origin = get_origin(annotation)
    if origin in {dict, list}:
        yield origin.__name__
    for part in get_args(annotation):
        yield from _shapes(part)


def _default(field: FieldInfo, allowed: str) -> str:
    value = field.default
    if value is PydanticUndefined or value is None or value in ("", (), []):
        return ""
    if isinstance(value, StrEnum):
        return show(str(value))
    if isinstance(value, int | float) and allowed.startswith("a duration"):
        return show(period(value))
    if isinstance(value, frozenset):
        return f"[{', '.join(map(show, sorted(value)))}]"
    if isinstance(value, tuple):
        return show(":".join(map(str, value)))
    return show(value)
