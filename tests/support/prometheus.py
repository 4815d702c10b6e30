"""A real Prometheus on a host of the lab, with the project's rules in a hurry.

What is changed of the rules is time alone (`hurried`): an alert that fires here by its own
expression fires in production by the same one, later.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

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
"""Not waited for to rest: the guest itself stands still for so long now and then."""
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

    def wait_for_rest(self, within_s: float = 60) -> float:
        """Wait until nothing fires."""
        try:
            return wait_until(
                lambda: all(one["alertname"] in GUESTS_OWN for one in self.firing()),
                within_s,
                "nothing fires",
                every_s=0.5,
            )
        except AssertionError as error:
            raise AssertionError(f"{error}; what does: {self.firing()}") from error

    def scraped(self) -> bool:
        """Whether every director was scraped well the last time."""
        targets = self._ask("/api/v1/targets?state=active")["activeTargets"]
        assert isinstance(targets, list)
        return bool(targets) and all(target["health"] == "up" for target in targets)

    def _ask(self, path: str) -> dict[str, object]:
        status, text = self.host.get(IPv4Address("127.0.0.1"), path, port=PORT)
        assert status == 200, text
        data = json.loads(text)["data"]
        assert isinstance(data, dict)
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
        f"--web.listen-address=127.0.0.1:{PORT}",
        "--log.level=warn",
    )
    prometheus = Prometheus(host, process)

    def ready() -> bool:
        assert process.running, process.text()
        try:
            return prometheus.scraped()
        except (OSError, AssertionError):
            return False

    wait_until(ready, 30, "Prometheus scrapes", every_s=0.25)
    return prometheus
