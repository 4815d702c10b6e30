"""Two daemons on one state directory: the second one is refused, and changes nothing there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lvsguard.daemon.claim import StateTaken, claimed


def test_a_state_directory_is_one_daemon_s(tmp_path: Path) -> None:
    directory = tmp_path / "made" / "state"
    with (
        claimed(directory),
        pytest.raises(StateTaken, match=r"systemctl stop.*another \[state\] directory"),
        claimed(directory),
    ):
        pass
    with claimed(directory):
        pass  # the other one has ended


def test_no_child_of_a_daemon_holds_it_on(tmp_path: Path) -> None:
    command = (sys.executable, "-c", "import sys; sys.stdin.read()")
    with claimed(tmp_path):
        child = subprocess.Popen(command, stdin=subprocess.PIPE, close_fds=False)
    try:
        with claimed(tmp_path):
            pass  # the daemon was killed, its child lives
    finally:
        child.communicate()


@pytest.mark.parametrize("where", [None, Path("/dev/null/state")])
def test_a_directory_that_cannot_be_is_the_journal_s_to_tell(where: Path | None) -> None:
    with claimed(where), claimed(where):
        pass


def test_a_second_daemon_is_refused_and_writes_nothing(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        f"""
        [director]
        interface = "lo"
        [[service]]
        name = "web"
        fwmark = 4711
        [[service.realserver]]
        address = "127.0.0.1"
        check = {{ kind = "none" }}
        [admin]
        socket = "{tmp_path}/admin.sock"
        [state]
        directory = "{tmp_path}/state"
        """
    )
    command = (sys.executable, "-m", "lvsguard", "run", "-c", str(config))
    with claimed(tmp_path / "state"):
        ran = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ran.returncode == 1, ran.stderr
    assert "another lvsguard keeps its state in" in ran.stdout + ran.stderr
    assert list((tmp_path / "state").iterdir()) == []
