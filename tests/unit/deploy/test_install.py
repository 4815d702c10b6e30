"""deploy/install puts every file of deploy/ where its README says, for one role at a time."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[3] / "deploy"
OTHER = {"director": "realserver", "realserver": "director"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="gives folders to a user, which only root may"),
    pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd is missing"),
]


def install(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(DEPLOY / "install"), *arguments],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture(params=sorted(OTHER))
def installed(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """The role, and a root it was installed into."""
    done = install(request.param, str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    return request.param, tmp_path


def places(role: str) -> set[str]:
    """Where the README says that a role's files go."""
    found = set()
    for line in (DEPLOY / "README.md").read_text().splitlines():
        if row := re.match(r"\| `(\S+)` \| `/(\S+)` \| (.*) \|", line):
            source, place, who = row.groups()
            if who.startswith(("both", f"{role}s")):
                found.add(f"{place}{Path(source).name}")
    return found


def test_every_file_is_where_the_readme_says(installed: tuple[str, Path]) -> None:
    role, root = installed
    wanted = places(role)
    assert len(wanted) >= 5
    assert {place for place in wanted if not (root / place).is_file()} == set()
    assert not {place for place in places(OTHER[role]) - wanted if (root / place).exists()}


def test_the_command_and_its_pages_are_there(installed: tuple[str, Path]) -> None:
    _, root = installed
    assert (root / "usr/bin/lvsguard").readlink() == Path("/opt/lvsguard/bin/lvsguard")
    assert (root / "usr/share/man/man8/lvsguard.8").is_file()
    assert (root / "etc/lvsguard").is_dir()
    assert (root / "var/lib/lvsguard").stat().st_mode & 0o777 == 0o750


def test_installing_again_keeps_what_an_administrator_wrote(tmp_path: Path) -> None:
    assert install("realserver", str(tmp_path)).returncode == 0
    options = tmp_path / "etc/default/lvsguard-realserver"
    options.write_text('LVSGUARD_REALSERVER="--vip 10.0.0.8"\n')
    assert install("realserver", str(tmp_path)).returncode == 0
    assert options.read_text() == 'LVSGUARD_REALSERVER="--vip 10.0.0.8"\n'


def test_an_unknown_role_is_bad_usage() -> None:
    refused = install("balancer")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "director|realserver" in refused.stderr
