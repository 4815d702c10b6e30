"""The committed dashboards, read as Grafana reads them: panels, their queries, variables."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from tests.support.documents import CHECKOUT

FOLDER = CHECKOUT / "grafana" / "dashboards"
BUILT_IN = {"__rate_interval", "__interval", "__range", "__url_time_range", "__data"}
"""Variables that Grafana itself fills in."""
_VARIABLE = re.compile(r"\$(?:\{(\w+)[^}]*\}|(\w+))")
_METRIC = re.compile(r"\b(?:lvsguard|process)_\w+\b|\b(?:up|ALERTS)\b(?=\{)")

Json = Mapping[str, object]
Words = dict[int, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Target:
    """A query of a panel."""

    expr: str
    legend: str
    instant: bool

    def filled(self, values: Mapping[str, str]) -> str:
        """The expression with variables filled in."""
        return filled(self.expr, values)


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel as it is in the file."""

    dashboard: str
    json: Json

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.title}"

    @property
    def title(self) -> str:
        return str(self.json["title"])

    @property
    def kind(self) -> str:
        return str(self.json["type"])

    @property
    def question(self) -> str:
        return str(self.json.get("description", ""))

    @property
    def place(self) -> tuple[int, int, int, int]:
        """Left, top, width, height, on a grid 24 wide."""
        grid = cast(dict[str, int], self.json["gridPos"])
        return grid["x"], grid["y"], grid["w"], grid["h"]

    @property
    def defaults(self) -> Json:
        """Unit, thresholds, mappings, ..."""
        return cast(Json, cast(Json, self.json["fieldConfig"])["defaults"])

    @property
    def links(self) -> list[str]:
        found = cast(list[dict[str, str]], self.json.get("links") or [])
        return [link["url"] for link in found]

    @property
    def targets(self) -> list[Target]:
        found = cast(list[dict[str, str]], self.json.get("targets") or [])
        return [
            Target(one["expr"], one.get("legendFormat", ""), bool(one.get("instant")))
            for one in found
        ]

    @property
    def steps(self) -> list[tuple[float, str]]:
        """Thresholds but the first: from such a value on, such a colour."""
        return [(float(one["value"]), str(one["color"])) for one in self._thresholds[1:]]

    @property
    def words(self) -> Words:
        """What values are called, and their colours."""
        return _options(cast(list[Json], self.defaults.get("mappings") or []))

    @property
    def unknown(self) -> tuple[str, str]:
        """What is said where there is no data, and the colour of its ground."""
        for one in cast(list[Json], self.defaults.get("mappings") or []):
            options = cast(Json, one["options"])
            if one["type"] == "special" and options["match"] == "null+nan":
                said = cast(Mapping[str, str], options["result"])
                return said["text"], said["color"]
        return "", str(self._thresholds[0]["color"])

    def word(self, value: float) -> tuple[str, str]:
        """What a value is called, and the colour of its ground; empty where it has none."""
        if math.isfinite(value) and int(value) in self.words:
            return self.words[int(value)]
        if not self.words and not self.steps:
            return "", ""
        first = str(self._thresholds[0]["color"])
        return "", [first, *(color for at, color in self.steps if value >= at)][-1]

    @property
    def columns(self) -> dict[str, str]:
        """Of a table: labels in their order, and what the columns are called."""
        options = cast(list[Mapping[str, Json]], self.json["transformations"])[-1]["options"]
        order = cast(Mapping[str, int], options["indexByName"])
        names = cast(Mapping[str, str], options["renameByName"])
        return {label: names[label] for label in sorted(order, key=order.__getitem__)}

    @property
    def cell_words(self) -> Words:
        """What the values of a table are called."""
        return _options(cast(list[Json], self._properties.get("mappings") or []))

    @property
    def cell_unit(self) -> str:
        """Of the values of a table."""
        return str(self._properties.get("unit", "none"))

    @property
    def _thresholds(self) -> list[dict[str, float | str]]:
        found = cast(Mapping[str, object], self.defaults["thresholds"])
        return cast(list[dict[str, float | str]], found["steps"])

    @property
    def _properties(self) -> dict[str, object]:
        found = cast(
            list[Mapping[str, list[Json]]], cast(Json, self.json["fieldConfig"])["overrides"]
        )
        return {str(p["id"]): p["value"] for one in found for p in one["properties"]}


def _options(mappings: list[Json]) -> Words:
    words: Words = {}
    for mapping in mappings:
        if mapping["type"] == "value":
            options = cast(Mapping[str, Mapping[str, str]], mapping["options"])
            words |= {int(value): (one["text"], one["color"]) for value, one in options.items()}
    return words


def names() -> list[str]:
    """Of the dashboards."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def dashboard(name: str) -> Json:
    """The whole file."""
    return cast(Json, json.loads((FOLDER / f"{name}.json").read_text()))


def rows_and_panels(name: str) -> list[Panel]:
    """In their order."""
    return [Panel(name, one) for one in cast(list[Json], dashboard(name)["panels"])]


def panels(name: str) -> list[Panel]:
    """Without the rows."""
    return [panel for panel in rows_and_panels(name) if panel.kind != "row"]


def every_panel() -> list[Panel]:
    return [panel for name in names() for panel in panels(name)]


def panel(name: str, title: str) -> Panel:
    """The one of this title."""
    (found,) = (one for one in panels(name) if one.title == title)
    return found


def variables(name: str) -> dict[str, str]:
    """Names of a dashboard's variables, and the queries that fill them (empty: none does)."""
    listed = cast(dict[str, list[dict[str, object]]], dashboard(name)["templating"])["list"]
    found = {}
    for one in listed:
        query = one.get("query")
        asked = cast(dict[str, str], query)["query"] if isinstance(query, dict) else ""
        found[str(one["name"])] = asked
    return found


def annotations_of(name: str) -> list[dict[str, str]]:
    """As they are in the file."""
    return cast(dict[str, list[dict[str, str]]], dashboard(name)["annotations"])["list"]


def annotation_queries(name: str) -> list[str]:
    """Expressions of a dashboard's annotations."""
    return [one["expr"] for one in annotations_of(name)]


def expressions(name: str) -> Iterator[str]:
    """Everything that a dashboard asks Prometheus."""
    for one in panels(name):
        yield from (target.expr for target in one.targets)
    yield from annotation_queries(name)
    yield from (query for query in variables(name).values() if query)


def filled(expr: str, values: Mapping[str, str]) -> str:
    """It with variables filled in."""
    return _VARIABLE.sub(lambda found: values[found[1] or found[2]], expr)


def label_values(query: str) -> tuple[str, str]:
    """The label and the selector of a query that fills a variable."""
    match, _, label = query.removeprefix("label_values(").removesuffix(")").rpartition(", ")
    return label, match


def used_variables(text: str) -> set[str]:
    """Names of variables in a text."""
    return {found[1] or found[2] for found in _VARIABLE.finditer(text)}


def selectors(expr: str) -> list[str]:
    """Names of metrics in an expression, each as often as it stands there."""
    return _METRIC.findall(expr)


def used_metrics(expr: str) -> set[str]:
    """Names of metrics in an expression."""
    return set(selectors(expr))
