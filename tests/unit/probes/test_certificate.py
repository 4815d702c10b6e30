"""When a certificate ends, beside what Python's ssl module reads of the same one."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from lvsguard.probes.certificate import expiry

CA = trustme.CA()


def der(ends: datetime) -> bytes:
    """A certificate that ends then."""
    made = CA.issue_cert("rs1.example.net", not_before=datetime(1999, 1, 1), not_after=ends)  # noqa: DTZ001
    return ssl.PEM_cert_to_DER_cert(made.cert_chain_pems[0].bytes().decode())


@pytest.mark.parametrize(
    "ends",
    [
        datetime(2027, 2, 28, 23, 59, 59, tzinfo=UTC),
        datetime(2049, 12, 31, tzinfo=UTC),  # the last UTCTime
        datetime(2050, 1, 1, tzinfo=UTC),  # a GeneralizedTime from here on
        datetime(1999, 12, 31, tzinfo=UTC),
    ],
)
def test_it_is_read(ends: datetime) -> None:
    assert expiry(der(ends)) == ends.timestamp()


WHOLE = der(datetime(2027, 2, 28, tzinfo=UTC))


@given(st.binary(max_size=100))
def test_garbage_is_no_certificate(garbage: bytes) -> None:
    assert expiry(garbage) == 0.0


@given(st.integers(0, len(WHOLE) - 1))
def test_a_certificate_that_is_cut_off_is_none(size: int) -> None:
    assert expiry(WHOLE[:size]) == 0.0


@given(st.integers(0, 200), st.integers(0, 255))
def test_a_hostile_certificate_never_raises(at: int, byte: int) -> None:
    spoilt = bytearray(WHOLE)
    spoilt[at] = byte
    assert isinstance(expiry(bytes(spoilt)), float)
