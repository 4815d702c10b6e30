"""Which alerts fire in the simulated day: the rules that are shipped, asked of a real Prometheus.

promtool backfills recording rules and passes alerts over, so what their ``for`` means is here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, cast

from tests.support.backfilled import Prometheus, Series, backfill
from tests.support.day_script import DAY_S, MIDNIGHT
from tests.support.documents import CHECKOUT
from tests.support.processes import Processes

RULES = CHECKOUT / "deploy" / "prometheus" / "lvsguard.rules.yml"


def named_after(runbook: str) -> str:
    """The alert that a runbook is about."""
    return "".join(word.capitalize() for word in ("lvsguard", *runbook.split("-")))


class Alert(NamedTuple):
    """An alerting rule."""

    name: str
    expr: str
    """Without names of recordings."""
    wait_s: float
    """Its ``for``."""
    labels: Mapping[str, str]


def tell_alerts(folder: Path, storage: Path, *, step_s: int) -> None:
    """Add to the day's storage what a Prometheus with the rules would have written."""
    processes = Processes(folder)
    try:
        # What is a step old counts no more, as after a scrape that failed.
        prometheus = Prometheus.start(processes, folder, storage, step_s, RULES)
        lines = [
            f"ALERTS{{{labels}}} 1 {at:.0f}\n"
            for alert in alerts(prometheus.rules())
            for labels, times in _fired(prometheus, alert, step_s)
            for at in times
        ]
    finally:
        processes.close()
    text = folder / "alerts.txt"
    text.write_text("# TYPE ALERTS gauge\n" + "".join(lines) + "# EOF\n")
    backfill(text, storage)


def alerts(rules: list[dict[str, object]]) -> Iterator[Alert]:
    """The alerts of a file of rules, as Prometheus tells them."""
    recorded = {str(r["name"]): str(r["query"]) for r in rules if r["type"] == "recording"}
    for rule in rules:
        if rule["type"] == "alerting":
            expr = str(rule["query"])
            for name, query in recorded.items():
                expr = re.sub(rf"{re.escape(name)}\b", f"({query})".replace("\\", r"\\"), expr)
            wait_s = float(cast(float, rule["duration"]))
            yield Alert(str(rule["name"]), expr, wait_s, cast(dict[str, str], rule["labels"]))


def _fired(prometheus: Prometheus, alert: Alert, step_s: int) -> Iterator[tuple[str, list[float]]]:
    """Labels of each of its instances, and the times at which it fired."""
    for series in prometheus.between(alert.expr, MIDNIGHT, MIDNIGHT + DAY_S, step_s):
        labels = {
            **{name: value for name, value in series.labels.items() if name != "__name__"},
            **alert.labels,
            "alertname": alert.name,
            "alertstate": "firing",
        }
        told = ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
        if times := list(_lasting(series, alert.wait_s, step_s)):
            yield told, times


def _lasting(series: Series, wait_s: float, step_s: int) -> Iterator[float]:
    """Times at which it has been so for long enough."""
    since = before = 0.0
    for at, _ in series.points:
        if at - before > step_s:
            since = at
        before = at
        if at - since >= wait_s:
            yield at
