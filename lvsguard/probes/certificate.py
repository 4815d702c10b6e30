"""When a certificate ends, read from its DER encoding (RFC 5280 section 4.1). Pure.

The ssl module decodes certificates that it verified only; a check with ``verify = false`` wants to
know, too. It follows the fixed path to one field and trusts nothing on it.
"""

from __future__ import annotations

import ssl
from calendar import timegm
from time import strptime
from typing import Final

SEQUENCE: Final = 0x30
UTC_TIME: Final = 0x17
GENERALIZED_TIME: Final = 0x18
VERSION: Final = 0xA0
_BEFORE_VALIDITY: Final = 3
"""Serial number, signature algorithm, issuer."""


def shown(talk: ssl.SSLObject | None) -> float:
    """The end of the certificate that the peer showed, wall clock; 0.0 where there is none."""
    der = talk.getpeercert(binary_form=True) if talk is not None else None
    return expiry(der) if der else 0.0


def expiry(der: bytes) -> float:
    """``notAfter``, wall clock; 0.0 where this is no certificate that makes sense."""
    try:
        return _expiry(memoryview(der))
    except (IndexError, ValueError, OverflowError):
        return 0.0


def _expiry(der: memoryview) -> float:
    certificate, _ = _take(der, SEQUENCE)
    fields, _ = _take(certificate, SEQUENCE)
    if fields[0] == VERSION:
        _, fields = _take(fields)
    for _ in range(_BEFORE_VALIDITY):
        _, fields = _take(fields)
    validity, _ = _take(fields, SEQUENCE)
    _, validity = _take(validity)
    kind, (text, _) = validity[0], _take(validity)
    digits = bytes(text).decode("ascii")
    if kind == UTC_TIME:  # two digits of a year: 1950 to 2049
        digits = ("19" if digits[:2] >= "50" else "20") + digits
    elif kind != GENERALIZED_TIME:
        raise ValueError(f"type {kind} is no time")
    return float(timegm(strptime(digits, "%Y%m%d%H%M%SZ")))


def _take(data: memoryview, wanted: int | None = None) -> tuple[memoryview, memoryview]:
    """The content of the first element, and what follows it."""
    if wanted is not None and data[0] != wanted:
        raise ValueError(f"type {data[0]}, expected {wanted}")
    size, start = data[1], 2
    if size & 0x80:
        start = 2 + (size & 0x7F)
        if not 3 <= start <= 6:
            raise ValueError("a length of no or of too many bytes")
        size = int.from_bytes(data[2:start], "big")
    if len(data) < start + size:
        raise ValueError("cut off")
    return data[start : start + size], data[start + size :]
