"""What a deploy script does, under load: no request fails and no connection breaks.

The load is 300 requests a second where the guest is not slow: one that is four times slower drops
requests of such a load by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.director_config import Service, Setup
from tests.support.director_seed import seed_under_lvsguard
from tests.support.pace import slowness
from tests.support.rolling import play

if TYPE_CHECKING:
    from tests.support.topology import Network

pytestmark = [pytest.mark.kernel, pytest.mark.lab, pytest.mark.timeout(600)]


@pytest.mark.parametrize("network", [10], indirect=True)
def test_ten_realservers_are_restarted_under_load_and_the_daemon_in_the_middle(
    network: Network,
) -> None:
    addresses = {f"10.0.0.{42 + n}": 1 for n in range(10)}
    setup = Setup(services=(Service(realservers=addresses),))
    with seed_under_lvsguard(network, setup) as seed:
        seed.director.wait_for_weights(**{f"rs{n}": 1 for n in range(1, 11)})
        play(seed, range(10), per_second=300 / slowness(), held=50, crash_at=5)
