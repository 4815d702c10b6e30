"""The programs of the how-to page, run as they stand against a daemon's admin server."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from lvsguard.core.event import Stopping
from lvsguard.core.health import Verdict
from lvsguard.core.override import Override, OverrideKind, Target
from tests.support.documents import CHECKOUT, blocks
from tests.support.published import NOON, RS1, Desk, realserver, service

pytestmark = [pytest.mark.usefixtures("server"), pytest.mark.slow]
PROGRAMS = [
    block.text
    for block in blocks((CHECKOUT / "docs/howto/use-the-python-client.md").read_text())
    if block.language == "python"
]


async def run(program: str, socket_path: Path) -> str:
    """What it prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        "-c",
        program,
        env=os.environ | {"LVSGUARD_SOCKET": str(socket_path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


async def test_it_drains_and_undrains(desk: Desk, socket_path: Path) -> None:
    desk.picture.shown = (
        service(realserver(), realserver("10.0.0.43", name="rs2", verdict=Verdict.DOWN, weight=0)),
    )
    printed = await run(PROGRAMS[0], socket_path)
    assert printed.splitlines() == [
        "web 10.0.0.42 up 1",
        "web 10.0.0.43 down 0",
        "drained: 10.0.0.42",
    ]
    assert [line.kind for line in desk.history_kept] == ["override-set", "override-cleared"]


async def test_it_tells_why(socket_path: Path) -> None:
    printed = (await run(PROGRAMS[1], socket_path)).splitlines()
    assert printed[0] == "rs2 10.0.0.43:80 down"
    assert len(printed) > 1


async def test_it_follows_events(desk: Desk, socket_path: Path) -> None:
    desk.happen(Stopping(keep=True), NOON)
    target = Target(RS1)
    await desk.set_override(Override(target, OverrideKind.DRAIN, "alice", NOON))
    await desk.clear_override(target, OverrideKind.DRAIN, "alice")
    printed = (await run(PROGRAMS[2], socket_path)).splitlines()
    assert [line.split()[1] for line in printed] == ["override-set", "override-cleared"]


async def test_it_tells_refusals(desk: Desk, socket_path: Path) -> None:
    printed = await run(PROGRAMS[3], socket_path)
    assert printed.startswith("unknown-target - no realserver is '10.9.9.9': give an address")
    assert "there is: 10.0.0.42:80 in web, rs2 10.0.0.43:80 in web" in printed
