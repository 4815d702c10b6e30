"""Expositions of a whole day as one OpenMetrics text with times, which promtool can backfill.

github.com/prometheus/OpenMetrics, specification 1.0: families stand together, in them the points of
a metric in the order of time, each with all of its buckets, and counters are named without
``_total`` in their header.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_HEADER = re.compile(r"# (HELP|TYPE) (\S+) ?(.*)")
_SAMPLE = re.compile(r"(?P<name>[^{ ]+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
_PART = re.compile(r"_(bucket|sum|count)$")
_BOUND = re.compile(r'le="[^"]*",?')

Point = tuple[str, str]
"""A series, by name and labels, and its value and time."""


class Recorder:
    """Takes scrapes as Prometheus would, with the labels and the series that it adds."""

    def __init__(self, job: str = "lvsguard") -> None:
        self._job = job
        self._headers: dict[str, dict[str, str]] = {"up": {"TYPE": "gauge"}}
        self._points: dict[str, dict[str, list[Point]]] = {"up": {}}
        """By family and metric, which is what a histogram's buckets have in common."""

    def take(self, instance: str, exposition: str | None, at: int) -> None:
        """A scrape at this time (seconds since the epoch); None: nobody answered."""
        added = f'instance="{instance}",job="{self._job}"'
        self._add("up", added, f"up{{{added}}}", f"{int(exposition is not None)} {at}")
        for line in (exposition or "").splitlines():
            if header := _HEADER.fullmatch(line):
                self._headers.setdefault(header[2], {})[header[1]] = header[3]
            elif sample := _SAMPLE.fullmatch(line):
                name, labels = sample["name"], sample["labels"]
                labels = f"{labels},{added}" if labels else added
                metric = _BOUND.sub("", labels) if name.endswith("_bucket") else labels
                point = f"{name}{{{labels}}}", f"{sample['value']} {at}"
                self._add(self._family(name), metric, *point)

    def series(self, family: str) -> dict[str, list[str]]:
        """The series of a family, by name and labels; each sample is ``value time``."""
        found: dict[str, list[str]] = {}
        for points in self._points.get(family, {}).values():
            for series, sample in points:
                found.setdefault(series, []).append(sample)
        return found

    def _family(self, name: str) -> str:
        if name in self._headers:
            return name
        family = _PART.sub("", name)
        return family if family in self._headers else name

    def _add(self, family: str, metric: str, series: str, sample: str) -> None:
        points = self._points.setdefault(family, {}).setdefault(metric, [])
        points.append((sys.intern(series), sample))

    def write(self, path: Path) -> None:
        """Write all of it."""
        with path.open("w") as text:
            for family, metrics in self._points.items():
                header = self._headers.get(family, {})
                kind = header.get("TYPE", "unknown")
                name = family.removesuffix("_total") if kind == "counter" else family
                text.write(f"# TYPE {name} {kind}\n")
                if "HELP" in header:
                    text.write(f"# HELP {name} {header['HELP']}\n")
                for points in metrics.values():
                    text.writelines(f"{series} {sample}\n" for series, sample in points)
            text.write("# EOF\n")
