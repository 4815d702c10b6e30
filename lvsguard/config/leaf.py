"""Leaves of the config: one TOML value to one checked Python value, or a text that says why not.

A leaf knows its bounds, its words for the reference page and its JSON Schema. It knows nothing of
the keys around it; relations between keys are ``rules``.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

SHOWN: Final = 60
"""Characters of a wrong value that a message repeats."""
LEAF_MESSAGE_MAX: Final = 5000
"""Characters of a message; the longest is a table of 32 headers that are all wrong."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """Metadata for ``Annotated``: how pydantic reads one value.

    ``parse`` raises ValueError with the whole message, of at most ``LEAF_MESSAGE_MAX`` characters
    whatever the value. ``allowed`` is what the reference says.
    """

    parse: Callable[[object], object]
    allowed: str
    schema: Mapping[str, object] = field(hash=False, compare=False)

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return dict(self.schema)


def show(value: object) -> str:
    """A wrong value as a message repeats it: as TOML writes it, and never long."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            short = value if len(value) <= SHOWN else value[: SHOWN - 3] + "..."
            return json.dumps(short, ensure_ascii=False)
        case int() if abs(value) >= 10**30:
            return "a huge number"
        case int() | float():
            return str(value)
        case dict():
            return "a table"
        case list():
            return "a list"
        case _:
            return str(value)[:SHOWN]


def near(word: str, words: Iterable[str]) -> str | None:
    """The one of ``words`` that was probably meant."""
    if len(word) > SHOWN:
        return None
    spelled = {known.lower(): known for known in words}
    found = difflib.get_close_matches(word.lower(), spelled, n=1, cutoff=0.6)
    return spelled[found[0]] if found else None


def whole(low: int, high: int, what: str = "a whole number") -> Leaf:
    """An integer in bounds."""
    allowed = f"{what} from {low} to {high}"

    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"{show(value)} is not {allowed}")
        if not low <= value <= high:
            side = "small" if value < low else "large"
            raise ValueError(f"{show(value)} is too {side}; {allowed}")
        return value

    return Leaf(parse, allowed, {"type": "integer", "minimum": low, "maximum": high})


_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)\s*(ms|s|m|h|d)", re.ASCII)
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def period(seconds: float) -> str:
    """Seconds as the config writes them: ``200ms``, ``1s``, ``5m``."""
    if seconds == 0:
        return "0s"
    for unit in ("d", "h", "m", "s"):
        amount = seconds / _UNITS[unit]
        if amount >= 1 and amount == int(amount):
            return f"{int(amount)}{unit}"
    return f"{seconds * 1000:g}ms" if seconds < 1 else f"{seconds:g}s"


def _seconds(value: object) -> float:
    how = 'write it like "200ms", "1s" or "5m", or as a number of seconds'
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        if match is None:
            raise ValueError(f"{show(value)} is not a duration; {how}")
        number, unit = match.groups()
        # Milliseconds divide: 200 * 0.001 would be 0.2000000000000001 for some of them.
        return float(number) / 1000 if unit == "ms" else float(number) * _UNITS[unit]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{show(value)} is not a duration; {how}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{show(value)} is not a duration; {how}")
    return float(max(-(10**15), min(value, 10**15)))  # a huge integer has no float


def seconds(low: float, high: float, *, integral: bool = False) -> Leaf:
    """A duration in bounds, as seconds: a float, or an int where the kernel counts whole ones."""
    allowed = f"a duration from {period(low)} to {period(high)}"
    if integral:
        allowed += " in whole seconds"

    def parse(value: object) -> float | int:
        amount = _seconds(value)
        if not low <= amount <= high:
            side = "short" if amount < low else "long"
            raise ValueError(f"{show(value)} is too {side}; {allowed}")
        if integral and amount != int(amount):
            raise ValueError(f"{show(value)} is not {allowed}")
        return int(amount) if integral else amount

    schema: Mapping[str, object] = {
        "anyOf": [
            {"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*(ms|s|m|h|d)\s*$"},
            {"type": "integer" if integral else "number", "minimum": low, "maximum": high},
        ]
    }
    return Leaf(parse, allowed, schema)


def share() -> Leaf:
    """A part of a whole, from 0 to 1."""
    allowed = "a share from 0 to 1, such as 0.5"

    def parse(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{show(value)} is not {allowed}")
        if not 0 <= value <= 1:  # not a number is neither
            raise ValueError(f"{show(value)} is not {allowed}")
        return float(value)

    return Leaf(parse, allowed, {"type": "number", "minimum": 0, "maximum": 1})


def choice(what: str, words: Iterable[StrEnum | str]) -> Leaf:
    """One of some words. Enum members come out as themselves."""
    known: dict[str, StrEnum | str] = {str(word): word for word in words}
    allowed = f"one of {', '.join(known)}"

    def parse(value: object) -> StrEnum | str:
        found = known.get(value) if isinstance(value, str) else None
        if found is None:
            guess = near(value, known) if isinstance(value, str) else None
            hint = f"; did you mean {show(guess)}?" if guess else ""
            raise ValueError(f"{show(value)} is not {what}; {allowed}{hint}")
        return found

    return Leaf(parse, allowed, {"type": "string", "enum": list(known)})


def text(
    what: str, longest: int, *, pattern: str | None = None, how: str = "", empty: bool = False
) -> Leaf:
    """A string of bounded length; ``pattern`` must match all of it, ``how`` says it in words."""
    shortest = 0 if empty else 1
    size = f"at most {longest} characters"
    allowed = f"{what}: {how}, {size}" if how else f"{what}: a string of {size}"
    compiled = re.compile(pattern) if pattern is not None else None

    def parse(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(f"{show(value)} is not {what}: a string is wanted")
        if len(value) < shortest:
            raise ValueError(f'"" is not {what}; it must not be empty')
        if len(value) > longest:
            raise ValueError(f"{show(value)} has {len(value)} characters; {size}")
        if compiled is not None and not compiled.fullmatch(value):
            raise ValueError(f"{show(value)} is not {what}; {how}")
        return value

    schema: dict[str, object] = {"type": "string", "minLength": shortest, "maxLength": longest}
    if pattern is not None:
        schema["pattern"] = f"^(?:{pattern})$"
    return Leaf(parse, allowed, schema)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{show(value)} is neither true nor false")
    return value


FLAG: Final = Leaf(_flag, "true or false", {"type": "boolean"})
