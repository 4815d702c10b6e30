"""The sheet that rules write on: what they may look at and how they report.

A rule names every value it went by; where one of them was already reported as wrong, the rule
has nothing to say, because its finding would only follow from that.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from ipaddress import IPv4Interface, IPv6Interface
from typing import TypeVar

from lvsguard.config.problem import KeyPath
from lvsguard.config.schema import Document
from lvsguard.config.validate import Fault, entries
from lvsguard.core.model import IPAddress

Interfaces = Mapping[str, Collection[IPv4Interface | IPv6Interface]]
"""Addresses of a host's interfaces by interface name."""

T = TypeVar("T")


def pick(value: T | dict[str, T], director: str) -> T | None:
    """The value that holds on this director; None when its table does not name the director."""
    return value.get(director) if isinstance(value, dict) else value


class Review:
    """One document under review on behalf of one director."""

    def __init__(
        self,
        document: Document,
        director: str,
        interfaces: Interfaces | None,
        doubtful: frozenset[KeyPath],
    ) -> None:
        """Start with no findings; ``doubtful`` is what rules must not go by."""
        self.document = document
        self.director = director
        self.interfaces = interfaces
        self.faults: list[Fault] = []
        self._doubtful = doubtful
        vips = [vip for _, vip in entries(document.vip)]
        self.vips: frozenset[IPAddress] = frozenset(
            prefixed.address for vip in vips for prefixed in vip.addresses
        )

    def say(self, path: KeyPath, message: str, *going_by: KeyPath) -> None:
        """Report a finding on ``path`` that went by it and by other values."""
        if not any(self.doubts(one) for one in (path, *going_by)):
            self.faults.append(Fault(path, message))

    def doubts(self, path: KeyPath) -> bool:
        """Whether this value, something in it or something around it was reported as wrong."""
        return any(
            path[: len(wrong)] == wrong or wrong[: len(path)] == path for wrong in self._doubtful
        )

    def pick(self, value: T | dict[str, T]) -> T | None:
        """The value that holds on this director."""
        return pick(value, self.director)
