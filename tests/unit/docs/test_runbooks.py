"""The runbooks and the dashboards: what a page names is there, and leads back to it."""

from __future__ import annotations

import re

import pytest

from tests.support import dashboards
from tests.support.dashboards import Panel
from tests.support.day_sights import SIGHTS, Sight
from tests.support.documents import CHECKOUT, links

FOLDER = CHECKOUT / "docs" / "runbooks"
PICTURES = CHECKOUT / "docs" / "pictures"
NAMES = sorted(page.stem for page in FOLDER.glob("*.md") if page.stem != "README")
SECTIONS = ["What you see", "What it means", "What to do", "How to see that it is over"]
PICTURE_BYTES = 150_000
TITLES = {
    str(dashboards.dashboard(name)["title"]).removeprefix("lvsguard / "): name
    for name in dashboards.names()
}
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
def test_a_panel_that_it_names_is_there_and_one_leads_back(name: str) -> None:
    panels = named(name)
    if panels:
        assert any(f"${{runbooks}}/{name}.md" in panel.links for panel in panels)
    else:
        assert not [p for p in dashboards.every_panel() if f"/{name}.md" in "".join(p.links)]


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
