"""A daemon's operations behind a real socket, and journals in real files."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from lvsguard.admin.journal import Journal, Limits
from lvsguard.admin.server import AdminServer
from lvsguard.core.event import StateTrouble
from tests.support.published import Desk
from tests.unit.admin.journals import QUICK, Open


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def socket_path() -> Iterator[Path]:
    # pytest's own folders are too long for a socket's name (unix(7): 108 bytes).
    folder = Path(tempfile.mkdtemp(prefix="lvsguard-"))
    yield folder / "admin.sock"
    shutil.rmtree(folder)


@pytest.fixture
async def server(desk: Desk, socket_path: Path) -> AsyncIterator[AdminServer]:
    server = AdminServer(desk, socket_path, "root")
    await server.open()
    yield server
    await server.close()


@pytest.fixture
def reports() -> list[StateTrouble]:
    """What journals told of their file."""
    return []


@pytest.fixture
async def opened(tmp_path: Path, reports: list[StateTrouble]) -> AsyncIterator[Open]:
    """Opens journals, which are closed at the end."""
    journals = []

    async def open_journal(directory: Path | None = tmp_path, limits: Limits = QUICK) -> Journal:
        journal = Journal(directory, reports.append, limits=limits)
        journals.append(journal)
        await journal.open()
        return journal

    yield open_journal
    for journal in journals:
        await journal.close()
