"""What all dashboards share: names, variables, annotations, links from one to the other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as models

from grafana.parts import RUNBOOKS, SCRAPED, SOURCE, Panel, Query

Part: TypeAlias = Panel | dashboard.Row
"""Of a dashboard: a panel, or a row that heads the panels after it."""

TAG = "lvsguard"
RUNBOOKS_URL = "https://lvsguard.example.org/runbooks"
"""Where docs/runbooks/ is published; ``python -m grafana.build --runbooks URL`` writes another."""

OVERVIEW = "lvsguard-overview"
SERVICE = "lvsguard-service"
REALSERVER = "lvsguard-realserver"
ELECTION = "lvsguard-election"
DAEMON = "lvsguard-daemon"

_SAME = "${datasource:queryparam}&${cluster:queryparam}&${__url_time_range}"
_KEPT = f"${{instance:queryparam}}&{_SAME}"
TO_SERVICE = f"/d/{SERVICE}?var-service=${{__data.fields.service}}&{_KEPT}"
TO_REALSERVER = (
    f"/d/{REALSERVER}?var-service=${{__data.fields.service}}"
    f"&var-realserver=${{__data.fields.realserver}}&{_KEPT}"
)
TO_DAEMON = f"/d/{DAEMON}?var-instance=${{__data.fields.instance}}&{_SAME}"

# By `up`, not by what directors tell: one that is dead for longer than a dashboard shows would be
# nobody's, and counted by no panel.
VARIABLES = {
    "cluster": f"label_values(up{{{SCRAPED}}}, cluster)",
    "instance": f"label_values(up{{{SCRAPED},@c}}, instance)",
    "service": "label_values(lvsguard_service_present{@i}, service)",
    "realserver": "label_values(lvsguard_realserver_up{@s}, realserver)",
    "vip": "label_values(lvsguard_vip_held{@i}, vip)",
}
SEVERAL = ("cluster", "instance", "vip")
"""Variables that may have several values, or all."""
LABELS = {
    "cluster": "Cluster",
    "instance": "Director",
    "service": "Service",
    "realserver": "Realserver",
    "vip": "VIP group",
}

_CHANGE = "increase(lvsguard_vrrp_transitions_total{%s}[$__rate_interval]) > 0.5"
_ROLE = Query(_CHANGE % 'to!="fault",@v')
_FAULT = Query(_CHANGE % 'to="fault",@v')
_DRAIN = Query("max by (cluster, service, realserver) (lvsguard_realserver_admin_state{@i}) > 0")
ANNOTATIONS = (
    ("Changes of role", "orange", _ROLE, "{{instance}}: {{vip}} is {{to}}"),
    ("Faults", "red", _FAULT, "{{instance}}: {{vip}} is {{to}}"),
    ("Drained or disabled", "blue", _DRAIN, "{{realserver}} of {{service}} is drained or disabled"),
)


def frame(
    uid: str,
    title: str,
    question: str,
    content: Iterable[Part],
    *,
    variables: Iterable[str] = ("instance",),
    runbooks: str = RUNBOOKS_URL,
) -> models.Dashboard:
    """A dashboard of these rows and panels; each has the variable ``cluster`` before its own."""
    made = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(question)
        .tags([TAG])
        .time("now-6h", "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(_datasource())
    )
    shown = ("cluster", *variables)
    for name in shown:
        made.with_variable(_variable(name))
    made.with_variable(_runbooks(runbooks))
    for name, color, query, _ in ANNOTATIONS:
        made.annotation(
            dashboard.AnnotationQuery()
            .name(name)
            .datasource(SOURCE)
            .enable(True)
            .icon_color(color)
            .expr(query.filled if "vip" in shown else query.of_any_vip.filled)
        )
    made.link(
        dashboard.DashboardLink("lvsguard")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .include_vars(True)
        .keep_time(True)
        .as_dropdown(False)
    )
    made.link(
        dashboard.DashboardLink("Runbooks")
        .type(models.DashboardLinkType.LINK)
        .icon("doc")
        .url(f"{RUNBOOKS}/README.md")
        .target_blank(True)
    )
    for part in content:
        if isinstance(part, dashboard.Row):
            made.with_row(part)
        else:
            made.with_panel(part)
    return _numbered(made.build())


def _numbered(made: models.Dashboard) -> models.Dashboard:
    """Panels have ids, so that links to one of them last."""
    for number, panel in enumerate(made.panels or [], 1):
        panel.id_val = number
    return made


def _datasource() -> dashboard.DatasourceVariable:
    return dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus")


def _variable(name: str) -> dashboard.QueryVariable:
    variable = (
        dashboard.QueryVariable(name)
        .label(LABELS[name])
        .datasource(SOURCE)
        .query({"query": Query(VARIABLES[name]).filled, "refId": name})
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )
    if name in SEVERAL:
        everything = models.VariableOption(selected=True, text=["All"], value=["$__all"])
        variable.multi(True).include_all(True).current(everything)
    if name == "cluster":
        # The list of its values would leave out a single pair, which need not have the label.
        variable.all_value(".*")
    return variable


def _runbooks(url: str) -> dashboard.TextBoxVariable:
    here = models.VariableOption(selected=True, text=url, value=url)
    return (
        dashboard.TextBoxVariable("runbooks")
        .label("Runbooks at")
        .default_value(url)
        .current(here)
        .options([here])
        .hide(models.VariableHide.HIDE_VARIABLE)
    )
