"""The demo plays here as it does for a person, and fails when something does not hold."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.kernel, pytest.mark.lab]


def play(artifacts: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Play without pauses and without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "tests.lab.demo", "--fast"],
        env={**os.environ, "LVSGUARD_ARTIFACTS": str(artifacts), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )


def test_the_demo_shows_every_scene_in_less_than_two_minutes(artifacts: Path) -> None:
    begun = time.monotonic()
    played = play(artifacts)
    assert time.monotonic() - begun < 110
    assert played.returncode == 0, played.stdout + played.stderr
    assert played.stderr == ""
    headings = [line for line in played.stdout.splitlines() if line.startswith("── ")]
    assert [line.split()[1] for line in headings[1:-1]] == [str(n) for n in range(1, 10)]
    assert {len(line) for line in headings} == {80}
    assert "\x1b" not in played.stdout
    assert "✗" not in played.stdout
    for shown in ("rs1 10.0.0.42:80  down ", "drained by root", "adopted 2 realservers, 0 writes"):
        assert shown in played.stdout


def test_the_demo_fails_when_a_drain_does_nothing(artifacts: Path) -> None:
    """With an lvsguard in front of the real one that only pretends to drain."""
    pretender = artifacts / "bin" / "lvsguard"
    pretender.parent.mkdir()
    pretender.write_text(
        f'#!/bin/sh\n[ "$1" = drain ] && exit 0\nexec {sys.executable} -m lvsguard "$@"\n'
    )
    pretender.chmod(0o755)
    played = play(artifacts, PATH=f"{pretender.parent}:{os.environ['PATH']}")
    assert played.returncode == 1, played.stdout + played.stderr
    *_, told, logs = played.stdout.splitlines()
    assert "6  A drain" in played.stdout
    assert "✗ not within 1 s: the kernel has {'rs1': 0}; it has" in played.stdout
    assert "What was measured" not in played.stdout
    assert logs.split(": ")[0].strip() == "What each program logged", told
