"""One line an event, in each of the styles."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from lvsguard.core.event import HealthChanged, ReloadRefused
from lvsguard.core.health import FailureClass, Verdict
from lvsguard.daemon import log

EVENT = HealthChanged(
    "10.0.0.42:80",
    "http",
    Verdict.UP,
    Verdict.DOWN,
    "L4CON",
    "connection refused\nreally",
    FailureClass.REFUSED,
)


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, own = root.handlers[:], root.level, log.LOGGER.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    log.LOGGER.setLevel(own)


def test_a_console_line_has_time_level_and_text(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup(log.LogFormat.CONSOLE)
    log.tell(EVENT)
    (line,) = capsys.readouterr().err.splitlines()
    assert line[23:].startswith("Z info    realserver 10.0.0.42:80 is down (was up): http L4CON")
    assert line.endswith("connection refused\\nreally")


def test_a_journal_line_begins_with_its_priority(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup(log.LogFormat.JOURNAL, Path("/nowhere"))
    log.tell(EVENT)
    log.tell(ReloadRefused(("config.toml:3: no",)))
    health, refused = capsys.readouterr().err.splitlines()
    assert health.startswith("<6>realserver 10.0.0.42:80")
    assert refused.startswith("<3>configuration refused")


def test_a_json_line_has_the_events_fields(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup(log.LogFormat.JSON)
    log.tell(EVENT)
    line = json.loads(capsys.readouterr().err)
    assert line["event"] == "health"
    assert line["level"] == "info"
    assert (line["before"], line["after"], line["failure"]) == ("up", "down", "refused")
    assert line["message"].startswith("realserver 10.0.0.42:80 is down")


def test_an_exception_stays_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup(log.LogFormat.CONSOLE)
    try:
        raise ValueError("no")
    except ValueError:
        log.LOGGER.exception("a bug")
    (line,) = capsys.readouterr().err.splitlines()
    assert "ValueError: no" in line


def test_auto_is_the_journal_under_systemd(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1234")
    log.setup(log.LogFormat.AUTO, Path("/nowhere"))
    log.tell(EVENT)
    assert capsys.readouterr().err.startswith("<6>")
