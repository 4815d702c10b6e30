"""What a hook is told: one JSON document, and its signature. Pure."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime

import msgspec

from lvsguard.core.hook import Occurrence

SIGNATURE_HEADER = "Lvsguard-Signature"


def body(occurrence: Occurrence) -> bytes:
    """The document: director, id, time, kind, level, text, data."""
    stamp = datetime.fromtimestamp(occurrence.at, UTC).isoformat(timespec="milliseconds")
    return msgspec.json.encode(
        {
            "director": occurrence.director,
            "id": occurrence.id,
            "time": stamp.replace("+00:00", "Z"),
            "kind": occurrence.kind,
            "level": occurrence.level.name.lower(),
            "text": occurrence.text,
            "data": occurrence.data,
        }
    )


def signature(key: bytes, document: bytes) -> str:
    """``sha256=`` and the HMAC-SHA256 (RFC 2104) of the document, in hex."""
    return "sha256=" + hmac.new(key, document, hashlib.sha256).hexdigest()
