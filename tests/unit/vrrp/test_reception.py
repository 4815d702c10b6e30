"""Why packets are dropped, as people read it."""

from __future__ import annotations

import pytest

from lvsguard.core.dropped import Reason
from lvsguard.vrrp.reception import Rejected


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_says_what_to_do(reason: Reason) -> None:
    assert len(reason.advice) > 20
    assert str(Rejected(reason)) == f"{reason}: {reason.advice}"


def test_what_was_seen_stands_beside_the_reason() -> None:
    line = str(Rejected(Reason.TTL, "64, not 255"))
    assert line.startswith("ttl (64, not 255): it passed a router")
