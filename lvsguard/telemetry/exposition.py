"""The exposition formats: text 0.0.4 and OpenMetrics 1.0, chosen by the Accept header; escaping,
headers, and families that are filled line by line.

prometheus.io/docs/instrumenting/exposition_formats and prometheus.io/docs/specs/om. The samples'
lines are the same in both. It knows no metric.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum

import prometheus_client
from prometheus_client import CollectorRegistry, openmetrics

from lvsguard.telemetry.metric import Kind, Metric


class Form(StrEnum):
    """The formats; the values are their content types."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


_OPENMETRICS, _TEXT = "application/openmetrics-text", "text/plain"
_KINDS = {
    (_OPENMETRICS, ""): Form.OPENMETRICS,
    (_OPENMETRICS, "1.0.0"): Form.OPENMETRICS,
    (_TEXT, ""): Form.TEXT,
    (_TEXT, "0.0.4"): Form.TEXT,
}
_QUALITY = re.compile(r"[01](\.\d{0,3})?")
PIECE_LINES = 1000
"""Lines of a family after which a large one is packed: about 90 kB, joined and encoded in a
fraction of a millisecond."""
END = b"# EOF\n"
"""Ends an exposition of OpenMetrics, so that one that was cut off is known."""

_LABEL = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_HELP = {
    Form.TEXT: str.maketrans({"\\": r"\\", "\n": r"\n"}),
    Form.OPENMETRICS: _LABEL,
}
_ODD = re.compile(r'[\\"\n\ud800-\udfff]')


def chosen(accept: str) -> Form:
    """The format that the value of an Accept header (RFC 9110 section 12.5.1) prefers; text where
    it names neither, or makes no sense."""
    wishes = dict.fromkeys(Form, 0.0)
    for wish in accept.split(","):
        kind, *parameters = (part.strip().lower() for part in wish.split(";"))
        known = dict(part.split("=", 1) for part in parameters if "=" in part)
        form = _KINDS.get((kind, known.get("version", "")))
        if form is not None:
            wishes[form] = max(wishes[form], _quality(known.get("q", "1")))
    return Form.OPENMETRICS if wishes[Form.OPENMETRICS] > wishes[Form.TEXT] else Form.TEXT


def _quality(text: str) -> float:
    return float(text) if _QUALITY.fullmatch(text) else 0.0


def library(registry: CollectorRegistry, form: Form) -> bytes:
    """What prometheus_client writes of a registry, without the end of the exposition."""
    if form is Form.TEXT:
        return prometheus_client.generate_latest(registry)
    whole: bytes = openmetrics.exposition.generate_latest(registry)  # type: ignore[no-untyped-call]
    return whole.removesuffix(END)


def escape(value: str) -> str:
    """A label's value; what is no Unicode text (lone surrogates) becomes question marks."""
    if _ODD.search(value) is None:
        return value
    return value.translate(_LABEL).encode("utf-8", "replace").decode()


def labels(**values: str) -> str:
    """``{a="x",b="y"}``."""
    return "{" + ",".join([f'{name}="{escape(value)}"' for name, value in values.items()]) + "}"


def number(value: float) -> str:
    """A sample's value: whole numbers without a point."""
    return str(int(value)) if value == int(value) else repr(value)


def upper(value: float) -> str:
    """A bucket's upper bound: ``1.0``, as OpenMetrics wants it and prometheus_client has it."""
    return repr(float(value))


class Family:
    """The lines of one metric family, which must stand together."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self.name = metric.name
        self.lines: list[str] = []
        """Each with its line break; those that were not packed yet."""
        self._packed: list[bytes] = []

    def add(self, labelled: str, value: float) -> None:
        """A sample; ``labelled`` comes from ``labels``."""
        self.lines.append(f"{self.name}{labelled} {number(value)}\n")

    def pack(self) -> None:
        """Make one piece of the lines so far. Half a million small strings that are kept to the end
        cost more in fresh memory than all that is written in them."""
        if self.lines:
            self._packed.append("".join(self.lines).encode())
            self.lines.clear()

    def pieces(self, form: Form) -> Iterator[bytes]:
        """The family's text; nothing when it has no lines. It is empty afterwards."""
        self.pack()
        if not self._packed:
            return
        yield self._header(form).encode()
        yield from self._packed
        self._packed.clear()

    def _header(self, form: Form) -> str:
        metric, name = self._metric, self.name
        if form is Form.OPENMETRICS and metric.kind is Kind.COUNTER:
            name = name.removesuffix("_total")
        return f"# HELP {name} {metric.help.translate(_HELP[form])}\n# TYPE {name} {metric.kind}\n"
