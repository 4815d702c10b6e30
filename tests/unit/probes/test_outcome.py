"""What the errors of sockets mean."""

from __future__ import annotations

import errno

import pytest

from lvsguard.core.health import FailureClass
from lvsguard.probes.outcome import connect_failed


@pytest.mark.parametrize(
    ("number", "failure"),
    [
        (errno.ECONNREFUSED, FailureClass.REFUSED),
        (errno.EHOSTUNREACH, FailureClass.HOST_DEAD),
        (errno.EACCES, FailureClass.WRONG),  # what ICMPv6 makes of a firewall that rejects
        (errno.ETIMEDOUT, FailureClass.TIMEOUT),
        (errno.EADDRNOTAVAIL, FailureClass.LOCAL),
    ],
)
def test_what_the_network_answers_is_told_from_the_directors_own_trouble(
    number: int, failure: FailureClass
) -> None:
    assert connect_failed(number).failure is failure
