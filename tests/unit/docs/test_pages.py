"""The pages hold together: every link leads somewhere, every config in them loads."""

from __future__ import annotations

import argparse
import re
from ipaddress import ip_interface
from pathlib import Path

import pytest

from lvsguard.cli.main import build_parser
from lvsguard.config.load import loads
from lvsguard.realserver import nftables
from lvsguard.telemetry.catalog import CATALOG
from tests.support.documents import CHECKOUT, anchors, blocks, links, pages, typed

REST = {
    "[director]": '[director]\ninterface = "eth0"',
    "[[vip]]": '[[vip]]\nname = "web"\naddresses = ["10.0.0.8/24"]',
    "[[service]]": (
        '[[service]]\nname = "web"\naddress = "10.0.0.8:80"\n'
        'realserver = [{ address = "10.0.0.42" }]'
    ),
}
NETWORK = {"eth0": [ip_interface("10.0.0.41/24")]}
PAGES = [str(page.relative_to(CHECKOUT)) for page in pages()]
OURS = [page for page in PAGES if page == "README.md" or page.startswith("docs/")]
_COMMAND = re.compile(r"^(?:\w+# )?(?:sudo )?lvsguard ((?:[a-z][a-z-]* ?)+)", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file_and_a_heading_that_exist(page: str) -> None:
    here = CHECKOUT / page
    broken = []
    for link in links(here.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = here.parent / path if path else here
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", OURS)
def test_every_config_in_it_loads(page: str) -> None:
    """A part of a config is taken together with the rest of the seed network's."""
    for block in blocks((CHECKOUT / page).read_text()):
        if block.language == "toml":
            rest = [text for table, text in REST.items() if table not in block.text]
            whole = "\n".join([block.text, *rest])
            # The key files that it may name lie on directors.
            loads(whole, director="director1", interfaces=NETWORK, elsewhere=True)


@pytest.mark.parametrize("page", OURS)
def test_every_command_in_it_exists(page: str) -> None:
    """Options are proven where the page is played (tests/lab/test_docs.py) or read."""
    known = set(_commands())
    for block in blocks((CHECKOUT / page).read_text()):
        for match in _COMMAND.finditer(block.text):
            words = match[1].split()
            assert {" ".join(words[:1]), " ".join(words[:2])} & known, match[0]


@pytest.mark.parametrize("page", OURS)
def test_every_metric_in_it_exists(page: str) -> None:
    known = {metric.name for metric in CATALOG} | {nftables.TABLE}
    text = (CHECKOUT / page).read_text()
    named = set(re.findall(r"\blvsguard_[a-z_]+[a-z]\b", text))
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in named} - known == set()


def test_every_page_of_docs_can_be_reached_from_its_index() -> None:
    index = CHECKOUT / "docs/README.md"
    linked = {(index.parent / link).resolve() for link in links(index.read_text())}
    assert {page for page in pages() if page.is_relative_to(index.parent)} - linked == {index}


def test_what_is_typed_is_found_with_what_it_shows() -> None:
    page = "text\n  ```console\n  rs1# a \\\n    b\n  c ... d\n  client# e\n  ```\n```\nno\n```\n"
    first, second = typed(page)
    assert (first.line, first.host, first.command) == (3, "rs1", "a    b")
    assert first.agrees("c x\ny d\n")
    assert not first.agrees("c d")
    assert second.shown == ""


def _commands() -> list[str]:
    """Every command as the parser has them, `realserver up` among them."""
    return [command for command in _below(build_parser(), "") if command]


def _below(parser: argparse.ArgumentParser, path: str) -> list[str]:
    found = [path.strip()]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                found += _below(child, f"{path} {name}")
    return found


def test_no_page_names_a_path_of_the_authors_machine() -> None:
    for page in pages():
        assert "/work/" not in Path(page).read_text(), page
