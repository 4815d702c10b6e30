"""The files in deploy/: systemd takes them, and they say nothing that the program does not know."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lvsguard.cli.main import build_parser
from lvsguard.kernel.sysctl import canonical

DEPLOY = Path(__file__).parents[3] / "deploy"
UNITS = sorted(DEPLOY.glob("systemd/*.service"))
PROGRAM = "/usr/bin/lvsguard"


def needs(tool: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        shutil.which(tool) is None, reason=f"{tool} is not installed (apt install systemd)"
    )


def settings(unit: Path) -> Iterator[tuple[str, str]]:
    for line in unit.read_text().splitlines():
        if line and line[0] not in "#[":
            name, _, value = line.partition("=")
            yield name, value


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def test_there_is_a_unit_for_each_side() -> None:
    assert [unit.name for unit in UNITS] == ["lvsguard-realserver.service", "lvsguard.service"]


@needs("systemd-analyze")
def test_systemd_finds_nothing_to_say_about_the_units(tmp_path: Path) -> None:
    copies = []
    for unit in UNITS:
        copy = tmp_path / unit.name
        # verify wants the program to be there.
        copy.write_text(unit.read_text().replace(PROGRAM, "/bin/true"))
        copies.append(str(copy))
    done = run("systemd-analyze", "verify", "--man=no", *copies)
    ours = [line for line in done.stderr.splitlines() if "lvsguard" in line]
    assert not ours


@needs("systemd-analyze")
@pytest.mark.parametrize(("name", "exposure"), [("lvsguard", 26), ("lvsguard-realserver", 20)])
def test_exposure_stays_at_ok(name: str, exposure: int) -> None:
    """In tenths, as --threshold counts; "OK" ends at 49."""
    done = run(
        "systemd-analyze",
        "security",
        "--offline=true",
        "--no-pager",
        f"--threshold={exposure}",
        str(DEPLOY / "systemd" / f"{name}.service"),
    )
    assert done.returncode == 0, done.stdout[-400:]
    assert " OK " in done.stdout


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_every_command_in_a_unit_is_one_that_the_program_knows(unit: Path) -> None:
    commands = [value for name, value in settings(unit) if name.startswith("Exec")]
    assert len(commands) >= 2
    for command in commands:
        program, *words = shlex.split(command)
        assert program == PROGRAM
        build_parser().parse_args([word for word in words if not word.startswith("$")])


def test_every_example_in_the_defaults_is_one_that_the_program_knows() -> None:
    text = (DEPLOY / "default/lvsguard-realserver").read_text()
    examples = re.findall(r'^# LVSGUARD_REALSERVER="(.*)"$', text, re.MULTILINE)
    assert len(examples) == 2
    for example in examples:
        build_parser().parse_args(["realserver", "up", *shlex.split(example)])
    unit = (DEPLOY / "systemd/lvsguard-realserver.service").read_text()
    assert "EnvironmentFile=-/etc/default/lvsguard-realserver" in unit


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("lvsguard", {"CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_NICE"}),
        ("lvsguard-realserver", {"CAP_NET_ADMIN", "CAP_NET_RAW"}),
    ],
)
def test_a_unit_runs_unprivileged_with_the_capabilities_it_needs(
    name: str, wanted: set[str]
) -> None:
    found = dict(settings(DEPLOY / "systemd" / f"{name}.service"))
    assert found["User"] == "lvsguard"
    assert set(found["CapabilityBoundingSet"].split()) == wanted
    assert set(found["AmbientCapabilities"].split()) == wanted


def test_only_arp_settings_and_redirects_are_set_at_boot() -> None:
    names = set()
    for file in DEPLOY.glob("sysctl.d/*.conf"):
        for line in file.read_text().splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.partition("=")
                assert value.strip().isdigit()
                names.add(canonical(name.strip()))
    assert names == {
        "net/ipv4/conf/all/arp_ignore",
        "net/ipv4/conf/all/arp_announce",
        "net/ipv4/conf/all/send_redirects",
        "net/ipv4/conf/default/send_redirects",
    }
    for name in names:
        assert (Path("/proc/sys") / name).exists()


@needs("systemd-sysusers")
@needs("systemd-tmpfiles")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give directories to a user")
def test_user_and_directories_are_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    made = run("systemd-sysusers", f"--root={tmp_path}", str(DEPLOY / "sysusers.d/lvsguard.conf"))
    assert made.returncode == 0, made.stderr
    entry = next(
        line.split(":")
        for line in (tmp_path / "etc/passwd").read_text().splitlines()
        if line.startswith("lvsguard:")
    )
    assert entry[6].endswith("nologin")
    file = str(DEPLOY / "tmpfiles.d/lvsguard.conf")
    made = run("systemd-tmpfiles", f"--root={tmp_path}", "--create", file)
    assert made.returncode == 0, made.stderr
    assert not made.stderr
    for path, mode, owner in (
        ("etc/lvsguard", 0o755, 0),
        ("run/lvsguard", 0o750, int(entry[2])),
        ("var/lib/lvsguard", 0o750, int(entry[2])),
    ):
        status = (tmp_path / path).stat()
        assert (status.st_mode & 0o777, status.st_uid) == (mode, owner), path


def test_modules_are_plain_names() -> None:
    for file in DEPLOY.glob("modules-load.d/*.conf"):
        lines = file.read_text().splitlines()
        names = [line for line in lines if line and not line.startswith("#")]
        assert names
        assert all(re.fullmatch(r"[a-z_]+", name) for name in names)
