"""Expositions of a whole day as one OpenMetrics text with times, which promtool can backfill.

github.com/prometheus/OpenMetrics, specification 1.0: families stand together, the samples of a
series in the order of time, counters are named without ``_total`` in their family's header.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_HEADER = re.compile(r"# (HELP|TYPE) (\S+) ?(.*)")
_SAMPLE = re.compile(r"(?P<name>[^{ ]+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
_PART = re.compile(r"_(bucket|sum|count)$")


class Recorder:
    """Takes scrapes as Prometheus would, with the labels and the series that it adds."""

    def __init__(self, job: str = "lvsguard") -> None:
        self._job = job
        self._headers: dict[str, dict[str, str]] = {"up": {"TYPE": "gauge"}}
        self._series: dict[str, dict[str, list[str]]] = {"up": {}}

    def take(self, instance: str, exposition: str | None, at: int) -> None:
        """A scrape at this time (seconds since the epoch); None: nobody answered."""
        added = f'instance="{instance}",job="{self._job}"'
        self._add("up", f"up{{{added}}}", f"{int(exposition is not None)} {at}")
        for line in (exposition or "").splitlines():
            if header := _HEADER.fullmatch(line):
                self._headers.setdefault(header[2], {})[header[1]] = header[3]
            elif sample := _SAMPLE.fullmatch(line):
                name, labels = sample["name"], sample["labels"]
                labels = f"{labels},{added}" if labels else added
                self._add(self._family(name), f"{name}{{{labels}}}", f"{sample['value']} {at}")

    def _family(self, name: str) -> str:
        if name in self._headers:
            return name
        family = _PART.sub("", name)
        return family if family in self._headers else name

    def _add(self, family: str, series: str, sample: str) -> None:
        self._series.setdefault(family, {}).setdefault(series, []).append(sample)

    def write(self, path: Path) -> None:
        """Write all of it."""
        with path.open("w") as text:
            for family, series in self._series.items():
                header = self._headers.get(family, {})
                kind = header.get("TYPE", "unknown")
                name = family.removesuffix("_total") if kind == "counter" else family
                text.write(f"# TYPE {name} {kind}\n")
                if "HELP" in header:
                    text.write(f"# HELP {name} {header['HELP']}\n")
                for labelled, samples in series.items():
                    text.writelines(f"{labelled} {sample}\n" for sample in samples)
            text.write("# EOF\n")
