"""A real Prometheus (Debian's) on loopback, over what was scraped or is backfilled."""

from __future__ import annotations

import json
import shutil
import socket
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.processes import Process, Processes, run, wait_until

if TYPE_CHECKING:
    from pathlib import Path

INSTALLED = shutil.which("prometheus") is not None and shutil.which("promtool") is not None
MISSING = "prometheus is not installed (Debian package: prometheus)"
STARTS_WITHIN_S = 60


@dataclass(frozen=True, slots=True)
class Series:
    """One of an answer: its labels, and times (seconds since the epoch) with values."""

    labels: dict[str, str]
    points: tuple[tuple[float, float], ...]


def backfill(text: Path, storage: Path) -> None:
    """Make the storage of an OpenMetrics text with times."""
    made = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet"]
    run([*made, "--max-block-duration=24h", str(text), str(storage)], timeout_s=300)


@dataclass(slots=True)
class Prometheus:
    """It runs, until its ``Processes`` are closed."""

    process: Process
    url: str

    @classmethod
    def start(
        cls,
        processes: Processes,
        folder: Path,
        storage: Path,
        stale_s: int,
        rules: Path | None = None,
    ) -> Prometheus:
        """Start one that scrapes nothing. A sample counts for ``stale_s`` after its time."""
        config = folder / "prometheus.yml"
        files = f"rule_files: [{rules}]\n" if rules else ""
        config.write_text(f"global: {{scrape_interval: 1m}}\n{files}")
        with socket.create_server(("127.0.0.1", 0)) as found:
            port = found.getsockname()[1]
        command = [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={storage}",
            "--storage.tsdb.retention.time=100y",
            f"--web.listen-address=127.0.0.1:{port}",
            f"--query.lookback-delta={stale_s}s",
            "--log.level=warn",
        ]
        made = cls(processes.start("prometheus", command), f"http://127.0.0.1:{port}")
        wait_until(made._ready, STARTS_WITHIN_S, "prometheus is ready", every_s=0.1)
        return made

    def _ready(self) -> bool:
        assert self.process.running, self.process.text()
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def at(self, expr: str, time: float) -> list[Series]:
        """The answer to an instant query."""
        return self._ask("query", query=expr, time=time)

    def between(self, expr: str, begin: float, end: float, step_s: float) -> list[Series]:
        """The answer to a range query."""
        return self._ask("query_range", query=expr, start=begin, end=end, step=step_s)

    def values(self, label: str, match: str, span: tuple[float, float] | None = None) -> list[str]:
        """The values of a label, of the series that match; of such a time only, if one is given."""
        range_ = {} if span is None else {"start": span[0], "end": span[1]}
        asked = urllib.parse.urlencode({"match[]": match, **range_})
        with urllib.request.urlopen(f"{self.url}/api/v1/label/{label}/values?{asked}") as answer:
            return [str(value) for value in json.load(answer)["data"]]

    def rules(self) -> list[dict[str, object]]:
        """The rules that it was given, as it understands them."""
        with urllib.request.urlopen(f"{self.url}/api/v1/rules") as answer:
            groups = json.load(answer)["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def _ask(self, what: str, **asked: object) -> list[Series]:
        url = f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(asked)}"
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                found = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")
            raise AssertionError(f"{asked['query']}: {said}") from None
        return [
            Series(
                one["metric"],
                tuple(
                    (float(at), float(value)) for at, value in one.get("values") or [one["value"]]
                ),
            )
            for one in found
        ]
