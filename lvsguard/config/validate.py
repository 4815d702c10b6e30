"""From the TOML values to a Document: every mistake in single values, and what is left to judge.

pydantic finds all of them in one go. For the rules that come after, each mistake is then cut out
of a copy and the rest validated again, so that a wrong weight does not hide a duplicate service.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Final, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from lvsguard.config.agent_schema import AgentTable
from lvsguard.config.check_schema import CanaryTable, CheckTable
from lvsguard.config.cluster_schema import ClusterTable
from lvsguard.config.forwarding_schema import SorryServerTable, TunnelTable
from lvsguard.config.hook_schema import HookTable
from lvsguard.config.ipvs_schema import IpvsTable
from lvsguard.config.leaf import near, show
from lvsguard.config.peer_schema import PeerTable
from lvsguard.config.problem import KeyPath
from lvsguard.config.remote_schema import RemoteTable
from lvsguard.config.schema import (
    AdminTable,
    DirectorTable,
    Document,
    PersistenceTable,
    RealserverTable,
    ServiceTable,
    StateTable,
    TelemetryTable,
    VipTable,
)
from lvsguard.config.secret import SECRETS
from lvsguard.config.table import LIST, ONE, TABLE, Table
from lvsguard.config.vrrp_schema import (
    AnnounceTable,
    AuthTable,
    SyncTable,
    TrackTable,
    VrrpTable,
)

VALUES: Final = 500_000
"""Values in a file at most; each may become a problem of its own, and memory is bounded."""
PROBLEMS: Final = 1000
"""Problems that are told of one file; nobody reads more before the next attempt."""

TABLES: Final[Mapping[KeyPath, type[Table]]] = {
    (): Document,
    ("director",): DirectorTable,
    ("vip",): VipTable,
    ("vip", "vrrp"): VrrpTable,
    ("vip", "vrrp", "track"): TrackTable,
    ("vip", "vrrp", "announce"): AnnounceTable,
    ("vip", "vrrp", "auth"): AuthTable,
    ("service",): ServiceTable,
    ("service", "check"): CheckTable,
    ("service", "check", "canary"): CanaryTable,
    ("service", "agent"): AgentTable,
    ("service", "tunnel"): TunnelTable,
    ("service", "persistence"): PersistenceTable,
    ("service", "sorry_server"): SorryServerTable,
    ("service", "realserver"): RealserverTable,
    ("service", "realserver", "check"): CheckTable,
    ("service", "realserver", "check", "canary"): CanaryTable,
    ("service", "realserver", "agent"): AgentTable,
    ("service", "realserver", "tunnel"): TunnelTable,
    ("sync",): SyncTable,
    ("peer",): PeerTable,
    ("cluster",): ClusterTable,
    ("ipvs",): IpvsTable,
    ("telemetry",): TelemetryTable,
    ("admin",): AdminTable,
    ("admin", "remote"): RemoteTable,
    ("hook",): HookTable,
    ("state",): StateTable,
}
"""Model of each table, by its key path without indices."""

_UNWRITTEN: Final = frozenset({ONE, TABLE, LIST, "[key]"})
"""Tags of alternatives, and pydantic's word for a key that is wrong as a key."""
_LISTS: Final = frozenset({"vip", "track", "service", "realserver"})

T = TypeVar("T", bound=Table)


@dataclass(frozen=True, slots=True)
class Fault:
    """A mistake before its line is known."""

    path: KeyPath
    message: str


@dataclass(frozen=True, slots=True)
class Validated:
    """The document with the faulty parts cut out, and the faults.

    ``document`` is None when too little was left, or too much was wrong. ``doubtful``: paths whose
    value is not what the file says; a rule that involves one stays silent.
    """

    document: Document | None
    faults: tuple[Fault, ...] = ()
    doubtful: frozenset[KeyPath] = frozenset()


def entries(tables: Sequence[T]) -> Iterator[tuple[int, T]]:
    """The tables of a list with their indices, without those that were cut out."""
    for index, table in enumerate(tables):
        if table.model_fields_set:
            yield index, table


def validate(values: Mapping[str, object]) -> Validated:
    """Check every single value of a parsed file."""
    try:
        return Validated(Document.model_validate(values))
    except ValidationError as error:
        details = error.errors(include_url=False)
    faults, doubtful = _faults(details[:PROBLEMS])
    if len(details) > PROBLEMS:
        return Validated(None, (*faults, _more(len(details))))
    copy = deepcopy(dict(values))
    for _ in range(8):  # a cut may uncover that the table around it lacks something now
        for one in details:
            _cut(copy, one)
        try:
            return Validated(Document.model_validate(copy), faults, doubtful)
        except ValidationError as error:
            details = error.errors(include_url=False)
    return Validated(None, faults, doubtful)


def _more(count: int) -> Fault:
    return Fault((), f"{count} problems; these are the first {PROBLEMS}")


def bounded(faults: Sequence[Fault]) -> Sequence[Fault]:
    """Not more faults than anybody reads, and a word on the others."""
    if len(faults) <= PROBLEMS + 1:
        return faults
    return [_more(len(faults)), *faults[:PROBLEMS]]


def size(values: Mapping[str, object]) -> int:
    """Number of values in a parsed file, containers included."""
    count = 0
    stack: list[object] = [values]
    while stack:
        value = stack.pop()
        count += 1
        if isinstance(value, dict):
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)
    return count


