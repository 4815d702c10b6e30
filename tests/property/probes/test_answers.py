"""Whatever a peer says, in whatever pieces: never an exception, always an outcome in the end."""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from lvsguard.core.config import Check, CheckKind, CheckSpec, HttpSpec, TcpSpec
from lvsguard.core.health import FailureClass
from lvsguard.probes.greeting import HeadTalk
from lvsguard.probes.http import HttpCheck
from lvsguard.probes.outcome import REASON_MAX, Conversation, Outcome
from lvsguard.probes.tcp import TcpCheck

ENDS = ("closed", "reset", "expired")

specs = st.builds(
    HttpSpec,
    method=st.sampled_from(["GET", "HEAD", "POST"]),
    expect_status=st.frozensets(st.sampled_from([101, 200, 204, 304, 404]), max_size=3),
    expect_body=st.none() | st.sampled_from(["live", "x" * 30]),
    expect_regex=st.none() | st.sampled_from(["^I", "live$"]),
    max_body=st.integers(0, 100),
)
lines = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0 200\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n",
        b"HTTP/1.1 404 Not Found\r\n",
        b"Content-Length: 6\r\n",
        b"Content-Length: 60\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Encoding: gzip\r\n",
        b"Connection: close\r\n",
        b"Keep-Alive: timeout=5, max=100\r\n",
        b"\r\n",
        b"6\r\nI live\r\n",
        b"0\r\n\r\n",
        b"I live",
        b"\x00\xff",
    ]
)
streams = st.lists(lines | st.binary(max_size=20), max_size=12).map(b"".join)
cuts = st.lists(st.integers(1, 40), min_size=1, max_size=5)


def hold(talk: Conversation, stream: bytes, cuts: list[int], end: str) -> Outcome:
    """Hold a whole conversation."""
    found = talk.sent()
    position = turn = 0
    while found is None and position < len(stream):
        size = cuts[turn % len(cuts)]
        found = talk.feed(stream[position : position + size])
        position, turn = position + size, turn + 1
    if found is None and end == "closed":
        found = talk.closed()
    elif found is None and end == "reset":
        found = talk.reset(ConnectionResetError(104, "Connection reset by peer"))
    return talk.expired(1.0) if found is None else found


def assert_sound(outcome: Outcome) -> None:
    assert outcome.ok == (outcome.failure is None)
    assert outcome.failure is not FailureClass.LOCAL
    assert outcome.code in {"L4OK", "L7OK", "L7STS", "L7RSP", "L7TOUT"}
    assert outcome.reason
    assert outcome.reason.isprintable()
    assert len(outcome.reason) <= REASON_MAX + 100


@given(streams, cuts, st.sampled_from(ENDS))
def test_answers_to_a_canary_always_end_in_an_outcome(
    stream: bytes, cuts: list[int], end: str
) -> None:
    talk = HeadTalk(b"HEAD / HTTP/1.1\r\n\r\n")
    found = hold(talk, stream, cuts, end)
    assert_sound(found)
    assert talk.idle is None or (found.code != "L7TOUT" and talk.idle >= 0)


@given(specs, streams, cuts, st.sampled_from(ENDS))
def test_http_answers_always_end_in_an_outcome(
    spec: HttpSpec, stream: bytes, cuts: list[int], end: str
) -> None:
    check = Check(IPv4Address("10.0.0.42"), 80, CheckSpec(CheckKind.HTTP, http=spec))
    assert_sound(hold(HttpCheck(check).open(), stream, cuts, end))


@given(specs, streams, cuts, cuts, st.sampled_from(ENDS))
def test_http_answers_are_judged_alike_however_they_are_cut(
    spec: HttpSpec, stream: bytes, some: list[int], others: list[int], end: str
) -> None:
    check = HttpCheck(Check(IPv4Address("10.0.0.42"), 80, CheckSpec(CheckKind.HTTP, http=spec)))
    one = hold(check.open(), stream, some, end)
    other = hold(check.open(), stream, others, end)
    assert (one.ok, one.code) == (other.ok, other.code)


@given(st.binary(max_size=4), streams, cuts, st.sampled_from(ENDS))
def test_tcp_answers_always_end_in_an_outcome(
    expect: bytes, stream: bytes, cuts: list[int], end: str
) -> None:
    spec = CheckSpec(CheckKind.TCP, tcp=TcpSpec(b"", expect))
    check = TcpCheck(Check(IPv4Address("10.0.0.42"), 80, spec))
    found = hold(check.open(), stream, cuts, end)
    assert_sound(found)
    assert found.ok == (expect in stream)
