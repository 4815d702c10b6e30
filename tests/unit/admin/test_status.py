"""The status document of many realservers never keeps the loop for long."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from lvsguard.admin.status import status_json
from lvsguard.serving import Slices
from tests.support.loop_turns import turns
from tests.support.published import WEB, Picture, realserver, service


@pytest.mark.slow
@pytest.mark.parametrize(("services", "each"), [(1000, 10), (1, 10_000)])
async def test_ten_thousand_realservers_are_told_in_slices(services: int, each: int) -> None:
    picture = Picture(
        [
            service(
                *(realserver(f"10.{i >> 8}.{j >> 8}.{j & 255}") for j in range(each)),
                name=f"service{i}",
                key=replace(WEB, port=i + 1),
            )
            for i in range(services)
        ]
    )
    # This thread's own time: the load of the machine is none of it.
    slices = Slices(clock=time.thread_time)
    async with turns() as felt:
        pieces = [piece async for piece in status_json(picture, slices)]
    assert slices.longest < 0.02
    assert felt.longest_s < 0.02
    raw = b"".join(pieces)
    document = json.loads(raw)
    assert sum(len(s["realservers"]) for s in document["services"]) == 10_000
