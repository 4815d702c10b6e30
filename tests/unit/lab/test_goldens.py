"""How golden files that a test writes anew in the lab, where nothing stays, come into the tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab import machine
from tests.support import golden
from tests.support.golden import Golden

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of a command in the lab; the folder of its `--out`."""
    monkeypatch.setenv("LVSGUARD_LAB", "1")
    monkeypatch.setenv("LVSGUARD_ARTIFACTS", str(tmp_path / "out"))
    return tmp_path / "out"


def test_they_are_left_under_out_and_brought_to_where_they_belong(
    lab: Path, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "old.txt").write_text("old\n")
    Golden(update=True).check("why-lab/new.txt", "new\n")
    assert not (golden.GOLDEN / "why-lab/new.txt").exists()
    machine.take_goldens(lab, tree)
    assert (tree / "why-lab/new.txt").read_text() == "new\n"
    assert (tree / "old.txt").read_text() == "old\n"
    assert not (lab / "golden").exists(), "the next run brings none of them again"


def test_without_out_the_error_says_what_to_do(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LVSGUARD_ARTIFACTS")
    with pytest.raises(AssertionError, match="give tests/lab/run --out"):
        Golden(update=True).check("why-lab/new.txt", "new\n")


def test_a_run_that_wrote_none_changes_none(tmp_path: Path) -> None:
    machine.take_goldens(tmp_path, tmp_path / "tree")
    assert not (tmp_path / "tree").exists()
