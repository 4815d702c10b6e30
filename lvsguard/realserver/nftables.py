"""The same two rules for each VIP in one nftables table of the arp family, ``lvsguard_arp``.

The table is lvsguard's own, whole: it is replaced in one transaction, and deleted when empty.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Final, cast

from lvsguard.realserver.model import ArpRule
from lvsguard.realserver.tool import ToolError, run

TABLE: Final = "lvsguard_arp"


async def read() -> frozenset[ArpRule]:
    """The rules in the table; empty when there is no table. Raises ToolError."""
    try:
        listing = await run(("nft", "-j", "list", "table", "arp", TABLE))
    except ToolError as error:
        if "No such file" in error.output:
            return frozenset()
        raise
    return parse(listing)


async def replace(rules: frozenset[ArpRule]) -> None:
    """Make the table hold exactly these rules, or go when there are none. Raises ToolError."""
    await run(("nft", "-f", "-"), stdin=render(rules))


def render(rules: frozenset[ArpRule]) -> str:
    """The transaction in nft(8)'s language. The first line makes the delete succeed always."""
    lines = [f"table arp {TABLE}", f"delete table arp {TABLE}"]
    if rules:
        drops = sorted(rule.vip for rule in rules if rule.rip is None)
        sends = sorted((rule.vip, rule.rip) for rule in rules if rule.rip is not None)
        lines += [
            f"table arp {TABLE} {{",
            "\tchain input {",
            "\t\ttype filter hook input priority 0; policy accept;",
            *(f"\t\tarp daddr ip {vip} drop" for vip in drops),
            "\t}",
            "\tchain output {",
            "\t\ttype filter hook output priority 0; policy accept;",
            *(f"\t\tarp saddr ip {vip} arp saddr ip set {rip}" for vip, rip in sends),
            "\t}",
            "}",
        ]
    return "\n".join(lines) + "\n"


def parse(listing: str) -> frozenset[ArpRule]:
    """Rules of our shape in the output of ``nft -j list table`` (libnftables-json(5)).

    Raises ToolError when it is no such output.
    """
    try:
        entries = json.loads(listing)["nftables"]
        hooks = {
            entry["chain"]["name"]: entry["chain"].get("hook")
            for entry in entries
            if "chain" in entry
        }
        rules = [entry["rule"] for entry in entries if "rule" in entry]
        found = (_rule(hooks.get(rule["chain"]), rule["expr"]) for rule in rules)
        return frozenset(rule for rule in found if rule is not None)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ToolError(
            f"nft -j list table arp {TABLE} printed something unexpected ({error!r}):"
            " an nft with JSON support, 0.9 or later, is needed; or use --arp sysctl"
        ) from error


def _rule(hook: str | None, expressions: object) -> ArpRule | None:
    parts = list(_parts(expressions))
    match (hook, parts):
        case ("input", [("match", "daddr ip", vip), ("drop", _, _)]):
            return ArpRule(IPv4Address(vip))
        case ("output", [("match", "saddr ip", vip), ("mangle", "saddr ip", rip)]):
            return ArpRule(IPv4Address(vip), IPv4Address(rip))
    return None


def _parts(expressions: object) -> Iterator[tuple[str, str, str]]:
    """Statement, ARP field and value of each expression; counters say nothing and are skipped."""
    for expression in cast("list[dict[str, object]]", expressions):
        match expression:
            case {
                "match": {
                    "op": "==",
                    "left": {"payload": {"protocol": "arp", "field": str(field)}},
                    "right": str(value),
                }
            }:
                yield "match", field, value
            case {
                "mangle": {
                    "key": {"payload": {"protocol": "arp", "field": str(field)}},
                    "value": str(value),
                }
            }:
                yield "mangle", field, value
            case {"counter": _}:
                pass
            case _:
                yield next(iter(expression), ""), "", ""
