"""A daemon's operations behind a real socket."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from lvsguard.admin.server import AdminServer
from tests.support.published import Desk


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
