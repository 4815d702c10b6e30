"""What the log is told of misuse of the admin socket."""

from __future__ import annotations

import pytest

from lvsguard.admin.misuse import KINDS_MAX, TELL_S, Misuse


def test_each_kind_is_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    misuse = Misuse(lambda: now)
    for _ in range(100):
        misuse.tell("alice (uid 1000)", "POST /v1/plan", "body: at most 5 bytes")
        misuse.crowd()
    assert caplog.messages == [
        "admin: POST /v1/plan of alice (uid 1000) was refused: body: at most 5 bytes",
        "admin: a connection of somebody was refused: there are too many connections: who holds"
        " them?",
    ]
    now = TELL_S
    misuse.crowd()
    assert len(caplog.messages) == 3


def test_many_kinds_fill_neither_memory_nor_the_log(caplog: pytest.LogCaptureFixture) -> None:
    misuse = Misuse(lambda: 0.0)
    for number in range(1000):
        misuse.tell("alice (uid 1000)", f"GET /{number}", "too slow")
    assert len(caplog.messages) == KINDS_MAX
