"""The journal on real disks that fail, and in a process that is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lvsguard.admin.journal import Journal

pytestmark = pytest.mark.slow


ROOT = Path(__file__).resolve().parents[3]
SCENARIO = [sys.executable, "-m", "tests.unit.admin.scenarios"]


def namespaced(directory: Path, scenario: str) -> list[dict[str, Any]]:
    """Run a scenario on a tmpfs of 256 kB in a mount namespace of its own."""
    unshare = ["unshare", "--mount"] + (["--user", "--map-root-user"] if os.geteuid() else [])
    if (
        not shutil.which("unshare")
        or subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("needs unshare (util-linux) and the right to make a mount namespace")
    script = f'mount -t tmpfs -o size=256k tmpfs {directory} && exec "$@"'
    command = [*unshare, "sh", "-c", script, "sh", *SCENARIO, scenario, str(directory)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_full_disk_costs_durability_until_there_is_space(tmp_path: Path) -> None:
    facts = namespaced(tmp_path, "full")
    assert facts[0] == {"step": "well", "durable": True}
    trouble, full, recovery, again, restart = facts[1:]
    assert "full" in trouble["trouble"]
    assert "make space" in trouble["trouble"]
    assert full["durable"] is False
    assert recovery["ok"] is True
    assert again["overrides"] == restart["overrides"] == full["held"]
    assert restart["events"] == full["held"] - 1


def test_a_start_on_a_readonly_disk_reads_and_says_so(
    tmp_path: Path,
) -> None:
    facts = namespaced(tmp_path, "readonly")
    told = [fact["step"] for fact in facts if "step" in fact]
    assert told == ["start", "readonly", "again", "restart"]
    by_step = {fact["step"]: fact for fact in facts if "step" in fact}
    assert by_step["readonly"]["durable"] is False
    assert by_step["start"] == {"step": "start", "overrides": 1, "durable": False}
    assert [fact["ok"] for fact in facts if "trouble" in fact] == [False, True]
    assert by_step["restart"]["overrides"] == 2


@pytest.fixture
def killed(tmp_path: Path) -> list[int]:
    """Numbers of the overrides that were acknowledged before SIGKILL."""
    with subprocess.Popen(
        [*SCENARIO, "killed", str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(40)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    return [json.loads(line)["acknowledged"] for line in lines if line.endswith("\n")]


async def test_an_acknowledged_override_survives_sigkill(killed: list[int], tmp_path: Path) -> None:
    reports: list[object] = []
    journal = Journal(tmp_path, reports.append)
    await journal.open()
    kept = {
        int(o.target.address) - int(journal.overrides()[0].target.address)
        for o in journal.overrides()
    }
    await journal.close()
    assert len(killed) >= 40
    assert set(killed) <= kept
    assert reports == []
