"""The runbooks and the dashboards: what a page names is there, and leads back to it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support import dashboards
from tests.support.dashboards import Panel
from tests.support.day_scenes import SCENES
from tests.support.day_sights import SIGHTS, Sight
from tests.support.documents import CHECKOUT, blocks, links
from tests.support.page_failures import FAILURES
from tests.support.page_stage import playing
from tests.support.page_town import begin, stage
from tests.support.page_words import status
from tests.support.processes import wait_until

FOLDER = CHECKOUT / "docs" / "runbooks"
PICTURES = CHECKOUT / "docs" / "pictures"
NAMES = sorted(page.stem for page in FOLDER.glob("*.md") if page.stem != "README")
SECTIONS = ["What you see", "What it means", "What to do", "How to see that it is over"]
PICTURE_BYTES = 160_000
PAGE_BYTES = 60_000
GOLDEN = CHECKOUT / "tests" / "golden"
TITLES = {
    str(dashboards.dashboard(name)["title"]).removeprefix("lvsguard / "): name
    for name in dashboards.names()
}
_NUMBER = re.compile(r"\b\d+[dhms](?:\d+[hms])?\b|(?<= )\d+(?= )")
_NAMED = re.compile(r"\*([^*/]+)\* / \*\*([^*]+)\*\*")

each_runbook = pytest.mark.parametrize("name", NAMES)


def text(name: str) -> str:
    return (FOLDER / f"{name}.md").read_text()


def named(name: str) -> list[Panel]:
    """Panels that a runbook names as *Dashboard* / **Panel**."""
    return [dashboards.panel(TITLES[found[1]], found[2]) for found in _NAMED.finditer(text(name))]


@each_runbook
def test_a_runbook_says_what_is_seen_what_it_means_what_to_do_and_when_it_is_over(
    name: str,
) -> None:
    assert re.findall(r"^## (.*)$", text(name), re.MULTILINE) == SECTIONS
    assert f"\n`{name}`\n" in text(name)
    alert = "".join(word.capitalize() for word in ("lvsguard", *name.split("-")))
    assert f"\n- Alert: `{alert}`\n" in text(name)


@each_runbook
def test_it_names_panels_that_are_there_and_one_leads_back(name: str) -> None:
    panels = named(name)
    assert panels
    assert any(f"${{runbooks}}/{name}.md" in panel.links for panel in panels)


@each_runbook
def test_it_shows_the_panels_and_the_status_page_in_the_failure(name: str) -> None:
    seen = text(name).partition("\n## What you see\n")[2].partition("\n## ")[0]
    shown = re.findall(r"^!\[([^]]{20,})\]\(\.\./pictures/(.*)\)$", seen, re.MULTILINE)
    assert [picture for _, picture in shown] == [f"{name}.png", f"page-{name}.png"]
    assert all((PICTURES / picture).is_file() for _, picture in shown)
    assert (PICTURES / f"page-{name}.png").stat().st_size < PAGE_BYTES


def test_every_runbook_has_its_failure_on_the_day_and_on_the_stage() -> None:
    assert set(NAMES) == SCENES.keys() == FAILURES.keys()


@each_runbook
def test_what_it_shows_of_why_was_said(name: str) -> None:
    golden = [path.read_text() for path in (GOLDEN / "why").glob("*.txt")]
    for block in blocks(text(name)):
        if block.text.startswith("$ lvsguard why "):
            parts = block.text.strip().split("\n...\n")
            assert any(all(part in whole for part in parts) for whole in golden), block.text


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if "$ lvsguard status\n" in text(name)])
def test_what_it_shows_of_the_status_is_said_in_the_failure(name: str, tmp_path: Path) -> None:
    (block,) = [b for b in blocks(text(name)) if b.text.startswith("$ lvsguard status\n")]
    wanted = {_timeless(line) for line in block.text.splitlines()[1:]} - {"..."}
    failure = FAILURES[name]
    made = stage(failure.config, tmp_path)
    made.peers = (failure.peer(),)
    with playing(made) as played:
        begin(played)
        failure.play(played)

        def said() -> bool:
            return wanted <= {_timeless(line) for line in status(played)}

        wait_until(said, 10, "\n".join(sorted(wanted)), every_s=0.2)


def _timeless(line: str) -> str:
    """Without what another play has otherwise: how long it lasts, and counts of connections."""
    return " ".join(_NUMBER.sub("N", line).split())


@pytest.mark.parametrize("sight", SIGHTS, ids=lambda s: f"{s.runbook}: {s.panel}")
def test_where_a_failure_is_seen_its_runbook_says(sight: Sight) -> None:
    found = [(panel.dashboard, panel.title) for panel in named(sight.runbook)]
    assert (sight.dashboard, sight.panel) in found


def test_the_index_has_all_of_them() -> None:
    linked = {link.removesuffix(".md") for link in links((FOLDER / "README.md").read_text())}
    assert set(NAMES) <= linked


def test_pictures_are_small_and_shown() -> None:
    pages = [*(CHECKOUT / "docs").rglob("*.md"), *CHECKOUT.glob("README.md")]
    pages.append(CHECKOUT / "grafana" / "README.md")
    shown = "".join(page.read_text() for page in pages)
    for picture in PICTURES.iterdir():
        assert picture.stat().st_size < PICTURE_BYTES, picture
        assert f"/{picture.name}" in shown
