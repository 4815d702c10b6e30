"""What the suite reads out of pytest's own report."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.lab import suite

if TYPE_CHECKING:
    from pathlib import Path

TESTS = """\
import pytest

@pytest.mark.parametrize("odd", ["a b", "x[1]"])
def test_parameters(odd):
    assert odd == "x[1]"

def test_well():
    pass

@pytest.fixture
def broken():
    yield
    assert False

def test_fails_and_so_does_its_fixture(broken):
    assert False

class TestOfAClass:
    def test_method(self):
        assert False

def test_skipped():
    pytest.skip("not here")
"""


@pytest.mark.slow
def test_failures_are_named_so_that_pytest_finds_them(tmp_path: Path) -> None:
    (tmp_path / "rooms").mkdir()
    (tmp_path / "rooms/test_it.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    pytest_ = [sys.executable, "-m", "pytest", "-q", "--junitxml=one.xml", "-o"]
    pytest_ += ["junit_family=xunit1", "-p", "no:cacheprovider"]
    subprocess.run(pytest_, cwd=tmp_path, check=False, capture_output=True)

    failed = suite.failed(tmp_path / "one.xml")

    assert failed == [
        "rooms/test_it.py::TestOfAClass::test_method",
        "rooms/test_it.py::test_fails_and_so_does_its_fixture",
        "rooms/test_it.py::test_parameters[a b]",
    ]
    again = subprocess.run([*pytest_, *failed], cwd=tmp_path, check=False, capture_output=True)
    assert again.returncode == 1
    assert suite.failed(tmp_path / "one.xml") == failed


def test_a_report_that_was_never_written_names_nothing(tmp_path: Path) -> None:
    assert suite.failed(tmp_path / "none.xml") == []
