"""What is wrong with a config: where, and what would be right. Values, and their one exception."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

KeyPath = tuple[str | int, ...]
"""Keys and list indices from the top of the file: ``("service", 0, "realserver", 1, "weight")``."""

_BARE = re.compile(r"[A-Za-z0-9_-]{1,64}")


def spell(path: KeyPath) -> str:
    """A key path as messages write it: ``service[0].realserver[1].weight``."""
    words = []
    for part in path:
        if isinstance(part, int):
            words.append(f"[{part}]")
        else:
            key = part if _BARE.fullmatch(part) else json.dumps(part[:64], ensure_ascii=False)
            words.append(f".{key}" if words else key)
    return "".join(words)


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake. ``line`` counts from 1; 0 is the file as a whole. ``key`` may be empty."""

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.key}: {self.message}" if self.key else f"{where}: {self.message}"


class ConfigError(Exception):
    """A config that cannot be used, with every problem in it. The text has a line for each."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))
