"""Journals in processes of their own: on a disk that fills up, and under SIGKILL."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from ipaddress import ip_address
from pathlib import Path

from lvsguard.admin.journal import Journal, Limits
from lvsguard.core.event import StateTrouble, Stopping
from lvsguard.core.override import Override, OverrideKind, Target

FIRST = ip_address("10.1.0.0")
QUICK = Limits(retry=(0.05, 0.2))


def override(number: int) -> Override:
    """One of many."""
    return Override(Target(FIRST + number), OverrideKind.DRAIN, "test", time.time(), "x" * 200)


def say(**fact: object) -> None:
    """One fact for the test, at once."""
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()


def tell(trouble: StateTrouble) -> None:
    """What the journal reports."""
    say(trouble=trouble.message, ok=trouble.ok)


async def full(directory: Path) -> None:
    """A disk that fills up and has space again."""
    journal = Journal(directory, tell, limits=QUICK)
    await journal.open()
    say(step="well", durable=(await journal.put(override(0))).durable)
    filler = directory / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            pass
    for number in range(1, 50):
        journal.append(time.time(), Stopping(keep=True))
        kept = await journal.put(override(number))
        if not kept.durable:
            say(step="full", durable=kept.durable, message=kept.message, held=number + 1)
            break
    await asyncio.sleep(0.5)
    filler.unlink()
    await _well_again(journal)
    await journal.close()
    await _after(directory)


async def readonly(directory: Path) -> None:
    """A daemon that starts on a disk that has become read-only."""
    journal = Journal(directory, tell, limits=QUICK)
    await journal.open()
    await journal.put(override(0))
    await journal.close()
    _remount(directory, "ro")
    again = Journal(directory, tell, limits=QUICK)
    await again.open()
    say(step="start", overrides=len(again.overrides()), durable=not again.trouble)
    kept = await again.put(override(1))
    say(step="readonly", durable=kept.durable, message=kept.message)
    _remount(directory, "rw")
    await _well_again(again)
    await again.close()
    await _after(directory)


async def _well_again(journal: Journal) -> None:
    for _ in range(250):
        if not journal.trouble:
            break
        await asyncio.sleep(0.02)
    say(step="again", overrides=len(journal.overrides()))


async def _after(directory: Path) -> None:
    journal = Journal(directory, tell, limits=QUICK)
    await journal.open()
    say(step="restart", overrides=len(journal.overrides()), events=len(await journal.query()))
    await journal.close()


def _remount(directory: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(directory)], check=True)


async def killed(directory: Path) -> None:
    """Overrides one after the other, each told once it is acknowledged, until the end comes."""
    journal = Journal(directory, tell)
    await journal.open()
    number = 0
    while True:
        if (await journal.put(override(number))).durable:
            say(acknowledged=number)
        number += 1


if __name__ == "__main__":
    asyncio.run(
        {"full": full, "readonly": readonly, "killed": killed}[sys.argv[1]](Path(sys.argv[2]))
    )
