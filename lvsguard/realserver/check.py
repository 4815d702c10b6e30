"""Tells, item by item, what of a realserver is right and wrong and what to do. Changes nothing.

``judge`` is pure; ``check`` gives it what the host shows. What it says of ARP follows from the
kernel's rules (``arp``); what truly comes out of an interface only another host can see.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Address

from lvsguard.core.model import IPAddress
from lvsguard.kernel.link import Link
from lvsguard.kernel.sysctl import Sysctl, conf
from lvsguard.realserver.arp import DEAF_IGNORE, announce_is_quiet, effective, ignore_is_quiet
from lvsguard.realserver.model import ArpMode, RealserverSetup, elsewhere, host_interface
from lvsguard.realserver.observe import Observed, observe


class Outcome(StrEnum):
    """How an item stands. Only ``wrong`` makes a check fail."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class CheckItem:
    """One thing that was looked at. ``remedy`` is empty when there is nothing to do."""

    name: str
    """Stable: link, vip, vip-elsewhere, arp-ignore, arp-announce, arp-rules, nd, rip, rp-filter."""
    subject: str
    """What it is about: an interface or an address."""
    outcome: Outcome
    seen: str
    remedy: str = ""


async def check(setup: RealserverSetup, sysctl: Sysctl) -> tuple[CheckItem, ...]:
    """Look at this host. Raises KernelError when it cannot be read at all."""
    return judge(setup, await observe(setup, sysctl))


def judge(setup: RealserverSetup, seen: Observed) -> tuple[CheckItem, ...]:
    """Every item for this setup on a host like that."""
    return (
        _link(setup, seen),
        *(_vip(setup, seen, vip) for vip in setup.vips),
        *_elsewhere(setup, seen),
        *_arp(setup, seen),
        *_nd(setup, seen),
        *_rip(setup, seen),
        *_rp_filter(setup, seen),
    )


def passed(items: tuple[CheckItem, ...]) -> bool:
    """Whether nothing is wrong; warnings pass."""
    return all(item.outcome is not Outcome.WRONG for item in items)


def _wrong(name: str, subject: object, seen: str, remedy: str) -> CheckItem:
    return CheckItem(name, str(subject), Outcome.WRONG, seen, remedy)


def _warning(name: str, subject: object, seen: str, remedy: str) -> CheckItem:
    return CheckItem(name, str(subject), Outcome.WARNING, seen, remedy)


def _ok(name: str, subject: object, seen: str) -> CheckItem:
    return CheckItem(name, str(subject), Outcome.OK, seen)


def _link(setup: RealserverSetup, seen: Observed) -> CheckItem:
    link = seen.link(setup.link)
    if link is None:
        return _wrong("link", setup.link, "does not exist", "lvsguard realserver up")
    if not link.up:
        return _wrong("link", link.name, "is down", f"ip link set {link.name} up")
    return _ok("link", link.name, f"is up{f', type {link.kind}' if link.kind else ''}")


def _vip(setup: RealserverSetup, seen: Observed, vip: IPAddress) -> CheckItem:
    link = seen.link(setup.link)
    wanted = host_interface(vip)
    present = [a for a in link.addresses if a.address.ip == vip] if link else []
    others = [str(a) for a in present if a.address != wanted]
    if others:
        return _wrong(
            "vip",
            vip,
            f"is {others[0]} on {setup.link}: its network's route goes there too",
            f"lvsguard realserver up; ip addr del {others[0]} dev {setup.link}",
        )
    if not present:
        return _wrong("vip", vip, f"is not on {setup.link}", "lvsguard realserver up")
    if not present[0].settled:
        return _wrong(
            "vip",
            vip,
            f"is on {setup.link} but not usable: duplicate address detection has not passed it",
            f"ip addr del {wanted} dev {setup.link}; lvsguard realserver up (adds it with nodad)",
        )
    return _ok("vip", vip, f"is {wanted} on {setup.link}")


def _elsewhere(setup: RealserverSetup, seen: Observed) -> Iterator[CheckItem]:
    guarded = {rule.vip for rule in seen.rules if rule.rip is None}
    found = elsewhere(setup, seen.links)
    for address, link in found:
        text = f"is {address} on {link.name}, which others can ask for its MAC address"
        remedy = f"ip addr del {address} dev {link.name}"
        if address.ip in guarded:
            yield _warning("vip-elsewhere", address.ip, f"{text}; a rule drops that", remedy)
        else:
            yield _wrong("vip-elsewhere", address.ip, text, remedy)
    bad = {address.ip for address, _ in found}
    for vip in setup.vips:
        if vip not in bad:
            yield _ok("vip-elsewhere", vip, "is on no interface that others can ask")


def _arp(setup: RealserverSetup, seen: Observed) -> Iterator[CheckItem]:
    if not setup.ipv4_vips:
        return
    match setup.mode:
        case ArpMode.SYSCTL:
            for link in seen.speakers:
                yield _arp_ignore(link, seen)
                yield _arp_announce(link, seen)
        case ArpMode.ARPTABLES | ArpMode.NFTABLES:
            yield from _arp_rules(setup, seen)
        case ArpMode.NONE:
            yield from _arp_unguarded(seen)


