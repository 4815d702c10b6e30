"""Which entries of the history somebody wants: by kind, by what they are about, by id, up to when.

Pure. What an entry is about is read from its fields and its line, so that it holds for entries of
earlier versions, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from lvsguard.admin.entry import Entry, Plain

NAMING: Final = frozenset({"service", "vip", "realserver", "peer", "subject", "target", "name"})
"""Fields whose value is a name from the config."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A wish; call it with an entry to ask whether that fits. What is empty does not matter."""

    kinds: frozenset[str] = frozenset()
    not_of_realservers: frozenset[str] = frozenset()
    """Kinds that are not wanted where they are about one realserver."""
    about: frozenset[str] = frozenset()
    """Names from the config, addresses, endpoints such as ``10.0.0.42:80``: any of them."""
    alone: frozenset[str] = frozenset()
    """Addresses that count where no port is told, or any of ``about``."""
    also: frozenset[str] = frozenset()
    """Kinds that are wanted whatever they are about."""
    trace: str = ""
    """An id, see ``core.trace``."""
    until: float | None = None
    """Wall clock."""

    def __call__(self, entry: Entry) -> bool:
        """Whether the entry is wanted."""
        if self.until is not None and entry.at > self.until:
            return False
        if self.kinds and entry.kind not in self.kinds:
            return False
        if entry.kind in self.not_of_realservers and entry.data.get("realserver"):
            return False
        if self.trace and entry.data.get("trace") != self.trace:
            return False
        if not self.words or entry.kind in self.also:
            return True
        return any(is_about(entry, word) for word in self.about) or any(
            is_about(entry, word, alone=True) for word in self.alone
        )

    @property
    def words(self) -> frozenset[str]:
        """One of these stands in each entry that is wanted, but for those of ``also``, if there are
        any."""
        return self.about | self.alone


EVERYTHING: Final = Filter()


def is_about(entry: Entry, word: str, *, alone: bool = False) -> bool:
    """Whether an entry is about what this word names; ``alone``: without a port."""
    pattern = _pattern(word, alone)
    if pattern is None:
        return any(_names(text, word) for text in _naming(entry.data))
    if pattern.search(entry.text):
        return True
    return any(pattern.search(text) for text in _strings(entry.data))


def _naming(data: dict[str, Plain]) -> Iterator[str]:
    for key, value in data.items():
        if isinstance(value, str) and key in NAMING:
            yield value
        elif isinstance(value, dict):
            yield from _naming(value)
        elif isinstance(value, list):
            for one in value:
                if isinstance(one, dict):
                    yield from _naming(one)
                elif isinstance(one, str):
                    yield one


def _names(text: str, word: str) -> bool:
    """``web``, or something in it: ``10.0.0.42:80 in web``."""
    return text == word or text.endswith(f" in {word}")


def _strings(value: Plain) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)


@lru_cache(maxsize=256)
def _pattern(word: str, alone: bool) -> re.Pattern[str] | None:
    """Finds an address or endpoint, and none that only begins or ends like it; None: a name."""
    bare = word.rpartition(":")[0].strip("[]") if _port(word) else word
    try:
        version = ip_address(bare).version
    except ValueError:
        return None
    # Of IPv4 a port may follow, of IPv6 only a bracket: more digits would be another address.
    after = r"(?!\w|\.\w)" if version == 4 or _port(word) else r"(?![\w:])"
    if alone:
        after += r"(?!:\d|\]:)"
    return re.compile(r"(?<![\w.:])" + re.escape(word) + after)


def _port(word: str) -> bool:
    """Whether it is an endpoint rather than an address."""
    return word.count(":") == 1 or "]:" in word
