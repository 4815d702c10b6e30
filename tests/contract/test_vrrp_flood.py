"""A master whose link is flooded with VRRP packets goes on as before, and counts what came."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lvsguard.core.vrrp import VrrpConfig
from lvsguard.vrrp.message import Counts
from tests.support.director import tell
from tests.support.vrrp_child import FAST, children, gaps, held, listening, vip_group
from tests.support.wire_pair import namespaces_problem, pair

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(namespaces_problem()), reason=f"no network namespaces: {namespaces_problem()}"
    ),
]
SECONDS = 3.0
VIP = "10.0.0.8/24"
FLOOD_PER_SECOND = 20_000
"""Less is no flood."""


@pytest.mark.parametrize(
    ("kind", "reason"), [("noise", "version"), ("vrid", "vrid"), ("forged", "checksum")]
)
def test_a_flood_costs_a_master_neither_its_adverts_nor_its_cpu(
    tmp_path: Path, kind: str, reason: str
) -> None:
    with pair(tmp_path) as hosts, children(tmp_path, hosts.left) as (child,):
        child.serve(vip_group("web", VIP, vrrp=VrrpConfig(51, priority=150, interval=FAST)))
        child.until_role("master")
        before = dropped(child.fresh_counts())
        with listening(hosts.right, more=f"src host {hosts.left.address}") as heard:
            cpu = child.cpu_s()
            flood = hosts.right.start(
                "flood", sys.executable, "-m", "tests.support.flood", str(SECONDS), kind
            )
            while flood.running:
                child.listen(0.05)
            cpu = child.cpu_s() - cpu
            child.listen(2 * FAST)
        sent, took = (float(number) for number in flood.text().split())
        after = dropped(child.fresh_counts())
        counted = {name: n - before.get(name, 0) for name, n in after.items()}
        adverts = heard[0].adverts(str(hosts.left.address))
        tell(
            kind,
            per_second=sent / took,
            cpu=cpu / took,
            longest_gap_s=max(gaps(adverts)),
            sent=int(sent),
            counted=counted,
        )
        assert sent / took >= FLOOD_PER_SECOND
        assert cpu / took < 0.25
        assert len(adverts) > 0.9 * took / FAST
        assert max(gaps(adverts)) < 2 * FAST
        assert [one for one in child.told("role") if one.fields["before"] == "master"] == []
        assert (child.role(), held(hosts.left)) == ("master", {VIP})
        assert counted[reason] > 0
        # By sample, where the kernel's filter drops.
        assert sum(counted.values()) == pytest.approx(sent, rel=0.2)


def dropped(counts: Counts) -> dict[str, int]:
    """What was thrown away before and after it was decoded, by reason."""
    found = {name: n for name, n in counts.discarded.items() if n}
    for name, n in counts.rejected.get("web", {}).items():
        found[name] = found.get(name, 0) + n
    return found
