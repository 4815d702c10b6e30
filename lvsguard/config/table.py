"""What every table of the file is made of: strict keys, and values that may differ by director.

A value that has alternatives is told apart by its TOML type alone, so that a mistake inside one
alternative is not reported for the others too.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Tag

from lvsguard.config.address import label

ONE: Final = "=one"
TABLE: Final = "=table"
LIST: Final = "=list"
"""Tags of the alternatives of a value; no key of a model can look like them."""


def table_or_one(value: object) -> str:
    """Tag of a value that may be a table."""
    return TABLE if isinstance(value, dict) else ONE


def list_or_one(value: object) -> str:
    """Tag of a value that may be a list."""
    return LIST if isinstance(value, list) else ONE


T = TypeVar("T")
DirectorName = Annotated[str, label("a director's name")]
PerDirector = Annotated[
    Annotated[T, Tag(ONE)] | Annotated[dict[DirectorName, T], Tag(TABLE)],
    Discriminator(table_or_one),
]
"""A value, or a table of values keyed by director name."""


class Table(BaseModel):
    """A table of the file: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)
