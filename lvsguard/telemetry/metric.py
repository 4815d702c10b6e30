"""What a metric is: its name, type, meaning and labels. Nothing is measured here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Types of the text exposition format."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric family."""

    name: str
    kind: Kind
    help: str
    """One sentence."""
    labels: tuple[str, ...] = ()


def gauge(name: str, text: str, *labels: str) -> Metric:
    """One that goes up and down; ``name`` without the project's."""
    return Metric(f"lvsguard_{name}", Kind.GAUGE, text, labels)


def counter(name: str, text: str, *labels: str) -> Metric:
    """One that only grows; ``name`` without the project's and ``_total``."""
    return Metric(f"lvsguard_{name}_total", Kind.COUNTER, text, labels)


def histogram(name: str, text: str, *labels: str) -> Metric:
    """One of buckets; ``name`` without the project's."""
    return Metric(f"lvsguard_{name}", Kind.HISTOGRAM, text, labels)


def declared(names: Mapping[str, object]) -> tuple[Metric, ...]:
    """The metrics among a module's names, in their order."""
    return tuple(value for value in tuple(names.values()) if isinstance(value, Metric))
