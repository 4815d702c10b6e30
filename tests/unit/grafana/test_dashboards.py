"""The dashboards: current, asking for what is declared, a question to each panel."""

from __future__ import annotations

import json
import re

import pytest
from prometheus_client import CollectorRegistry, ProcessCollector

from grafana import build, frame
from lvsguard.telemetry import catalog
from lvsguard.telemetry.metric import Kind
from tests.support import dashboards
from tests.support.dashboards import BUILT_IN, FOLDER, Panel
from tests.support.documents import CHECKOUT

RUNBOOKS = CHECKOUT / "docs" / "runbooks"
PANELS = dashboards.every_panel()
NAMES = dashboards.names()

SHARED = {"vip", "service", "realserver", "digest", "served", "address"}
"""Labels whose values directors of several clusters may share."""

LOAD = {
    "daemon: Memory of each process",
    "daemon: Probes under way",
    "daemon: Writes, and what was refused",
    "election: Adverts",
    "election: Announcements",
    "election: Connection tables sent and received",
    "election: Packets that were thrown away",
    "overview: Active connections by service",
    "overview: New connections by service",
    "overview: Traffic from clients by service",
    "realserver: Connections",
    "realserver: How long its probes take",
    "realserver: New connections",
    "realserver: Traffic from clients",
    "service: Active connections by realserver",
    "service: New connections by realserver",
    "service: Packets for each new connection",
    "service: Traffic from clients by realserver",
}
"""How much it is: what is well depends on the site, or on what its neighbours have."""
TOLD = {
    "daemon: Changes of verdict",
    "daemon: Overrides in force",
    "daemon: Services of others in the kernel",
    "daemon: Uptime",
    "election: Changes of role",
    "election: Priorities",
    "election: Given up as planned",
    "overview: Events by kind",
    "realserver: Probes by code",
    "realserver: Weight",
    "service: Failed probes by class",
    "service: Failed probes by code",
    "service: In slow start",
    "service: Live weight and quorum",
    "service: Weights in the kernel",
}
"""What it is and when: whether that is well is told by another panel, or by the person who did
it."""

each_panel = pytest.mark.parametrize("panel", PANELS, ids=str)
each_dashboard = pytest.mark.parametrize("name", NAMES)


def exposed() -> set[str]:
    """Names of the samples that a director exposes, and of what Prometheus adds."""
    found = {"up", "ALERTS"}
    for metric in catalog.CATALOG:
        parts = ("_bucket", "_sum", "_count") if metric.kind is Kind.HISTOGRAM else ("",)
        found |= {metric.name + part for part in parts}
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return found | {sample.name for family in registry.collect() for sample in family.samples}


def test_the_files_are_current() -> None:
    """Otherwise: python -m grafana.build"""
    assert {path.name: path.read_text() for path in FOLDER.iterdir()} == build.texts()


def test_where_the_runbooks_are_can_be_told() -> None:
    for text in build.texts("https://wiki.example.net/lvs").values():
        assert '"https://wiki.example.net/lvs"' in text
        assert frame.RUNBOOKS_URL not in text


@each_dashboard
def test_every_metric_is_declared(name: str) -> None:
    for expr in dashboards.expressions(name):
        used = dashboards.used_metrics(expr)
        assert used, expr
        assert used <= exposed(), expr


@each_dashboard
def test_every_variable_is_there(name: str) -> None:
    text = json.dumps(dashboards.dashboard(name)["panels"])
    used = dashboards.used_variables(text) | {"datasource", "runbooks"}
    assert used - BUILT_IN == set(dashboards.variables(name))


@each_dashboard
def test_clusters_are_kept_apart(name: str) -> None:
    """Two of them may have a VIP group, a service or a realserver of the same name."""
    for expr in dashboards.expressions(name):
        for summed in re.findall(r"\b(?:by|on) \(([^)]*)\)", expr):
            labels = set(summed.split(", "))
            assert "cluster" in labels or not labels & SHARED, expr


@each_dashboard
def test_every_query_is_of_the_clusters_that_are_chosen(name: str) -> None:
    for expr in dashboards.expressions(name):
        if expr != frame.VARIABLES["cluster"]:
            chosen = re.findall(r'{[^}]*cluster=~"\$cluster"', expr)
            assert len(chosen) == len(dashboards.selectors(expr)), expr


