"""The prober process: what it imports, and how it ends."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from lvsguard.probes.message import VERSION, Hello, ProbeNow, encode

IMPORTS = """
import sys
import lvsguard.probes.process
print(sorted({name.partition(".")[0] for name in sys.modules} & {%s}))
"""


def start() -> tuple[subprocess.Popen[str], socket.socket]:
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "lvsguard.probes.process", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stderr=subprocess.PIPE,
            text=True,
        )
    ours.settimeout(20)
    assert ours.recv(4096) == encode(Hello(VERSION))
    return process, ours


def test_it_imports_nothing_heavy_before_it_must() -> None:
    heavy = "'aiohttp', 'pydantic', 'pyroute2', 'prometheus_client', 'rich', 'aiosqlite', 'sqlite3'"
    shown = subprocess.run(
        [sys.executable, "-c", IMPORTS % heavy], capture_output=True, text=True, check=True
    )
    assert shown.stdout == "[]\n"


def test_it_ends_when_the_controller_is_gone() -> None:
    process, ours = start()
    ours.close()
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize(
    ("says", "error"),
    [
        (encode(Hello(99)), f"prober: the other side speaks version 99, this one {VERSION}"),
        (encode(ProbeNow([1], [0.0])), "prober: expected hello, got ProbeNow"),
        (b"\0\0\0\3abc", f"prober: not a message of version {VERSION}"),
    ],
)
def test_it_ends_with_an_error_at_nonsense(says: bytes, error: str) -> None:
    process, ours = start()
    with ours:
        ours.sendall(says)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 2
    assert errors.startswith(error)
