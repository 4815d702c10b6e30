"""What is left of a lab test that failed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import run
from tests.support.topology_tape import FILES, MEGABYTES

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

PLAY = Path(__file__).with_name("director_play.py")


def play(place: Path, picked: str) -> tuple[str, Path]:
    """Run tests of the play; what pytest said, and the folder of artifacts."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", picked, str(PLAY)],
        env={**os.environ, "LVSGUARD_ARTIFACTS": str(place), "LVSGUARD_KEEP_ARTIFACTS": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout, place / "artifacts" / "director_play.py"


def test_a_failing_test_of_the_director_leaves_packets_tables_and_logs(tmp_path: Path) -> None:
    said, folder = play(tmp_path, "that")
    assert "1 failed, 2 passed" in said, said
    left = folder / "test_that_fails"
    tables = (left / "director1.tables.txt").read_text()
    _, _, listed = tables.partition("# ipvsadm -Ln\n")
    assert "TCP  10.0.0.8:80 rr" in listed
    assert "10.0.0.42:80" in listed
    captures = sorted(left.glob("switch.pcap*"))
    assert 1 <= len(captures) <= FILES
    assert sum(file.stat().st_size for file in captures) <= FILES * MEGABYTES * 1e6 + 1e5
    shown = [run(["tcpdump", "-nn", "-r", str(file)]).stdout for file in captures]
    assert "> 10.0.0.8.9: UDP, length 1009" in "".join(shown)
    assert "started" in (folder / "director1.lvsguard.log").read_text()
    assert not list(folder.parent.glob("**/test_that_passes*"))


def test_tests_that_pass_leave_nothing(tmp_path: Path) -> None:
    said, folder = play(tmp_path, "passes")
    assert "2 passed" in said, said
    assert not folder.exists()
