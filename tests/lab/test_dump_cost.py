"""10,000 realservers are read at no more than `ipvsadm -Sn` costs, in the same run."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.bench.ipvs_dump import SHAPES, measure, report
from tests.support.director import tell

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.kernel, pytest.mark.lab, pytest.mark.timeout(600)]

RUNS = 7


@pytest.fixture(autouse=True)
def _empty_table() -> Iterator[None]:
    yield
    subprocess.run(("ipvsadm", "-C"), check=True)


@pytest.mark.parametrize(("services", "each"), SHAPES)
def test_a_read_costs_no_more_than_ipvsadm(services: int, each: int) -> None:
    """The first one, with nothing remembered, as well as those of each second."""
    found = asyncio.run(measure(services, each, RUNS))
    report(found)
    ratios = {name: found.ratio(name) for name in ("first", "unchanged", "one changed")}
    tell(f"{services} x {each}, of what ipvsadm -Sn took", **ratios)
    assert max(ratios.values()) <= 1, ratios
