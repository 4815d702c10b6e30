"""The text exposition format 0.0.4: escaping, headers, and families that are filled line by line.

prometheus.io/docs/instrumenting/exposition_formats. It knows no metric.
"""

from __future__ import annotations

from collections.abc import Iterator

from lvsguard.telemetry.catalog import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PIECE_LINES = 1000
"""Lines of a piece: about 90 kB, joined and encoded in a fraction of a millisecond."""

_LABEL = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_HELP = str.maketrans({"\\": r"\\", "\n": r"\n"})


def escape(value: str) -> str:
    """A label's value; what is no Unicode text (lone surrogates) becomes question marks."""
    return value.translate(_LABEL).encode("utf-8", "replace").decode()


def labels(**values: str) -> str:
    """``{a="x",b="y"}``."""
    return "{" + ",".join(f'{name}="{escape(value)}"' for name, value in values.items()) + "}"


def number(value: float) -> str:
    """A sample's value: whole numbers without a point."""
    return str(int(value)) if value == int(value) else repr(value)


class Family:
    """The lines of one metric family, which must stand together."""

    def __init__(self, metric: Metric) -> None:
        self._header = (
            f"# HELP {metric.name} {metric.help.translate(_HELP)}\n"
            f"# TYPE {metric.name} {metric.kind}\n"
        )
        self.name = metric.name
        self.lines: list[str] = []
        """Each with its line break."""

    def add(self, labelled: str, value: float) -> None:
        """A sample; ``labelled`` comes from ``labels``."""
        self.lines.append(f"{self.name}{labelled} {number(value)}\n")

    def pieces(self) -> Iterator[bytes]:
        """The family's text; nothing when it has no lines."""
        if not self.lines:
            return
        yield self._header.encode()
        for start in range(0, len(self.lines), PIECE_LINES):
            yield "".join(self.lines[start : start + PIECE_LINES]).encode()
