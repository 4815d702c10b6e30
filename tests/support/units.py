"""Numbers with Grafana's units, as people read them."""

from __future__ import annotations

import math

_TIMES = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs"))
_SIZES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B"))
_BINARY = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))


def shown(value: float, unit: str) -> str:
    """Such as ``12 ms``."""
    if not math.isfinite(value):
        return "no data"
    if unit == "percentunit":
        return f"{_short(value * 100)}%"
    if unit == "s":
        return _scaled(value, _TIMES)
    if unit == "d":
        return f"{_short(value)} d"
    if unit == "Bps":
        return f"{_scaled(value, _SIZES)}/s"
    if unit == "bytes":
        return _scaled(value, _BINARY)
    return f"{_thousands(value)} c/s" if unit == "cps" else _thousands(value)


def _scaled(value: float, scale: tuple[tuple[float, str], ...]) -> str:
    for size, name in scale:
        if abs(value) >= size:
            return f"{_short(value / size)} {name}"
    return f"0 {scale[-1][1]}" if scale is not _TIMES else "0 s"


def _thousands(value: float) -> str:
    return f"{_short(value / 1000)}k" if abs(value) >= 10000 else _short(value)


def _short(value: float) -> str:
    if value == int(value):
        return str(int(value))
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
