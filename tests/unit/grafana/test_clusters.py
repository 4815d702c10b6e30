"""Two clusters with names in common, asked of a real Prometheus: neither hides the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import dashboards
from tests.support.backfilled import INSTALLED, MISSING, Prometheus, backfill
from tests.support.day_script import MIDNIGHT
from tests.support.processes import Processes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not INSTALLED, reason=MISSING),
]

CHOSEN = {"cluster": ".*", "instance": ".*", "vip": ".*", "service": "web"}
WELL, ILL, ALONE = "well", "ill", ""
"""Three clusters; the last one is a pair without the label."""
SAID = {
    "lvsguard_build_info": {WELL: 1, ILL: 1, ALONE: 1},
    'lvsguard_config_info{digest="@",served="@"}': {WELL: 1, ILL: 1, ALONE: 1},
    'lvsguard_vrrp_state{vip="web",state="master"}': {WELL: 1, ILL: 0, ALONE: 1},
    'lvsguard_vrrp_ready{vip="web"}': {WELL: 2, ILL: 0, ALONE: 2},
    'lvsguard_service_live_weight{service="web"}': {WELL: 4, ILL: 1, ALONE: 4},
    'lvsguard_service_quorum{service="web"}': {WELL: 2, ILL: 2, ALONE: 2},
    'lvsguard_service_sorry_server{service="web"}': {WELL: 0, ILL: 0, ALONE: 0},
    'lvsguard_service_panic{service="web"}': {WELL: 0, ILL: 0, ALONE: 0},
    'lvsguard_realserver_up{service="web",realserver="10.0.0.42:80"}': {WELL: 1, ILL: 0, ALONE: 0},
    'lvsguard_realserver_admin_state{service="web",realserver="10.0.0.42:80"}': {
        WELL: 0,
        ILL: 0,
        ALONE: 0,
    },
}
"""By metric and labels, what the director of each cluster says; ``@`` is the cluster's own."""


DEAD = "10.0.0.40:9852"
"""A director of the first cluster that has told nothing for longer than a dashboard shows."""
HOUR_S = 3600
DEAD_S = 31 * HOUR_S
"""Prometheus looks for labels in whole blocks, and a backfilled one is a day."""


def labelled(cluster: str, instance: str, *more: str) -> str:
    own = [*more, 'job="lvsguard"', f'instance="{instance}"']
    own += [f'cluster="{cluster}"'] if cluster else []
    return ",".join(filter(None, own))


def exposed() -> Iterator[str]:
    instances = {cluster: f"10.0.0.41:{9852 + at}" for at, cluster in enumerate((WELL, ILL, ALONE))}
    yield "# TYPE up gauge\n"
    for cluster, instance in instances.items():
        yield f"up{{{labelled(cluster, instance)}}} 1 {MIDNIGHT}\n"
    yield f"up{{{labelled(WELL, DEAD)}}} 0 {MIDNIGHT}\n"
    yield f'up{{job="node",instance="{DEAD}",cluster="{WELL}"}} 0 {MIDNIGHT}\n'
    for series, values in SAID.items():
        name, _, labels = series.rstrip("}").partition("{")
        yield f"# TYPE {name} gauge\n"
        if name == "lvsguard_build_info":
            yield f"{name}{{{labelled(WELL, DEAD)}}} 1 {MIDNIGHT - DEAD_S}\n"
        for cluster, value in values.items():
            own = labels.replace("@", f"digest of {cluster}")
            yield f"{name}{{{labelled(cluster, instances[cluster], own)}}} {value} {MIDNIGHT}\n"
    yield "# EOF\n"


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("clusters")
    text, storage = folder / "clusters.txt", folder / "storage"
    text.write_text("".join(exposed()))
    backfill(text, storage)
    processes = Processes(folder)
    try:
        yield Prometheus.start(processes, folder, storage, stale_s=60)
    finally:
        processes.close()


def shown(prometheus: Prometheus, dashboard: str, title: str, cluster: str) -> list[float]:
    """What a panel shows while this cluster is chosen."""
    (target,) = dashboards.panel(dashboard, title).targets
    found = prometheus.at(target.filled({**CHOSEN, "cluster": cluster}), MIDNIGHT)
    return sorted(series.points[0][1] for series in found)


@pytest.mark.parametrize(
    ("dashboard", "title", "each", "all_of_them"),
    [
        ("overview", "VIP groups without a master", {WELL: 0, ILL: 1}, 1),
        ("overview", "VIP groups with two masters", {WELL: 0, ILL: 0}, 0),
        ("overview", "Services without quorum", {WELL: 0, ILL: 1}, 1),
        ("overview", "Realservers down", {WELL: 0, ILL: 1}, 2),
        ("election", "Masters", {WELL: 1, ILL: 0}, 0),
        ("election", "Directors that could serve", {WELL: 2, ILL: 0}, 0),
        ("daemon", "Configurations in force", {WELL: 1, ILL: 1}, 1),
    ],
)
def test_trouble_of_one_is_not_hidden_by_another_nor_made_by_both(
    prometheus: Prometheus, dashboard: str, title: str, each: dict[str, float], all_of_them: float
) -> None:
    assert shown(prometheus, dashboard, title, ".*") == [all_of_them]
    for cluster, value in each.items():
        assert shown(prometheus, dashboard, title, cluster) == [value]


def test_a_service_of_each_has_a_line_of_its_own(prometheus: Prometheus) -> None:
    assert shown(prometheus, "overview", "Services", ".*") == [0, 0, 1]


def choices(prometheus: Prometheus, variable: str, cluster: str) -> list[str]:
    """What Grafana offers for a variable, with its dashboards' six hours in view."""
    query = dashboards.filled(dashboards.variables("overview")[variable], {"cluster": cluster})
    span = (MIDNIGHT - 6 * HOUR_S, MIDNIGHT)
    return prometheus.values(*dashboards.label_values(query), span)


def test_clusters_are_there_to_choose_from(prometheus: Prometheus) -> None:
    assert len({dashboards.variables(name)["cluster"] for name in dashboards.names()}) == 1
    assert set(choices(prometheus, "cluster", ".*")) == {WELL, ILL}
    assert choices(prometheus, "instance", ILL) == ["10.0.0.41:9853"]


def test_a_director_that_is_dead_for_longer_than_is_shown_is_still_counted(
    prometheus: Prometheus,
) -> None:
    directors = choices(prometheus, "instance", WELL)
    assert set(directors) == {"10.0.0.41:9852", DEAD}
    (target,) = dashboards.panel("overview", "Directors that do not answer").targets
    chosen = {**CHOSEN, "cluster": WELL, "instance": f"({'|'.join(directors)})"}
    (found,) = prometheus.at(target.filled(chosen), MIDNIGHT)
    assert found.points[0][1] == 1
