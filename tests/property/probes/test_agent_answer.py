"""Whatever an agent says, in whatever pieces: an outcome in the end, and bounds on what it does."""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from lvsguard.core.agent import (
    NOT_ASKED,
    SHARE_MAX,
    Agent,
    AgentKind,
    AgentSpec,
    answered,
    unanswered,
    weight_of,
    words,
)
from lvsguard.core.model import WEIGHT_MAX
from lvsguard.probes.agent_answer import HEAD_MAX, LINE_MAX, AgentTalks, parse
from tests.property.probes.test_answers import ENDS, assert_sound, cuts, hold

pieces = st.sampled_from(
    [
        b"75%",
        b"up",
        b"drain",
        b"down#why\xff",
        b"maxconn:5",
        b" ",
        b",",
        b"\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"RS-Weight: 30\r\n",
        b"RS-Weight: \xff\r\n",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Upgrade: x\r\nConnection: upgrade\r\n",
        b"3\r\n75%\r\n",
        b"0\r\n\r\n",
        b"x" * 700,
    ]
)
streams = st.lists(pieces | st.binary(max_size=20), max_size=40).map(b"".join)
kinds = st.sampled_from(AgentKind)


@given(kinds, streams, cuts, st.sampled_from(ENDS))
def test_a_conversation_always_ends_in_an_outcome(
    kind: AgentKind, stream: bytes, cuts: list[int], end: str
) -> None:
    agent = Agent(IPv4Address("10.0.0.42"), 9100, 20, AgentSpec(kind))
    talk = AgentTalks(agent).open()
    found = hold(talk, stream, cuts, end)
    assert_sound(found)
    standing = NOT_ASKED
    if found.ok:
        standing = answered(standing, talk.answer, agent, 1.0)
    else:
        standing = unanswered(standing, found.reason)
    assert 0 <= weight_of(standing, 20) <= min(20 * SHARE_MAX, WEIGHT_MAX)
    assert words(standing).isprintable()
    assert len(words(standing)) < 1000


@given(kinds, st.binary(min_size=1, max_size=10), st.integers(1, 4096))
def test_what_never_ends_is_cut_off(kind: AgentKind, what: bytes, size: int) -> None:
    talk = AgentTalks(Agent(IPv4Address("10.0.0.42"), 9100, 20, AgentSpec(kind))).open()
    chunk = (what * size)[:size]
    fed = 0
    while talk.feed(chunk) is None:
        fed += size
        assert fed <= max(HEAD_MAX, LINE_MAX) + size


@given(st.binary(max_size=3000), st.booleans())
def test_any_line_is_read(line: bytes, numbers: bool) -> None:
    answer = parse(line, numbers=numbers)
    if answer is not None:
        assert (answer.why + answer.note).isprintable()
        assert len(answer.why) + len(answer.note) < 300


@given(
    st.lists(st.floats(0, 2000), min_size=1, max_size=12),
    st.floats(0.01, 1),
    st.integers(0, WEIGHT_MAX),
)
def test_after_the_first_answer_a_share_moves_by_at_most_a_step_and_arrives(
    asked: list[float], step: float, weight: int
) -> None:
    agent = Agent(IPv4Address("10.0.0.42"), 9100, weight, AgentSpec(step=step))
    standing, answer = NOT_ASKED, None
    for percent in asked:
        answer = parse(f"{percent:.3f}%".encode())
        assert answer is not None
        before, standing = standing, answered(standing, answer, agent, 1.0)
        assert 0 <= standing.share <= SHARE_MAX
        if before.heard:
            assert abs(standing.share - before.share) <= step + 1e-6
    assert answer is not None
    for _ in range(int(SHARE_MAX / step) + 2):
        standing = answered(standing, answer, agent, 1.0)
    assert standing.share == standing.asked
