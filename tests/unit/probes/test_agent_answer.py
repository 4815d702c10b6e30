"""What an agent's answer means: HAProxy's words, and HTTP."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from lvsguard.core.agent import Agent, AgentKind, AgentSpec, Answer, Mode
from lvsguard.probes.agent_answer import HEAD_MAX, LINE_MAX, AgentTalk, AgentTalks, parse
from lvsguard.probes.outcome import Outcome


def talk(kind: AgentKind, send: bytes = b"") -> AgentTalk:
    spec = AgentSpec(kind, send=send, path="/load?x=1", host="web")
    return AgentTalks(Agent(ip_address("10.0.0.42"), 9100, 1, spec)).open()


def text(*parts: bytes, end: bool = False) -> tuple[Outcome | None, Answer]:
    return held(talk(AgentKind.TEXT), *parts, end=end)


def http(*parts: bytes, end: bool = False) -> tuple[Outcome | None, Answer]:
    return held(talk(AgentKind.HTTP), *parts, end=end)


def held(one: AgentTalk, *parts: bytes, end: bool) -> tuple[Outcome | None, Answer]:
    found = one.sent()
    for part in parts:
        if found is None:
            found = one.feed(part)
    if found is None and end:
        found = one.closed()
    return found, one.answer


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"75%", Answer(percent=75)),
        (b"75%\r\n", Answer(percent=75)),
        (b"0%", Answer(percent=0)),
        (b"12.5%", Answer(percent=12.5)),
        (b"drain", Answer(mode=Mode.DRAIN)),
        (b"MAINT", Answer(mode=Mode.MAINT)),
        (b"up ready 100%", Answer(percent=100, mode=Mode.READY, up=True)),
        (b"ready,up\t50%", Answer(percent=50, mode=Mode.READY, up=True)),
        (b"down", Answer(up=False)),
        (b"down#disk full", Answer(up=False, why="disk full")),
        (b"stopped # by hand", Answer(up=False, why="by hand")),
        (b"fail #", Answer(up=False)),
        (b"up#all is well", Answer(up=True)),
        (b"down up", Answer(up=True)),
        (b"maxconn:30 60%", Answer(percent=60, note="ignored: maxconn:30")),
        (b"60% weird words", Answer(percent=60, note="ignored: weird words")),
        (b"60% -5%", Answer(percent=60, note="ignored: -5%")),
        (b"60% 9999999%", Answer(percent=60, note="ignored: 9999999%")),
        (b"ready 50", Answer(mode=Mode.READY, note="ignored: 50")),
        (b"down#\x1b[31m\xff", Answer(up=False, why="?[31m\xff")),
        (b"", None),
        (b" ,\t", None),
        (b"# only a comment", None),
        (b"maxconn:30", Answer(note="ignored: maxconn:30")),
        (b"MaxConn:50%\r\n", Answer(note="ignored: MaxConn:50%")),
        (b"weird maxconn:30", Answer(note="ignored: weird maxconn:30")),
        (b"maxconn", None),
        (b"# maxconn:30", None),
        (b"50", None),
        (b"HTTP/1.1 200 OK", None),
    ],
)
def test_a_line_means(line: bytes, answer: Answer | None) -> None:
    assert parse(line) == answer


def test_in_http_a_bare_number_is_a_weight() -> None:
    assert parse(b"30", numbers=True) == Answer(weight=30)
    assert parse(b"30 75%", numbers=True) == Answer(percent=75)
    assert parse(b"-3", numbers=True) is None


def test_a_text_answer_ends_with_its_line_or_its_stream() -> None:
    assert text(b"75", b"%\n") == (Outcome(True, "L7OK", "75%"), Answer(percent=75))
    assert text(b"75%")[0] is None
    assert text(b"75%", end=True)[1] == Answer(percent=75)
    assert text(b"drain\nmore\n")[1] == Answer(mode=Mode.DRAIN)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"", "closed without an answer"),
        (b"\n", "an empty answer"),
        (b"hello\n", "'hello' is no answer of an agent"),
        (b"x" * (LINE_MAX + 1), f"more than {LINE_MAX} bytes without the end of a line"),
    ],
)
def test_what_is_no_answer_is_said_and_changes_nothing(said: bytes, reason: str) -> None:
    found, answer = text(said, end=True)
    assert found is not None
    assert (found.ok, found.code, found.reason) == (False, "L7RSP", reason)
    assert answer == Answer()


def test_what_is_sent() -> None:
    assert talk(AgentKind.TEXT, b"web\n").request == b"web\n"
    asked = talk(AgentKind.HTTP).request
    assert asked.startswith(b"GET /load?x=1 HTTP/1.1\r\nHost: web\r\n")
    assert b"Connection: close\r\n" in asked


def test_a_header_counts_before_the_body() -> None:
    found, answer = http(b"HTTP/1.1 200 OK\r\nrs-weight: 30\r\nContent-Length: 3\r\n\r\n75%")
    assert found == Outcome(True, "L7OK", "30")
    assert answer == Answer(weight=30)
    assert http(b"HTTP/1.1 200 OK\r\nRS-Weight: 40%\r\n\r\n")[1] == Answer(percent=40)


def test_without_the_header_the_first_line_of_the_body_is_the_answer() -> None:
    assert http(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n75", b"%\n")[1].percent == 75
    assert http(b"HTTP/1.0 200 OK\r\n\r\ndown#disk", end=True)[1] == Answer(up=False, why="disk")
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n30\r\n0\r\n\r\n"
    assert http(chunked)[1] == Answer(weight=30)
    informed = b"HTTP/1.1 103 Early\r\nRS-Weight: 1\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"
    assert http(informed, b"drain\n")[1] == Answer(mode=Mode.DRAIN)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"", "closed before an answer"),
        (b"HTTP/1.1 503 Busy\r\nRS-Weight: 0\r\n\r\n", "status 503, expected 200"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "an empty answer"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * HEAD_MAX, f"more than {HEAD_MAX} bytes without an"),
        (b"75%\n", "not HTTP: "),
    ],
)
def test_http_that_is_no_answer_is_said(said: bytes, reason: str) -> None:
    found, answer = http(said, end=True)
    assert found is not None
    assert not found.ok
    assert found.reason.startswith(reason)
    assert answer == Answer()
