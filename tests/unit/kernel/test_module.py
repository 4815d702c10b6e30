"""Modules are asked for by exec; what modprobe says comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from lvsguard.kernel.module import load


def put_modprobe(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a modprobe of our own the first one found."""
    program = folder / "modprobe"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


async def test_a_module_is_named_behind_the_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_modprobe(tmp_path, f'echo "$@" > {tmp_path}/said', monkeypatch)
    assert await load("ip_vs_rr") is None
    assert (tmp_path / "said").read_text() == "-- ip_vs_rr\n"


async def test_a_failure_is_what_modprobe_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_modprobe(tmp_path, "echo 'FATAL: Module ip_vs not found.' >&2; exit 1", monkeypatch)
    assert await load("ip_vs") == "FATAL: Module ip_vs not found."


async def test_a_silent_failure_has_its_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_modprobe(tmp_path, "exit 3", monkeypatch)
    assert await load("ip_vs") == "status 3"


async def test_a_program_that_does_not_run_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_modprobe(tmp_path, "", monkeypatch)
    (tmp_path / "modprobe").write_text("#!/nowhere/at/all\n")
    assert "does not run" in str(await load("ip_vs"))


@pytest.mark.parametrize("name", ["", "-r", "../x", "ip_vs;id", "ip_vs rr", "ip_vs\n"])
async def test_what_is_no_module_is_never_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_modprobe(tmp_path, f"touch {tmp_path}/ran", monkeypatch)
    assert "is no name of a module" in str(await load(name))
    assert not (tmp_path / "ran").exists()
