"""A test of the director that fails, and one that does not: played by test_evidence.py."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.support.topology import VIP

if TYPE_CHECKING:
    from tests.support.director_seed import Seed

pytestmark = [pytest.mark.kernel, pytest.mark.lab]


def test_that_passes(seed: Seed) -> None:
    assert seed.client.get(VIP)[0] == 200


def test_that_fails(seed: Seed) -> None:
    with seed.client.entered(), socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.sendto(bytes(1009), (str(VIP), 9))
    raise AssertionError("as it should")


def test_that_passes_afterwards(seed: Seed) -> None:
    assert seed.client.get(VIP)[0] == 200
