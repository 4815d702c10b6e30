"""A stream against a peer on a bad line: what is said comes whole and in order, or not at all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lvsguard.probes.segment import ACK, FIN, RST, SYN, Segment, Unreachable, read
from lvsguard.probes.stream import News, Stream

MOD = 1 << 32
SEQUENCES = st.integers(0, MOD - 1)


class Peer:
    """A server's TCP, just as plain: takes the request in order, sends an answer in pieces."""

    def __init__(self, first: int, answer: bytes, piece: int) -> None:
        self.first = first
        self.answer = answer
        self.piece = piece
        self.expected = 0
        self.got = b""
        self.acknowledged = (first + 1) % MOD

    def hear(self, one: Segment) -> list[Segment]:
        """Take a segment; what the peer then has under way, all of it, again and again."""
        if one.flags & SYN:
            self.expected = (one.sequence + 1) % MOD
            return [Segment(80, one.source, self.first, self.expected, SYN | ACK, 65535, mss=1460)]
        if one.sequence == self.expected:
            self.got += one.payload
            self.expected = (self.expected + len(one.payload)) % MOD
        self.acknowledged = one.acknowledged
        return self.under_way(one.source)

    def under_way(self, port: int) -> list[Segment]:
        start = (self.acknowledged - self.first - 1) % MOD
        if start > len(self.answer):
            return []
        window = self.answer[start : start + 4 * self.piece]
        parts = [window[n : n + self.piece] for n in range(0, len(window), self.piece)]
        sent = [
            self._segment(port, (self.acknowledged + n * self.piece) % MOD, ACK, part)
            for n, part in enumerate(parts)
        ]
        if start + len(window) == len(self.answer):
            sequence = (self.acknowledged + len(window)) % MOD
            sent.append(self._segment(port, sequence, ACK | FIN, b""))
        return sent

    def _segment(self, port: int, sequence: int, flags: int, payload: bytes) -> Segment:
        return Segment(80, port, sequence, self.expected, flags, 65535, payload)


@given(
    SEQUENCES,
    SEQUENCES,
    st.binary(min_size=1, max_size=5000),
    st.binary(max_size=5000),
    st.integers(100, 1460),
    st.lists(st.booleans(), max_size=200),
)
def test_both_sides_get_what_was_said_whatever_is_lost(
    first: int, theirs: int, request: bytes, answer: bytes, piece: int, losses: list[bool]
) -> None:
    stream, peer = Stream(40000, 80, first), Peer(theirs, answer, piece)
    fate = iter(losses)

    def arrives() -> bool:
        return not next(fate, False)

    heard, news = b"", None
    line = [stream.syn()]
    for _ in range(1000):
        back = [r for one in line if arrives() for r in peer.hear(one)]
        for one in back:
            if not arrives():
                continue
            news = stream.take(one)
            if news is News.CONNECTED:
                stream.write(request)
            elif news in (News.DATA, News.CLOSED):
                heard += stream.received
            if news is News.CLOSED:
                break
        if news is News.CLOSED:
            break
        again = stream.again()
        line = [*stream.outgoing()] or ([again] if again else [])
        if not line:
            line = [stream.reset()._replace(flags=ACK)]  # the peer's own clock: it sends again
    assert news is News.CLOSED
    assert heard == answer
    assert request.startswith(peer.got)


@given(
    SEQUENCES,
    st.lists(
        st.builds(
            Segment,
            st.sampled_from([80, 81]),
            st.sampled_from([40000, 1]),
            SEQUENCES,
            SEQUENCES,
            st.integers(0, 31),
            st.integers(0, 65535),
            st.binary(max_size=50),
            st.integers(0, 65535),
        ),
        max_size=20,
    ),
)
def test_a_forger_who_knows_no_numbers_brings_nothing_about(
    first: int, forged: list[Segment]
) -> None:
    stream = Stream(40000, 80, first)
    for one in forged:
        if one.acknowledged == (first + 1) % MOD:
            continue
        assert stream.take(one) is None
        assert not stream.connected


@given(st.binary(max_size=200))
def test_any_bytes_are_a_segment_or_nothing(raw: bytes) -> None:
    assert isinstance(read(raw), Segment | Unreachable | None)


@given(SEQUENCES, SEQUENCES)
def test_a_refusal_must_acknowledge_the_question(first: int, number: int) -> None:
    stream = Stream(40000, 80, first)
    news = stream.take(Segment(80, 40000, 0, number, RST | ACK))
    assert (news is News.REFUSED) == (number == (first + 1) % MOD)


@given(SEQUENCES, SEQUENCES)
def test_a_peer_that_dreams_of_an_earlier_connection_is_woken(first: int, dreamt: int) -> None:
    stream = Stream(40000, 80, first)
    if dreamt == (first + 1) % MOD:
        return
    wrong = stream.stray(Segment(80, 40000, 5, dreamt, ACK))
    assert wrong is not None
    assert (wrong.flags, wrong.sequence) == (RST, dreamt)
    assert stream.stray(Segment(80, 40000, 5, dreamt, RST | ACK)) is None
    assert not stream.connected
    assert stream.syn().flags == SYN
