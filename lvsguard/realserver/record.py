"""What ``up`` found and did, as values: the memory of the realserver side.

What is not in here was there before and is never undone. ``record_file`` keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from lvsguard.kernel.link import Interface
from lvsguard.kernel.sysctl import conf
from lvsguard.realserver.model import ArpRule, RealserverSetup

ArpKey = Literal["arp_ignore", "arp_announce"]


@dataclass(frozen=True, slots=True, order=True)
class ArpSetting:
    """``arp_ignore`` or ``arp_announce`` of a link or of ``all``."""

    link: str
    key: ArpKey

    @property
    def name(self) -> str:
        """Its name below /proc/sys."""
        return conf("ipv4", self.link, self.key)


@dataclass(frozen=True, slots=True)
class Original:
    """A setting's value before ``up`` and the one that ``up`` wrote."""

    before: int
    ours: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """What one setup relies on and what of it ``up`` made; the rest was there before."""

    setup: RealserverSetup
    link_made: bool = False
    link_raised: bool = False
    addresses: frozenset[Interface] = frozenset()
    settings: frozenset[ArpSetting] = frozenset()
    """Settings that must stay for it, changed or found right."""
    rules: frozenset[ArpRule] = frozenset()
    """arptables rules that were inserted."""
    table: bool = False
    """Whether the nftables table may hold rules for it."""


@dataclass(frozen=True, slots=True)
class Record:
    """Everything remembered in this boot and namespace, by link name."""

    owns: Mapping[str, Own] = field(default_factory=dict)
    originals: Mapping[ArpSetting, Original] = field(default_factory=dict)

    def with_own(self, own: Own) -> Record:
        """The record with this setup added or replaced."""
        return replace(self, owns={**self.owns, own.setup.link: own})

    def without(self, link: str) -> Record:
        """The record with this setup gone."""
        return replace(self, owns={k: v for k, v in self.owns.items() if k != link})

    def others(self, link: str) -> tuple[Own, ...]:
        """The setups of other links."""
        return tuple(own for name, own in self.owns.items() if name != link)
