"""Whatever is written is read alike; whatever is read harms nobody."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lvsguard.vrrp.conntable import ConnectionTable, Tally
from lvsguard.vrrp.flow_facts import FlowFacts
from lvsguard.vrrp.sync_codec import Message, Rejected, decode, encode
from lvsguard.vrrp.sync_entry import (
    ENGINE_DATA_MAX,
    ENGINE_NAME_MAX,
    STATES,
    Delta,
    Engine,
    Entry,
    Flags,
)
from tests.support.golden import GOLDEN

CAPTURED = [
    bytes.fromhex(line) for line in (GOLDEN / "sync/linux-6.1.hex").read_text().splitlines()
]
TABLE = (GOLDEN / "sync/linux-6.1.ip_vs_conn").read_bytes()
U16, U32 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFF_FFFF)
DELTAS = st.builds(Delta, U32, U32, U32)
ENGINES = st.builds(
    Engine,
    st.binary(min_size=1, max_size=ENGINE_NAME_MAX),
    st.binary(min_size=1, max_size=ENGINE_DATA_MAX),
)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    """Any entry that the kernel would take."""
    size = draw(st.sampled_from([4, 16]))
    address = st.binary(min_size=size, max_size=size)
    template = draw(st.booleans())
    protocol = draw(st.sampled_from([*STATES, 0] if template else [*STATES]))
    state = draw(st.integers(0, 1 if template else len(STATES[protocol]) - 1))
    flags = draw(U32) & ~Flags.TEMPLATE | (Flags.TEMPLATE if template else 0)
    return Entry(
        protocol,
        *(draw(address), draw(U16), draw(address), draw(U16), draw(address), draw(U16)),
        *(state, int(flags), draw(U32), draw(U32)),
        draw(st.none() | st.tuples(DELTAS, DELTAS)),
        draw(st.none() | ENGINES),
    )


@given(st.lists(entries(), max_size=40), st.integers(0, 255), st.integers(500, 9000))
def test_what_is_written_is_read_alike(written: list[Entry], syncid: int, size_max: int) -> None:
    read: list[Entry] = []
    for data in encode(written, syncid, size_max):
        assert len(data) <= size_max
        message = decode(data, syncid)
        assert isinstance(message, Message)
        assert message.syncid == syncid
        read += message.entries
    assert read == written


@given(st.binary(max_size=2000))
def test_no_bytes_make_the_reader_raise(data: bytes) -> None:
    assert isinstance(decode(data), Message | Rejected)


@given(
    st.sampled_from(CAPTURED),
    st.lists(st.tuples(st.integers(0, 1471), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_no_damage_to_a_message_makes_the_reader_raise(
    data: bytes, damage: list[tuple[int, int]]
) -> None:
    damaged = bytearray(data)
    for at, value in damage:
        damaged[at % len(damaged)] = value
    message = decode(bytes(damaged))
    if isinstance(message, Message):  # and what it made of it can be said again
        assert list(encode(message.entries, message.syncid, 65507))


@given(st.lists(st.binary(max_size=200) | st.sampled_from(TABLE.splitlines(keepends=True))))
def test_no_text_makes_the_tables_reader_raise(pieces: list[bytes]) -> None:
    _read(b"".join(pieces))


@given(st.lists(st.tuples(st.integers(0, len(TABLE) - 1), st.binary(max_size=6)), max_size=20))
def test_no_damage_to_a_table_makes_its_reader_raise(damage: list[tuple[int, bytes]]) -> None:
    damaged = bytearray(TABLE)
    for at, value in damage:
        damaged[at : at + len(value)] = value
    _read(bytes(damaged))


def _read(text: bytes) -> None:
    """Read a table of this text; every entry can be sent."""
    tally = Tally()
    with tempfile.NamedTemporaryFile() as file:
        file.write(text)
        file.flush()
        table = ConnectionTable(FlowFacts({}), path=Path(file.name))
        read = [entry for slice_ in table.read(tally) for entry in slice_]
    assert len(read) == tally.entries
    for data in encode(read, 1, 1472):
        assert isinstance(decode(data), Message)
