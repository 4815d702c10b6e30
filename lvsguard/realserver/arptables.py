"""The seed's two arptables rules for each VIP: read, insert, delete, one at a time.

Works with arptables-nft and arptables-legacy, whose listings (``-L -n``) agree on the rules. Rules
that say more than ours do (an interface, a MAC) are somebody else's and stay.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from lvsguard.realserver.model import ArpRule
from lvsguard.realserver.tool import run


async def read() -> frozenset[ArpRule]:
    """The rules of our shape that are in the INPUT and OUTPUT chains. Raises ToolError."""
    return parse(await run(("arptables", "-L", "-n")))


async def insert(rule: ArpRule) -> None:
    """Put a rule first, so that no earlier ACCEPT can undo it. Raises ToolError."""
    await run(("arptables", "-I", *arguments(rule)))


async def delete(rule: ArpRule) -> None:
    """Delete one rule. Raises ToolError when it is not there."""
    await run(("arptables", "-D", *arguments(rule)))


def arguments(rule: ArpRule) -> tuple[str, ...]:
    """Chain, match and target of a rule, as arptables(8) takes them after -I or -D."""
    if rule.rip is None:
        return ("INPUT", "-d", str(rule.vip), "-j", "DROP")
    return ("OUTPUT", "-s", str(rule.vip), "-j", "mangle", "--mangle-ip-s", str(rule.rip))


def parse(listing: str) -> frozenset[ArpRule]:
    """Rules of our shape in the output of ``arptables -L -n``; everything else is passed over."""
    found = set()
    chain = ""
    for line in listing.splitlines():
        words = line.split()
        if words[:1] == ["Chain"]:
            chain = words[1] if len(words) > 1 else ""
        elif (rule := _rule(chain, words)) is not None:
            found.add(rule)
    return frozenset(found)


def _rule(chain: str, words: list[str]) -> ArpRule | None:
    if len(words) % 2:
        return None
    options = dict(zip(words[::2], words[1::2], strict=True))
    try:
        match (chain, options):
            case ("INPUT", {"-j": "DROP", "-d": vip, **rest}) if not rest:
                return ArpRule(IPv4Address(vip))
            case ("OUTPUT", {"-j": "mangle", "-s": vip, "--mangle-ip-s": rip, **rest}) if not rest:
                return ArpRule(IPv4Address(vip), IPv4Address(rip))
    except ValueError:
        pass
    return None
