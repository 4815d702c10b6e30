"""What journald gets: fields that can be asked for, and never a wait."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lvsguard.core.event import HealthChanged, OverrideSet, ReloadRefused
from lvsguard.core.event_kinds import message_id
from lvsguard.core.health import FailureClass, Verdict
from lvsguard.core.model import IPAddress
from lvsguard.core.override import Override, OverrideKind, Target
from lvsguard.daemon import log
from lvsguard.daemon.journald import encode
from lvsguard.daemon.labels import labels
from tests.support.rig import RS1

HEALTH = HealthChanged(
    "10.0.0.42:80",
    "http",
    Verdict.UP,
    Verdict.DOWN,
    "L4CON",
    "connection refused",
    FailureClass.REFUSED,
    trace="0123456789",
    services=("web", "tls"),
)
RIP: IPAddress = RS1.address


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, own = root.handlers[:], root.level, log.LOGGER.level
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    log.LOGGER.setLevel(own)


@pytest.fixture
def journald(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.setblocking(False)
        yield listener


def test_a_line_has_its_fields(journald: socket.socket) -> None:
    log.setup(log.LogFormat.JOURNAL, Path(journald.getsockname()))
    log.tell(HEALTH)
    lines = journald.recv(65536).decode().splitlines()
    assert lines[0] == (
        "MESSAGE=realserver 10.0.0.42:80 is down (was up): http L4CON connection refused"
        "  [0123456789]"
    )
    assert set(lines[1:]) == {
        "PRIORITY=6",
        "SYSLOG_IDENTIFIER=lvsguard",
        f"MESSAGE_ID={message_id('health')}",
        "LVSGUARD_KIND=health",
        "LVSGUARD_REALSERVER=10.0.0.42:80",
        "LVSGUARD_SERVICE=web",
        "LVSGUARD_SERVICE=tls",
        "LVSGUARD_TRACE=0123456789",
    }


def test_other_lines_are_told_as_well(journald: socket.socket) -> None:
    log.setup(log.LogFormat.JOURNAL, Path(journald.getsockname()))
    log.LOGGER.warning("no group %s", "lvsguard")
    assert journald.recv(65536).decode().splitlines() == [
        "MESSAGE=no group lvsguard",
        "PRIORITY=4",
        "SYSLOG_IDENTIFIER=lvsguard",
    ]


def test_without_journald_lines_go_to_stderr(
    journald: socket.socket, capsys: pytest.CaptureFixture[str]
) -> None:
    log.setup(log.LogFormat.JOURNAL, Path(journald.getsockname()))
    journald.close()
    log.tell(ReloadRefused(("config.toml:3: no",)))
    assert capsys.readouterr().err.startswith("<3>configuration refused")


def test_a_journald_that_hangs_holds_nobody_up_and_what_was_lost_is_told(
    journald: socket.socket, capsys: pytest.CaptureFixture[str]
) -> None:
    log.setup(log.LogFormat.JOURNAL, Path(journald.getsockname()))
    for _ in range(2000):
        log.tell(HEALTH)
    got = 0
    while got < 2000:
        try:
            journald.recv(65536)
        except BlockingIOError:
            break
        got += 1
    assert 0 < got < 2000
    log.tell(HEALTH)
    assert journald.recv(65536).startswith(b"MESSAGE=%d log lines were lost" % (2000 - got))
    assert b"LVSGUARD_KIND=health" in journald.recv(65536)
    assert not capsys.readouterr().err


def test_what_has_line_breaks_is_one_field() -> None:
    assert encode({"A": "x\ny", "B": "z"}) == b"A\n\x03\0\0\0\0\0\0\0x\ny\nB=z\n"


def test_an_override_is_about_its_target() -> None:
    held = Override(
        Target(RIP, 80, "web"), OverrideKind.DRAIN, "alice (uid 1000)", 1.0, ticket="OPS-1"
    )
    assert labels(OverrideSet(held, "0123456789")) == {
        "MESSAGE_ID": [message_id("override-set")],
        "LVSGUARD_KIND": ["override-set"],
        "LVSGUARD_REALSERVER": ["10.0.0.42:80"],
        "LVSGUARD_SERVICE": ["web"],
        "LVSGUARD_ACTOR": ["alice (uid 1000)"],
        "LVSGUARD_TICKET": ["OPS-1"],
        "LVSGUARD_TRACE": ["0123456789"],
    }
