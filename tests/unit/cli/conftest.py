"""A daemon's operations behind a real socket, in a thread of its own."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lvsguard.admin.server import AdminServer
from lvsguard.cli.main import main
from lvsguard.core.event import Event
from tests.support.published import Desk


@dataclass
class Served:
    """A desk, its socket, and the loop that serves it."""

    socket: Path
    desk: Desk = field(default_factory=Desk)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self) -> None:
        """The daemon stops."""
        self.loop.call_soon_threadsafe(self.stop.set)

    def happen(self, event: Event, at: float) -> None:
        """Something happens, on the daemon's side."""
        self.loop.call_soon_threadsafe(self.desk.happen, event, at)


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command line did."""

    status: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def served() -> Iterator[Served]:
    folder = Path(tempfile.mkdtemp(prefix="lvsguard-"))
    served = Served(folder / "admin.sock")
    ready = threading.Event()

    async def serve() -> None:
        server = AdminServer(served.desk, served.socket, "root")
        await server.open()
        ready.set()
        await served.stop.wait()
        await server.close()
        await asyncio.sleep(0.05)  # connections that were aborted have their end, too

    def work() -> None:
        asyncio.set_event_loop(served.loop)
        served.loop.run_until_complete(serve())
        served.loop.close()

    thread = threading.Thread(target=work)
    thread.start()
    assert ready.wait(10)
    yield served
    if thread.is_alive():
        served.end()
    thread.join()
    shutil.rmtree(folder)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command line in this process, as in a pipe, without colours and variables."""
    for name in ("LVSGUARD_SOCKET", "LVSGUARD_CONFIG", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def run_command(*argv: str) -> Ran:
        try:
            status = main(argv)
        except SystemExit as error:
            status = int(error.code or 0)
        out, err = capsys.readouterr()
        return Ran(status, out, err)

    return run_command
