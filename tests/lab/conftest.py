"""Fixtures of the lab: the seed network, and a folder that is kept when a test fails."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.topology import Network, seed_network

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

_failed = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember for the fixtures' ends whether the test failed."""
    report = yield
    item.stash[_failed] = item.stash.get(_failed, False) or report.failed
    return report


@pytest.fixture
def artifacts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder for logs and captures; it stays after a failure (or LVSGUARD_KEEP_ARTIFACTS=1)."""
    kept = Path(os.environ.get("LVSGUARD_ARTIFACTS", tmp_path)) / "artifacts"
    folder = kept / re.sub(r"[^\w.-]+", "_", request.node.nodeid.removeprefix("tests/lab/"))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield folder
    failed = request.node.stash.get(_failed, False)
    if not failed and os.environ.get("LVSGUARD_KEEP_ARTIFACTS") != "1":
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def network(request: pytest.FixtureRequest, artifacts: Path) -> Iterator[Network]:
    """The seed network with two realservers; another number by indirect parametrization."""
    with seed_network(artifacts, getattr(request, "param", 2)) as network:
        yield network
        if request.node.stash.get(_failed, False):
            network.save_tables()
