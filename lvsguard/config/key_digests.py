"""Digests of a config's keys, for other directors to compare with. Secrets have none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Final

from lvsguard.config.secret import without_secrets
from lvsguard.core.config_keys import Path

MANY: Final = 4_000
"""Realservers from which on those of a service are told as one: ten thousand would be megabytes of
digests."""
WIDE: Final = 1_000
"""Services from which on each is told as one; 2,277 of them with all keys took half a second."""
MOST: Final = 16_000
"""Services from which on all of them are told as one."""
_OCTETS: Final = 6
_DEPTH: Final = 5
_NAMED: Final = frozenset({"vip", "service", "realserver"})


def key_digests(values: Mapping[str, object]) -> dict[Path, str]:
    """Digests by path of parsed TOML. What nobody may read is left out before."""
    blank = without_secrets(values)
    if not isinstance(blank, Mapping):
        return {}
    walk = _Walk(blank)
    for name, value in blank.items():
        walk.node((str(name),), value)
    return walk.found


class _Walk:
    """Digests of all nodes, those of tables over those of what is in them."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self.found: dict[Path, str] = {}
        tables = [s for s in _list(values.get("service")) if isinstance(s, Mapping)]
        self._whole: set[int] = set()
        """Lengths of paths below ``service`` that are not gone into."""
        if sum(len(_list(table.get("realserver"))) for table in tables) > MANY:
            self._whole.add(3)
        if len(tables) > WIDE:
            self._whole.add(2)
        if len(tables) > MOST:
            self._whole.add(1)

    def node(self, path: Path, value: object) -> str:
        """Note the digest of a node and those of its parts; it is the same however many parts are
        noted."""
        self.found[path] = ""  # before its parts, as the file has it
        parts = None if self._ends(path) else _parts(path, value)
        inner = [(name, self.node((*path, name), part)) for name, part in (parts or {}).items()]
        listed = len(path) == 1 and inner and isinstance(value, list)
        # The JSON of all services once more would be megabytes.
        told = repr(inner) if listed else _canonical(value)
        self.found[path] = hashlib.blake2b(told.encode(), digest_size=_OCTETS).hexdigest()
        return self.found[path]

    def _ends(self, path: Path) -> bool:
        if path[0] == "service" and len(path) in self._whole:
            return len(path) != 3 or path[2] == "realserver"
        return len(path) >= _DEPTH or (len(path) == 4 and path[2] != "realserver")


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def _parts(path: Path, value: object) -> dict[str, object] | None:
    """What a table, or a list of tables with names, consists of; None for anything else."""
    if isinstance(value, Mapping):
        return {str(name): part for name, part in value.items()} or None
    if path[-1] not in _NAMED or not isinstance(value, list):
        return None
    named = {name: part for part in value if (name := _name(part))}
    return named if named and len(named) == len(value) else None


def _name(table: object) -> str:
    if not isinstance(table, Mapping):
        return ""
    address, port = table.get("address"), table.get("port")
    return str(table.get("name") or (f"{address}:{port}" if port else address or ""))


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
