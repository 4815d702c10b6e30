"""What a realserver is to be: its VIPs, the link that holds them, and how ARP is kept quiet.

Values only; ``setup`` makes them true and ``check`` compares.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

from lvsguard.core.model import IPAddress
from lvsguard.kernel.link import Interface, Link, link_name_problem

LINK = "ipvs0"
"""Link that holds the VIPs when nobody names one."""
LINK_KIND = "dummy"


class ArpMode(StrEnum):
    """What keeps a realserver from answering ARP for a VIP (IPv4; IPv6 needs none of it)."""

    SYSCTL = "sysctl"
    """arp_ignore=1 and arp_announce=2."""
    ARPTABLES = "arptables"
    NFTABLES = "nftables"
    NONE = "none"
    """Somebody else sees to it; only the link and the addresses are made."""


class SetupError(ValueError):
    """A RealserverSetup that cannot be; ``problems`` has every reason, the text all of them."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


@dataclass(frozen=True, slots=True, kw_only=True)
class RealserverSetup:
    """One link with VIPs. Raises SetupError with every problem at once."""

    vips: tuple[IPAddress, ...]
    rip: IPAddress | None = None
    """This host's own address; ARP requests carry it in modes arptables and nftables."""
    link: str = LINK
    mode: ArpMode = ArpMode.SYSCTL

    def __post_init__(self) -> None:
        if problems := tuple(_problems(self)):
            raise SetupError(problems)

    @property
    def interfaces(self) -> tuple[Interface, ...]:
        """The VIPs as they stand on the link: /32 and /128, so that they bring no route."""
        return tuple(host_interface(vip) for vip in self.vips)

    @property
    def ipv4_vips(self) -> tuple[IPv4Address, ...]:
        """The VIPs that ARP is about."""
        return tuple(vip for vip in self.vips if isinstance(vip, IPv4Address))

    @property
    def rules(self) -> frozenset[ArpRule]:
        """The ARP rules of modes arptables and nftables; none in the other modes."""
        if self.mode not in {ArpMode.ARPTABLES, ArpMode.NFTABLES}:
            return frozenset()
        rip = self.rip if isinstance(self.rip, IPv4Address) else None
        return frozenset(
            rule for vip in self.ipv4_vips for rule in (ArpRule(vip), ArpRule(vip, rip))
        )


@dataclass(frozen=True, slots=True)
class ArpRule:
    """An ARP rule for a VIP: drop what asks for it, or send with ``rip`` in its place."""

    vip: IPv4Address
    rip: IPv4Address | None = None

    def __str__(self) -> str:
        if self.rip is None:
            return f"drop ARP for {self.vip}"
        return f"send ARP as {self.rip} instead of {self.vip}"


@dataclass(frozen=True, slots=True)
class Change:
    """Something that ``up`` or ``down`` did, or left alone on purpose; ``str()`` is one line."""

    subject: str
    text: str
    left: bool = False
    """True: it was found changed by somebody else and not touched."""

    def __str__(self) -> str:
        return f"{self.subject}: {self.text}"


def host_interface(address: IPAddress) -> Interface:
    """An address with its full prefix, /32 or /128."""
    if isinstance(address, IPv4Address):
        return IPv4Interface((address, 32))
    return IPv6Interface((address, 128))


def elsewhere(setup: RealserverSetup, links: Iterable[Link]) -> tuple[tuple[Interface, Link], ...]:
    """VIPs on interfaces that others can ask for a MAC address, the setup's own link included."""
    return tuple(
        (entry.address, link)
        for link in links
        if link.speaks_arp
        for entry in link.addresses
        if entry.address.ip in setup.vips
    )


def _problems(setup: RealserverSetup) -> Iterable[str]:
    if not setup.vips:
        yield "no VIP is given: name at least one (--vip ADDRESS)"
    for vip in dict.fromkeys(setup.vips):
        if setup.vips.count(vip) > 1:
            yield f"VIP {vip} is given twice: name it once"
        if vip.is_multicast or vip.is_unspecified or vip.is_loopback or vip.is_link_local:
            yield f"{vip} cannot be a VIP: use a unicast address that clients can reach"
        if isinstance(vip, IPv6Address) and (vip.ipv4_mapped or vip.scope_id):
            yield f"{vip} cannot be a VIP: write it as a plain IPv4 or IPv6 address"
    if setup.rip is not None and setup.rip in setup.vips:
        yield f"{setup.rip} is given as VIP and as RIP: the RIP is this host's own address"
    if problem := link_name_problem(setup.link):
        yield f"link {setup.link!r}: {problem}"
    if setup.link in {"all", "default"}:
        yield f"link {setup.link!r} is a name that the kernel's settings use: choose another"
    if (
        setup.mode in {ArpMode.ARPTABLES, ArpMode.NFTABLES}
        and setup.ipv4_vips
        and not isinstance(setup.rip, IPv4Address)
    ):
        yield f"mode {setup.mode} needs this host's own IPv4 address (--rip ADDRESS)"