def _arp_ignore(link: Link, seen: Observed) -> CheckItem:
    value = _effective(seen, link, "arp_ignore")
    text = f"is {value} on {link.name} ({_parts(seen, link, 'arp_ignore')})"
    if value == DEAF_IGNORE:
        remedy = _set(seen, link, "arp_ignore", 1)
        return _warning(
            "arp-ignore", link.name, f"{text}: not even the RIP is answered for", remedy
        )
    if ignore_is_quiet(value):
        return _ok("arp-ignore", link.name, f"{text}: no answer for a VIP")
    remedy = _set(seen, link, "arp_ignore", 1)
    return _wrong("arp-ignore", link.name, f"{text}: it answers ARP for the VIPs", remedy)


def _arp_announce(link: Link, seen: Observed) -> CheckItem:
    value = _effective(seen, link, "arp_announce")
    text = f"is {value} on {link.name} ({_parts(seen, link, 'arp_announce')})"
    if announce_is_quiet(value):
        return _ok("arp-announce", link.name, f"{text}: ARP requests carry its own address")
    remedy = _set(seen, link, "arp_announce", 2)
    text += ": its ARP requests can carry a VIP, and neighbours learn it"
    return _wrong("arp-announce", link.name, text, remedy)


def _arp_unguarded(seen: Observed) -> Iterator[CheckItem]:
    for link in seen.speakers:
        loud = [
            item
            for item in (_arp_ignore(link, seen), _arp_announce(link, seen))
            if item.outcome is Outcome.WRONG
        ]
        for item in loud:
            remedy = "make sure that something else keeps ARP quiet, or use --arp sysctl"
            yield _warning(item.name, item.subject, item.seen, remedy)


def _arp_rules(setup: RealserverSetup, seen: Observed) -> Iterator[CheckItem]:
    if seen.rules_unknown:
        yield _wrong("arp-rules", setup.mode, "cannot be read", seen.rules_unknown)
        return
    for rule in sorted(setup.rules, key=lambda rule: (rule.vip, rule.rip is not None)):
        if rule in seen.rules:
            yield _ok("arp-rules", rule.vip, f"{setup.mode}: {rule}")
        else:
            text = f"{setup.mode} has no rule: {rule}"
            yield _wrong("arp-rules", rule.vip, text, "lvsguard realserver up")


def _nd(setup: RealserverSetup, seen: Observed) -> Iterator[CheckItem]:
    """Neighbour discovery: a solicitation is answered only for addresses of the interface that it
    came in by (ndisc_recv_ns asks ipv6_get_ifaddr with strict), so a VIP elsewhere is quiet."""
    loud = {address.ip for address, _ in elsewhere(setup, seen.links)}
    proxies = [
        link.name
        for link in seen.speakers
        if seen.value("ipv6", link.name, "forwarding")
        and (seen.value("ipv6", "all", "proxy_ndp") or seen.value("ipv6", link.name, "proxy_ndp"))
    ]
    for vip in setup.vips:
        if not isinstance(vip, IPv6Address):
            continue
        if vip in loud:
            remedy = "see vip-elsewhere"
            yield _wrong("nd", vip, "is answered for by the interface that holds it", remedy)
        elif proxies:
            text = f"is quiet unless {', '.join(proxies)} proxies it (proxy_ndp is on)"
            yield _warning("nd", vip, text, f"ip -6 neigh show proxy; no line may name {vip}")
        else:
            yield _ok("nd", vip, "no interface answers neighbour solicitations for it")


def _rip(setup: RealserverSetup, seen: Observed) -> Iterator[CheckItem]:
    if setup.rip is None:
        return
    holders = [
        link
        for link in seen.speakers
        if any(entry.address.ip == setup.rip for entry in link.addresses)
    ]
    if holders:
        yield _ok("rip", setup.rip, f"is on {holders[0].name}")
    else:
        remedy = "name this host's own address (--rip, or the realserver in the config file)"
        yield _wrong("rip", setup.rip, "is on no interface that is up", remedy)


def _rp_filter(setup: RealserverSetup, seen: Observed) -> Iterator[CheckItem]:
    """Strict filtering drops a request that comes in where no route to its client goes out."""
    if not setup.ipv4_vips:
        return
    for link in seen.speakers:
        if not link.addresses:
            continue
        value = _effective(seen, link, "rp_filter")
        text = f"is {value} on {link.name} ({_parts(seen, link, 'rp_filter')})"
        if value == 1 and seen.default_links and link.index not in seen.default_links:
            text += ", strict, and the default route leaves by another interface"
            remedy = f"if requests come in here: {_command(link.name, 'rp_filter', 2)}"
            yield _warning("rp-filter", link.name, text, remedy)
        else:
            yield _ok("rp-filter", link.name, text)


def _effective(seen: Observed, link: Link, key: str) -> int:
    return effective(seen.value("ipv4", "all", key), seen.value("ipv4", link.name, key))


def _parts(seen: Observed, link: Link, key: str) -> str:
    return f"all {seen.value('ipv4', 'all', key)}, own {seen.value('ipv4', link.name, key)}"


def _set(seen: Observed, link: Link, key: str, value: int) -> str:
    """The command that makes the effective value right: raise one, or lower what is too high."""
    high = [name for name in ("all", link.name) if seen.value("ipv4", name, key) > value]
    if not high:
        return f"lvsguard realserver up (or {_command('all', key, value)})"
    return "; ".join(_command(name, key, value) for name in high)


def _command(link: str, key: str, value: int) -> str:
    return f"sysctl -w {conf('ipv4', link, key)}={value}"
