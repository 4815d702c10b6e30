"""Every query of the dashboards, run by a real Prometheus over a day of real expositions.

The day is the one of tests/support/day_script.py, scraped every five minutes to be quick.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator

import pytest

from tests.support import dashboards
from tests.support.backfilled import INSTALLED, MISSING, Prometheus, Series, backfill
from tests.support.dashboards import Panel, Target
from tests.support.day import record
from tests.support.day_alerts import named_after, tell_alerts
from tests.support.day_scenes import SCENES
from tests.support.day_script import DAY_S, MIDNIGHT, at
from tests.support.day_sights import SIGHTS, Sight
from tests.support.processes import Processes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not INSTALLED, reason=MISSING),
]

STEP_S = 300
VALUES = {
    "cluster": ".*",
    "instance": "(director1:9852|director2:9852)",
    "vip": "(internal|web)",
    "service": "web",
    "realserver": "10.0.0.42:80",
    "__rate_interval": f"{4 * STEP_S}s",
}
FINE = {"drift-repeated", "failovers-repeated", "realserver-flapping"}
"""Their alerts count what changes between scrapes: five minutes are too many for them."""
LONG = {"drain-forgotten"}
"""Its alert waits for a day, and this one is over before."""


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("day")
    text, storage = folder / "day.txt", folder / "storage"
    asyncio.run(record(STEP_S)).write(text)
    backfill(text, storage)
    tell_alerts(folder, storage, step_s=STEP_S)
    processes = Processes(folder)
    try:
        yield Prometheus.start(processes, folder, storage, stale_s=2 * STEP_S)
    finally:
        processes.close()


def ask(prometheus: Prometheus, target: Target) -> list[Series]:
    """As Grafana would, with the whole day in view."""
    expr = target.filled(VALUES)
    if target.instant:
        return prometheus.at(expr, MIDNIGHT + DAY_S)
    return prometheus.between(expr, MIDNIGHT + STEP_S, MIDNIGHT + DAY_S, STEP_S)


@pytest.mark.parametrize("panel", dashboards.every_panel(), ids=str)
def test_every_query_returns_data(prometheus: Prometheus, panel: Panel) -> None:
    for target in panel.targets:
        found = ask(prometheus, target)
        values = [value for series in found for _, value in series.points]
        assert any(math.isfinite(value) for value in values), target.expr
        if panel.kind == "stat":
            assert len(found) == 1, target.expr


@pytest.mark.parametrize("panel", dashboards.every_panel(), ids=str)
def test_series_can_be_told_apart(prometheus: Prometheus, panel: Panel) -> None:
    legends = []
    for target in panel.targets:
        for series in ask(prometheus, target):
            legend = target.legend
            for label, value in {"cluster": "", **series.labels}.items():
                legend = legend.replace(f"{{{{{label}}}}}", value)
            assert "{{" not in legend, target.legend
            legends.append(legend)
    if panel.kind in ("timeseries", "state-timeline"):
        assert len(set(legends)) == len(legends)


@pytest.mark.parametrize("panel", dashboards.every_panel(), ids=str)
def test_every_state_has_a_word(prometheus: Prometheus, panel: Panel) -> None:
    mappings = panel.defaults.get("mappings")
    if not mappings or panel.kind != "state-timeline":
        return
    assert isinstance(mappings, list)
    words = {float(value) for value in mappings[0]["options"]}
    for target in panel.targets:
        for series in ask(prometheus, target):
            assert {value for _, value in series.points} <= words


@pytest.mark.parametrize("name", dashboards.names())
def test_annotations_and_variables_return_data(prometheus: Prometheus, name: str) -> None:
    for expr in dashboards.annotation_queries(name):
        assert ask(prometheus, Target(expr, "", instant=False)), expr
    for variable, query in dashboards.variables(name).items():
        if query:
            asked = dashboards.filled(query, VALUES)
            found = set(prometheus.values(*dashboards.label_values(asked)))
            wanted = set(VALUES[variable].strip("()").split("|"))
            assert wanted - {".*"} <= found


@pytest.mark.parametrize("sight", SIGHTS, ids=lambda s: f"{s.runbook}: {s.panel}")
def test_a_failure_is_seen_on_its_panel(prometheus: Prometheus, sight: Sight) -> None:
    (target,) = dashboards.panel(sight.dashboard, sight.panel).targets
    found = prometheus.at(target.filled(VALUES), MIDNIGHT + at(sight.when))
    assert max(series.points[0][1] for series in found) == sight.value


@pytest.mark.parametrize(
    ("runbook", "panel", "when"),
    [
        ("drift-repeated", "Repairs of what somebody else changed", "12:15"),
        ("advert-late", "How late adverts leave", "15:10"),
        ("vip-conflict", "Conflicts", "14:40"),
    ],
)
def test_a_failure_raises_a_curve(
    prometheus: Prometheus, runbook: str, panel: str, when: str
) -> None:
    (found,) = (one for one in dashboards.every_panel() if one.title == panel)
    assert any(url.endswith(f"/{runbook}.md") for url in found.links)

    def highest(time: str) -> float:
        answers = [
            series.points[0][1]
            for target in found.targets
            for series in prometheus.at(target.filled(VALUES), MIDNIGHT + at(time))
        ]
        return max(answers, default=0.0)

    assert highest(when) > 2 * highest("08:00")


@pytest.mark.parametrize("runbook", sorted(SCENES.keys() - FINE - LONG))
def test_an_alert_fires_in_the_scene_of_its_runbook(prometheus: Prometheus, runbook: str) -> None:
    scene, wanted = SCENES[runbook], named_after(runbook)
    expr = f'ALERTS{{alertname="{wanted}",alertstate="firing"}}'
    begin, end = (MIDNIGHT + at(moment) for moment in (scene.begin, scene.end))
    assert prometheus.between(expr, begin, end, STEP_S)
    assert not prometheus.at(expr, begin), "at first all is well"
