"""Reads what ``check`` judges: interfaces, settings and rules as they are, changing nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from lvsguard.kernel.link import Link, open_links
from lvsguard.kernel.sysctl import Sysctl, conf
from lvsguard.realserver import arptables, nftables
from lvsguard.realserver.model import ArpMode, ArpRule, RealserverSetup
from lvsguard.realserver.tool import ToolError

Name = tuple[Literal["ipv4", "ipv6"], str, str]
"""Family, interface or ``all``, and key of a setting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The host as it is, as far as a realserver is concerned."""

    links: tuple[Link, ...]
    settings: Mapping[Name, int] = field(default_factory=dict)
    """Settings that this kernel has; a missing one is not in here."""
    rules: frozenset[ArpRule] = frozenset()
    rules_unknown: str = ""
    """Why the rules could not be read."""
    default_links: frozenset[int] = frozenset()
    """Indexes of the interfaces with a default route."""

    def link(self, name: str) -> Link | None:
        """The interface of this name."""
        return next((link for link in self.links if link.name == name), None)

    @property
    def speakers(self) -> tuple[Link, ...]:
        """Interfaces that are up and may be asked for a MAC address."""
        return tuple(link for link in self.links if link.up and link.speaks_arp)

    def value(self, family: Literal["ipv4", "ipv6"], link: str, key: str) -> int:
        """A setting's own value; 0 when the kernel has none."""
        return self.settings.get((family, link, key), 0)


async def observe(setup: RealserverSetup, sysctl: Sysctl) -> Observed:
    """Read everything that ``judge`` needs for this setup. Raises KernelError."""
    async with open_links() as source:
        links = await source.read()
        default_links = await source.default_route_links()
    rules, unknown = await _rules(setup)
    return Observed(
        links=links,
        settings=_settings(sysctl, links),
        rules=rules,
        rules_unknown=unknown,
        default_links=default_links,
    )


async def _rules(setup: RealserverSetup) -> tuple[frozenset[ArpRule], str]:
    try:
        match setup.mode:
            case ArpMode.ARPTABLES:
                return await arptables.read(), ""
            case ArpMode.NFTABLES:
                return await nftables.read(), ""
    except ToolError as error:
        return frozenset(), str(error)
    return frozenset(), ""


def _settings(sysctl: Sysctl, links: Iterable[Link]) -> dict[Name, int]:
    names: list[Name] = []
    for link in ("all", *(link.name for link in links if link.speaks_arp)):
        names += [("ipv4", link, key) for key in ("arp_ignore", "arp_announce", "rp_filter")]
        names += [("ipv6", link, key) for key in ("proxy_ndp", "forwarding")]
    found = {name: sysctl.find(conf(*name)) for name in names}
    return {name: int(value) for name, value in found.items() if value is not None}