def _path(detail: ErrorDetails) -> KeyPath:
    """Where in the file a mistake is: pydantic's place without what is not written there."""
    *around, last = detail["loc"]
    path = [part for part in around if part not in _UNWRITTEN]
    # An unknown key is the file's own, whatever it looks like.
    if detail["type"] == "extra_forbidden" or last not in _UNWRITTEN:
        path.append(last)
    return tuple(path)


def _faults(details: Sequence[ErrorDetails]) -> tuple[tuple[Fault, ...], frozenset[KeyPath]]:
    """The faults, and the paths that hold something else than the file was meant to say."""
    unknown = [_path(one) for one in details if one["type"] == "extra_forbidden"]
    meant = {path: guess for path in unknown if (guess := _meant(path)) is not None}
    doubtful = {(*path[:-1], guess) for path, guess in meant.items()}
    faults = []
    for one in details:
        path = _path(one)
        if one["type"] == "extra_forbidden":
            faults.append(Fault(path, _unknown(path, meant.get(path))))
            continue
        if one["type"] == "missing" and path in doubtful:
            continue  # "naem" is not both an unknown key and a missing name
        faults.append(Fault(path, _message(one, path)))
        doubtful.add(path)
    return tuple(faults), frozenset(doubtful)


def _names(path: KeyPath) -> tuple[str, ...]:
    return tuple(part for part in path if isinstance(part, str))


def _meant(path: KeyPath) -> str | None:
    """The key that an unknown one was probably meant to be."""
    names = _names(path)
    table = TABLES.get(names[:-1])
    if table is None:
        return None
    return near(names[-1], table.model_fields)


def _unknown(path: KeyPath, meant: str | None) -> str:
    names = _names(path)
    if meant is not None:
        return f"unknown key; did you mean {meant}?"
    homes = [home for home, table in TABLES.items() if names[-1] in table.model_fields]
    if homes:
        where = " or ".join(dict.fromkeys(map(_header, homes)))
        return f"unknown key here; it belongs to {where}"
    table = TABLES.get(names[:-1])
    return f"unknown key; allowed here: {', '.join(table.model_fields if table else ())}"


def _header(home: KeyPath) -> str:
    spelled = ".".join(map(str, home))
    if not home:
        return "the top of the file"
    return f"[[{spelled}]]" if home[-1] in _LISTS else f"[{spelled}]"


def _message(detail: ErrorDetails, path: KeyPath) -> str:
    names = _names(path)
    told = _told(detail["input"], names)
    match detail["type"]:
        case "value_error":
            return str(detail["ctx"]["error"])
        case "missing":
            return f"missing: {_purpose(names)}"
        case "list_type" if names[-1] in _LISTS:
            return f"{told} where a list of tables is wanted; write [[{'.'.join(names)}]]"
        case "list_type":
            return f"{told} where a list is wanted; write [ ... ]"
        case "model_type" | "dict_type":
            return f"{told} where a table is wanted; write {{ key = value }}"
        case _:
            return f"{told}: {detail['msg']}"


def _told(value: object, names: tuple[str, ...]) -> str:
    """A wrong value as messages repeat it; of a secret not even that."""
    if names[:2] == ("vip", "vrrp") and not SECRETS.isdisjoint(names):
        return "a value"
    return show(value)


def _purpose(names: tuple[str, ...]) -> str:
    """What a missing key is for, with an example of how to write it."""
    field = TABLES[names[:-1]].model_fields[names[-1]]
    if not field.description:
        return f'write [{names[-1]}] with interface = "eth0"'
    text = field.description.split(". ")[0].rstrip(".")
    example = f", such as {names[-1]} = {_toml(field.examples[0])}" if field.examples else ""
    return f"{text[0].lower()}{text[1:]}{example}"


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_toml(one)}' for key, one in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(show, value))}]"
    return show(value)


_PLACEHOLDER: Final = {"interface": "lo"}
"""Stands for a [director] that is missing; nothing is ever built from it."""


def _cut(values: dict[str, object], detail: ErrorDetails) -> None:
    """Take one mistake out: a wrong key, or the whole entry where a key is missing."""
    path = _path(detail)
    if path and path[0] == "director" and (len(path) == 1 or path[1] == "interface"):
        director = values.get("director")
        kept = director if len(path) > 1 and isinstance(director, dict) else {}
        values["director"] = {**kept, **_PLACEHOLDER}
        return
    if detail["type"] == "missing":
        path = path[:-1]
    while path and not isinstance(path[-1], str) and not _is_entry(path):
        path = path[:-1]
    _remove(values, path)


def _is_entry(path: KeyPath) -> bool:
    """Whether it is a table of a list; a user's own name may well be one of those lists' names."""
    return len(path) > 1 and path[-2] in _LISTS and _names(path) in TABLES


def _remove(values: dict[str, object], path: KeyPath) -> None:
    holder: object = values
    for part in path[:-1]:
        if isinstance(holder, dict):
            holder = holder.get(part)
        elif isinstance(holder, list) and isinstance(part, int) and part < len(holder):
            holder = holder[part]
    if isinstance(holder, dict) and path:
        holder.pop(path[-1], None)
    elif isinstance(holder, list) and isinstance(path[-1], int) and path[-1] < len(holder):
        # A model that was never filled keeps the place, so that indices go on meaning the same.
        holder[path[-1]] = TABLES[_names(path)].model_construct()
