"""ARP rules in the words of arptables and nft: written, read back, and told from others'."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsguard.realserver import arptables, nftables
from lvsguard.realserver.model import ArpRule
from lvsguard.realserver.tool import ToolError, run

GOLDEN = Path(__file__).parents[2] / "golden/realserver"
VIP, OTHER, RIP = (IPv4Address(f"10.0.0.{last}") for last in (8, 9, 42))
RULES = frozenset({ArpRule(VIP), ArpRule(VIP, RIP), ArpRule(OTHER), ArpRule(OTHER, RIP)})

addresses = st.ip_addresses(v=4)
rules = st.frozensets(st.builds(ArpRule, addresses, st.none() | addresses), max_size=6)


@pytest.mark.parametrize("name", ["arptables-nft", "arptables-legacy"])
def test_both_arptables_list_the_rules_in_a_way_that_is_read_back(name: str) -> None:
    listing = (GOLDEN / f"{name}.txt").read_text()
    assert arptables.parse(listing) == {ArpRule(VIP), ArpRule(VIP, RIP)}


@given(rules)
def test_what_arptables_lists_of_our_rules_is_read_back(wanted: frozenset[ArpRule]) -> None:
    chains: dict[str, list[str]] = {"INPUT": [], "OUTPUT": []}
    for rule in wanted:
        chain, *words = arptables.arguments(rule)
        chains[chain].append(" ".join(words))
    listing = "\n".join(
        line
        for chain, found in chains.items()
        for line in (f"Chain {chain} (policy ACCEPT)", *found)
    )
    assert arptables.parse(listing) == wanted


@pytest.mark.parametrize(
    "line",
    [
        "-j DROP -d 10.0.0.8 -i eth0",
        "-j ACCEPT -d 10.0.0.8",
        "-j DROP -d 10.0.0.0/24",
        "-j DROP ! -d 10.0.0.8",
        "-j DROP -s 10.0.0.8",
        "-j DROP",
        "-d",
    ],
)
def test_a_rule_that_says_more_or_less_is_somebody_elses(line: str) -> None:
    assert not arptables.parse(f"Chain INPUT (policy ACCEPT)\n{line}\n")


def test_a_rule_in_another_chain_is_somebody_elses() -> None:
    assert not arptables.parse("Chain FORWARD (policy ACCEPT)\n-j DROP -d 10.0.0.8\n")


@given(st.text(max_size=300))
def test_any_listing_is_read_without_failing(text: str) -> None:
    arptables.parse("Chain INPUT (policy ACCEPT)\n" + text)


def test_the_table_is_replaced_in_one_transaction() -> None:
    assert nftables.render(RULES) == (GOLDEN / "lvsguard_arp.nft").read_text()


def test_no_rules_means_no_table() -> None:
    assert nftables.render(frozenset()) == "table arp lvsguard_arp\ndelete table arp lvsguard_arp\n"


def test_the_table_as_nft_lists_it_is_read_back() -> None:
    assert nftables.parse((GOLDEN / "lvsguard_arp.json").read_text()) == RULES


def test_rules_of_another_shape_in_the_table_do_not_count() -> None:
    document = json.loads((GOLDEN / "lvsguard_arp.json").read_text())
    for entry in document["nftables"]:
        if "rule" in entry:
            entry["rule"]["expr"].insert(0, {"match": {"op": "!=", "left": {}, "right": "x"}})
    assert nftables.parse(json.dumps(document)) == frozenset()


def test_a_chain_that_is_not_hooked_guards_nothing() -> None:
    document = json.loads((GOLDEN / "lvsguard_arp.json").read_text())
    for entry in document["nftables"]:
        entry.get("chain", {}).pop("hook", None)
    assert nftables.parse(json.dumps(document)) == frozenset()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["nftables", "chain", "rule", "expr", "match", "mangle", "name", "key"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_an_unexpected_listing_is_an_error_and_never_a_rule(value: object) -> None:
    with contextlib.suppress(ToolError):
        assert nftables.parse(json.dumps(value)) == frozenset()


@pytest.mark.parametrize("listing", ["", "[]", "{}", '{"nftables": 1}', "[" * 5000])
def test_a_listing_that_is_none_says_what_to_do(listing: str) -> None:
    with pytest.raises(ToolError, match="or use --arp sysctl"):
        nftables.parse(listing)


@pytest.mark.skipif(shutil.which("nft") is None, reason="nft is not installed")
def test_nft_accepts_the_transaction() -> None:
    argv = ("unshare", "-rn", "nft", "-c", "-f", "-")
    done = subprocess.run(
        argv, input=nftables.render(RULES), text=True, capture_output=True, check=False
    )
    if "not supported" in done.stderr or "not permitted" in done.stderr:
        pytest.skip(f"this kernel does not let nft check the arp family: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr


async def test_a_tool_that_is_not_installed_is_named_with_its_package() -> None:
    with pytest.raises(ToolError, match="no-such-tool is not installed") as caught:
        await run(("no-such-tool",))
    assert caught.value.missing


async def test_a_tool_that_fails_tells_what_it_said() -> None:
    with pytest.raises(ToolError, match=r"failed \(exit 2\): .*nosuchfile") as caught:
        await run(("ls", "/nosuchfile"))
    assert "nosuchfile" in caught.value.output


async def test_a_tool_gets_its_input_and_no_shell() -> None:
    assert await run(("cat",), stdin="$HOME `id`\n") == "$HOME `id`\n"
