"""Fixtures of the lab: the seed network, and a folder that is kept when a test fails."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.director_seed import Seed, seed_under_lvsguard
from tests.support.stillness import Stillness, stillness
from tests.support.topology import Network, seed_network
from tests.support.topology_tape import Tape, record

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

_failed = pytest.StashKey[bool]()
_tape = pytest.StashKey["Tape | None"]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember for the fixtures' ends whether the test, and so one of its module, failed."""
    report = yield
    for node in (item, item.getparent(pytest.Module)):
        if node is not None:
            node.stash[_failed] = node.stash.get(_failed, False) or report.failed
    return report


@pytest.fixture
def artifacts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder for logs and captures; it stays after a failure (or LVSGUARD_KEEP_ARTIFACTS=1)."""
    with _artifacts(request.node, tmp_path) as folder:
        yield folder


@pytest.fixture
def network(request: pytest.FixtureRequest, artifacts: Path) -> Iterator[Network]:
    """The seed network with two realservers; another number by indirect parametrization."""
    with (
        seed_network(artifacts, getattr(request, "param", 2)) as network,
        _taped(request.node, network) as tape,
    ):
        yield network
        if request.node.stash.get(_failed, False):
            _save(network, tape, artifacts)


@pytest.fixture
def still(tmp_path: Path) -> Iterator[Stillness]:
    """How long the guest itself stood still during the test: a bound in seconds allows for it."""
    with stillness(tmp_path) as watched:
        yield watched


@pytest.fixture(scope="module")
def shared_network(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Network]:
    """One seed network for a whole file, for tests that leave it as they found it."""
    with (
        _artifacts(request.node, tmp_path_factory.mktemp("shared")) as folder,
        seed_network(folder, getattr(request, "param", 2)) as network,
        _taped(request.node, network) as tape,
    ):
        request.node.stash[_tape] = tape
        yield network
        if request.node.stash.get(_failed, False):  # a fixture of the file may have failed, too
            _save(network, tape, folder)


@pytest.fixture(autouse=True)
def _evidence(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where a file shares its network, each test that fails leaves what it was then."""
    if "shared_network" not in request.fixturenames:
        yield
        return
    network: Network = request.getfixturevalue("shared_network")
    yield
    if request.node.stash.get(_failed, False):
        folder = network.artifacts / _name(request.node.name)
        folder.mkdir(exist_ok=True)
        _save(network, request.node.getparent(pytest.Module).stash[_tape], folder)


@pytest.fixture(scope="module")
def shared_seed(shared_network: Network) -> Iterator[Seed]:
    """The seed's service under lvsguard, for a whole file; ask for `seed`."""
    with seed_under_lvsguard(shared_network) as seed:
        yield seed


@pytest.fixture
def seed(shared_seed: Seed) -> Seed:
    """The seed's service under lvsguard, running, with both realservers in."""
    shared_seed.settle()
    return shared_seed


@contextlib.contextmanager
def _taped(node: pytest.Item | pytest.Collector, network: Network) -> Iterator[Tape | None]:
    """What passes the switch, in the tests of the director. Those of elections and detectors are
    about milliseconds, which a capture costs, and make their own where they look at packets."""
    if "director" not in node.nodeid:
        yield None
        return
    tape = record(network)
    yield tape
    tape.erase()


def _save(network: Network, tape: Tape | None, folder: Path) -> None:
    network.save_tables(folder)
    if tape is not None:
        tape.cut(folder)


def _name(text: str) -> str:
    return re.sub(r"[^\w.-]+", "_", text)


@contextlib.contextmanager
def _artifacts(node: pytest.Item | pytest.Collector, otherwise: Path) -> Iterator[Path]:
    kept = Path(os.environ.get("LVSGUARD_ARTIFACTS", otherwise)) / "artifacts"
    folder = kept / _name(node.nodeid.removeprefix("tests/lab/"))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield folder
    if not node.stash.get(_failed, False) and os.environ.get("LVSGUARD_KEEP_ARTIFACTS") != "1":
        shutil.rmtree(folder, ignore_errors=True)
