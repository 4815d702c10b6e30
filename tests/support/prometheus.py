"""A real Prometheus on a host of the lab, with the project's rules in a hurry.

What is changed of the rules is time alone (`hurried`): an alert that fires here by its own
expression fires in production by the same one, later.
"""

from __future__ import annotations

import json
import math
import re
import time
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from tests.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.processes import Process
    from tests.support.topology import Host

RULES = Path(__file__).parents[2] / "deploy/prometheus/lvsguard.rules.yml"
EVERY_S = 1
"""Seconds between two scrapes and two evaluations."""
WINDOW = "20s"
GUESTS_OWN = frozenset({"LvsguardAdvertLate"})
"""May fire again at any time, for the guest itself stands still for so long now and then: they are
waited for to rest once, and not while all others do."""
PORT = 9090
CONFIG = """\
global: {{ scrape_interval: {every}s, scrape_timeout: {every}s, evaluation_interval: {every}s }}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: lvsguard
    static_configs:
      - targets: {targets}
        labels: {{ cluster: seed }}
"""


def hurried(rules: str) -> str:
    """The same rules: each `for` is a second, each window of minutes is WINDOW, and what is a day
    in an expression is five seconds. Thresholds and labels stay."""
    rules = re.sub(r"^( +for:) .*$", r"\1 1s", rules, flags=re.MULTILINE)
    rules = re.sub(r"\[\d+[mh]\]", f"[{WINDOW}]", rules)
    return re.sub(r"> 86400$", "> 5", rules, flags=re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Prometheus:
    """It runs until the network ends."""

    host: Host
    process: Process
    begun: float
    """When it was started, since the epoch."""

    def firing(self) -> list[dict[str, str]]:
        """Labels of the alerts that fire now."""
        data = self._ask("/api/v1/alerts")["alerts"]
        assert isinstance(data, list)
        return [alert["labels"] for alert in data if alert["state"] == "firing"]

    def fires(self, name: str, labels: Mapping[str, str]) -> bool:
        """Whether such an alert fires, whatever other labels it has."""
        return any(
            one["alertname"] == name and labels.items() <= one.items() for one in self.firing()
        )

    def wait_for(self, name: str, within_s: float = 20, **labels: str) -> float:
        """Wait until it fires."""
        try:
            return wait_until(
                lambda: self.fires(name, labels), within_s, f"{name} fires", every_s=0.5
            )
        except AssertionError as error:
            raise AssertionError(f"{error}; what does: {self.firing()}") from error

    def wait_for_end(self, *names: str, within_s: float = 60) -> None:
        """Wait until these do not fire, one after the other: each at some moment."""
        for name in names:
            try:
                wait_until(
                    lambda name=name: name not in self._names(),  # type: ignore[misc]
                    within_s,
                    f"{name} ends",
                    every_s=0.5,
                )
            except AssertionError as error:
                raise AssertionError(f"{error}; what fires: {self.firing()}") from error

    def wait_for_rest(self, within_s: float = 60) -> float:
        """Wait until nothing fires but what is the guest's own, and then for a moment at which that
        does not: each wait is so long at most."""
        try:
            others = wait_until(
                lambda: self._names() <= GUESTS_OWN, within_s, "nothing fires", every_s=0.5
            )
            return others + wait_until(
                lambda: not self._names() & GUESTS_OWN,
                within_s,
                f"{', '.join(GUESTS_OWN)} rests for a moment",
                every_s=0.5,
            )
        except AssertionError as error:
            raise AssertionError(f"{error}; what does: {self.firing()}") from error

    def query(self, expr: str) -> list[float]:
        """Every number that the query has had since the start, looked at each second."""
        asked = urlencode({"query": expr, "start": self.begun, "end": time.time(), "step": EVERY_S})
        series = self._ask(f"/api/v1/query_range?{asked}")["result"]
        assert isinstance(series, list)
        values = (float(value) for one in series for _, value in one["values"])
        return [value for value in values if math.isfinite(value)]

    def values(self, label: str, match: str) -> list[str]:
        """The values of a label, of the series that match."""
        found = self._get(f"/api/v1/label/{label}/values?{urlencode({'match[]': match})}")
        assert isinstance(found, list)
        return found

    def scraped(self) -> bool:
        """Whether every director was scraped well the last time."""
        targets = self._ask("/api/v1/targets?state=active")["activeTargets"]
        assert isinstance(targets, list)
        return bool(targets) and all(target["health"] == "up" for target in targets)

    def _names(self) -> set[str]:
        return {alert["alertname"] for alert in self.firing()}

    def _ask(self, path: str) -> dict[str, object]:
        data = self._get(path)
        assert isinstance(data, dict)
        return data

    def _get(self, path: str) -> object:
        status, text = self.host.get(IPv4Address("127.0.0.1"), path, port=PORT)
        assert status == 200, text
        data: object = json.loads(text)["data"]
        return data


def start_prometheus(host: Host, *targets: str) -> Prometheus:
    """Start it; it scrapes these (`address:port`)."""
    folder = host.processes.logs / "prometheus"
    folder.mkdir()
    rules, config = folder / "rules.yml", folder / "prometheus.yml"
    rules.write_text(hurried(RULES.read_text()))
    config.write_text(CONFIG.format(every=EVERY_S, rules=rules, targets=json.dumps(targets)))
    process = host.start(
        "prometheus",
        "prometheus",
        f"--config.file={config}",
        "--storage.tsdb.path=/run/prometheus",
        # A guest's clock may step back; the mark that a series has ended is lost then, and by the
        # default the series would be there for five minutes.
        "--query.lookback-delta=10s",
        f"--web.listen-address=127.0.0.1:{PORT}",
        "--log.level=warn",
    )
    prometheus = Prometheus(host, process, time.time())

    def ready() -> bool:
        assert process.running, process.text()
        try:
            return prometheus.scraped()
        except (OSError, AssertionError):
            return False

    wait_until(ready, 30, "Prometheus scrapes", every_s=0.25)
    return prometheus
