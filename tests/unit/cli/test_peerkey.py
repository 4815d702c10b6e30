"""peer-key: a file for its owner alone, never written over by chance."""

from __future__ import annotations

from pathlib import Path

import pytest

from lvsguard.credential import Credential
from tests.unit.cli.conftest import Run


def test_it_writes_a_credential_for_its_owner_alone(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "new" / "peer.pem"
    done = run("peer-key", "-o", str(file))
    assert (done.status, done.err) == (0, "")
    assert file.stat().st_mode & 0o777 == 0o600
    assert Credential(file.read_bytes()).fingerprint in done.out
    assert list(file.parent.iterdir()) == [file]


def test_a_file_that_exists_is_kept_unless_forced(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "peer.pem"
    file.write_text("precious")
    refused = run("peer-key", "-o", str(file))
    assert (refused.status, file.read_text()) == (1, "precious")
    assert "copy that to the other directors" in refused.err
    assert run("peer-key", "-o", str(file), "--force").status == 0
    Credential(file.read_bytes())


def test_it_can_be_printed(run: Run) -> None:
    Credential(run("peer-key", "-o", "-").out.encode())


def test_without_openssl_it_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    refused = run("peer-key", "-o", "-")
    assert (refused.status, refused.out) == (1, "")
    assert "apt-get install openssl" in refused.err


def test_a_place_that_cannot_be_written_is_told(run: Run) -> None:
    refused = run("peer-key", "-o", "/proc/lvsguard/peer.pem")
    assert refused.status == 1
    assert "name another with -o" in refused.err