@each_dashboard
def test_annotations_go_by_what_is_chosen(name: str) -> None:
    roles = [a for a in dashboards.annotations_of(name) if "transitions" in a["expr"]]
    assert ["red" if 'to="fault"' in one["expr"] else "orange" for one in roles] == [
        one["iconColor"] for one in roles
    ]
    assert {one["titleFormat"] for one in roles} == {"{{instance}}: {{vip}} is {{to}}"}
    for one in dashboards.annotations_of(name):
        used = dashboards.used_variables(one["expr"]) - BUILT_IN
        assert used <= set(dashboards.variables(name))
        assert one not in roles or ("vip" in used) == ("vip" in dashboards.variables(name))


def test_dashboards_and_panels_can_be_told_apart() -> None:
    made = [dashboards.dashboard(name) for name in NAMES]
    assert [one["uid"] for one in made] == [f"lvsguard-{name}" for name in NAMES]
    for name in NAMES:
        found = dashboards.rows_and_panels(name)
        assert len({panel.title for panel in found}) == len(found)
        assert len({panel.json["id"] for panel in found}) == len(found)


@each_panel
def test_a_panel_answers_a_question(panel: Panel) -> None:
    assert "?" in panel.question
    assert panel.targets


@each_panel
def test_a_panel_has_a_unit_and_colours(panel: Panel) -> None:
    has = panel.defaults
    thresholds = has["thresholds"]
    assert isinstance(thresholds, dict)
    assert thresholds["steps"][0]["value"] is None
    if panel.kind in ("stat", "timeseries"):
        assert has["unit"]
    if panel.kind == "state-timeline":
        assert has["mappings"], "a state is a word"


@each_panel
def test_a_panel_tells_well_from_ill_unless_it_is_known_not_to(panel: Panel) -> None:
    tells = bool(panel.steps or panel.words or (panel.kind == "table" and panel.cell_words))
    assert tells == (str(panel) not in LOAD | TOLD)


@each_panel
def test_a_number_that_nobody_knows_is_not_green(panel: Panel) -> None:
    """Where there is no data Grafana takes the colour below the first threshold."""
    if panel.kind == "stat":
        assert panel.unknown == ("no data", "text")


def test_panels_that_tell_no_well_from_ill_are_there() -> None:
    assert set(map(str, PANELS)) >= LOAD | TOLD


@each_panel
def test_a_series_has_a_name(panel: Panel) -> None:
    if panel.kind in ("timeseries", "state-timeline"):
        assert all(target.legend != "__auto" for target in panel.targets)


@each_dashboard
def test_panels_do_not_overlap_and_fill_their_lines(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboards.rows_and_panels(name):
        left, top, width, height = panel.place
        cells = {(x, y) for x in range(left, left + width) for y in range(top, top + height)}
        assert not cells & taken, panel
        assert left + width <= 24
        taken |= cells
    lines = {y for _, y in taken}
    assert len(taken) == 24 * len(lines)
    assert lines == set(range(len(lines)))


@each_dashboard
def test_it_leads_to_the_others_and_to_the_runbooks(name: str) -> None:
    links = dashboards.dashboard(name)["links"]
    assert isinstance(links, list)
    assert {"lvsguard"} == {tag for link in links for tag in link["tags"]}
    assert "${runbooks}/README.md" in [link["url"] for link in links]
    assert "lvsguard" in str(dashboards.dashboard(name)["tags"])


def test_links_in_tables_lead_to_dashboards_and_fill_their_variables() -> None:
    for panel in PANELS:
        text = json.dumps(panel.json)
        for name in NAMES:
            if f"/d/lvsguard-{name}?" in text:
                kept = {"datasource", "runbooks", "cluster", "instance"}
                assert "${cluster:queryparam}" in text, panel
                wanted = set(dashboards.variables(name)) - kept
                assert all(f"var-{variable}=" in text for variable in wanted), panel
    for url in (frame.TO_SERVICE, frame.TO_REALSERVER, frame.TO_DAEMON):
        assert any(url in json.dumps(panel.json).replace("\\", "") for panel in PANELS)


@each_panel
def test_a_runbook_that_is_linked_is_there(panel: Panel) -> None:
    for url in panel.links:
        assert (RUNBOOKS / url.removeprefix("${runbooks}/")).is_file(), url
