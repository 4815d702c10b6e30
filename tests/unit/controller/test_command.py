"""Commands that a priority depends on: no shell, an end in time, nothing left behind."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from lvsguard.controller.command import Command


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has reaped yet has."""
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


async def until_gone(pid: int) -> None:
    for _ in range(200):
        if gone(pid):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{pid} still runs after 2 s")


async def test_it_is_well_when_it_ends_with_0() -> None:
    assert (await Command(["/bin/true"], 5).look()).well is True


async def test_it_is_not_well_when_it_ends_otherwise() -> None:
    found = await Command(["/bin/sh", "-c", "exit 7"], 5).look()
    assert (found.well, found.why) == (False, "command /bin/sh ended with status 7")


async def test_a_signal_is_told() -> None:
    found = await Command(["/bin/sh", "-c", "kill -9 $$"], 5).look()
    assert (found.well, found.why) == (False, "command /bin/sh ended by signal 9")


@pytest.mark.parametrize("argv", [["/nonexistent/healthy"], ["/etc/passwd"], ["/bin/tr\0ue"]])
async def test_one_that_cannot_be_run_is_not_well(argv: list[str]) -> None:
    found = await Command(argv, 5).look()
    assert found.well is False
    assert "cannot be run" in found.why


async def test_no_shell_reads_its_words(tmp_path: Path) -> None:
    words = ["/bin/echo", f"x; touch {tmp_path}/a", f"$(touch {tmp_path}/b)"]
    assert (await Command(words, 5).look()).well is True
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="precedence is taken by root only")
async def test_it_does_not_inherit_precedence(tmp_path: Path) -> None:
    script = f"sleep 0.2; nice >{tmp_path}/nice"
    before = os.getpriority(os.PRIO_PROCESS, 0)
    os.setpriority(os.PRIO_PROCESS, 0, -3)
    try:
        assert (await Command(["/bin/sh", "-c", script], 5).look()).well is True
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)
    assert (tmp_path / "nice").read_text() == "0\n"


async def test_one_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sleep 60 & echo $$ $! > {pids}; wait"
    begun = time.monotonic()
    found = await Command(["/bin/sh", "-c", script], 0.3).look()
    assert time.monotonic() - begun < 2
    assert (found.well, found.why) == (False, "command /bin/sh was killed after 0.3 s")
    for pid in map(int, pids.read_text().split()):
        await until_gone(pid)


async def test_a_flood_of_output_goes_nowhere() -> None:
    flood = "import os; [os.write(2, b'x' * 65536) for _ in range(1000)]"
    assert (await Command([sys.executable, "-c", flood], 10).look()).well is True


async def test_the_loop_goes_on_meanwhile() -> None:
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.01)
            turns += 1

    turning = asyncio.create_task(turn())
    await Command(["/bin/sleep", "0.3"], 5).look()
    turning.cancel()
    assert turns >= 10


async def test_nothing_is_left_when_the_caller_is_cancelled(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    command = Command(
        ["/bin/sh", "-c", f"echo $$ > {file}.new; mv {file}.new {file}; sleep 60"], 60
    )
    looking = asyncio.create_task(command.look())
    for _ in range(200):
        if file.exists():
            break
        await asyncio.sleep(0.01)
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    await until_gone(int(file.read_text()))


async def test_it_gets_no_descriptor_of_ours(tmp_path: Path) -> None:
    file = tmp_path / "fds"
    with (tmp_path / "ours").open("w") as ours:
        os.set_inheritable(ours.fileno(), False)
        await Command(["/bin/sh", "-c", f"ls /proc/$$/fd > {file}"], 5).look()
    assert set(file.read_text().split()) <= {"0", "1", "2", "3", "10"}
