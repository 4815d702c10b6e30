"""What the largest exposition costs: 37,000 realservers, as docs/benchmarks.md has them."""

from __future__ import annotations

import gc
import time

import pytest

from lvsguard.serving import Slices
from tests.bench.exposition import picture, probed

REALSERVERS = 37_000
CPU_S = 2.0
"""Of the controller, for one scrape: what its goal leaves, with a core to itself."""


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_an_exposition_of_37000_realservers_takes_less_than_two_seconds_of_cpu() -> None:
    view = picture(REALSERVERS)
    metrics = probed(view)
    gc.collect()
    gc.freeze()  # as the daemon does
    try:
        for which in ("first", "again"):
            size, begun = 0, time.thread_time()
            async for piece in metrics.render(view, Slices(clock=time.thread_time)):
                size += len(piece)
            took = time.thread_time() - begun
            assert size > 40_000_000, which
            assert took < CPU_S, which
    finally:
        gc.unfreeze()
