"""Every kind of event, and the MESSAGE_ID by which the systemd journal knows it. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import fields
from functools import cache
from types import MappingProxyType
from typing import Final

# All events are loaded, so that ``Event`` knows them.
from lvsguard.core import (
    admin_event,
    agent_event,
    crowd_event,
    hook,
    peer_event,
    service_event,
    vrrp_event,
)
from lvsguard.core.event import Event

ROOMS: Final = (
    admin_event,
    agent_event,
    crowd_event,
    hook,
    peer_event,
    service_event,
    vrrp_event,
)
_IDS: Final = uuid.UUID("5f1c6b1e-7c0e-5b1a-9c55-1d7f0f4b8a2e")
"""The name space of the ids: never to be changed."""


@cache
def by_kind() -> Mapping[str, type[Event]]:
    """Every kind with its class; where classes share one, the one that was there first."""
    kinds: dict[str, type[Event]] = {}
    for event in _below(Event):
        kinds.setdefault(event.kind, event)
    return MappingProxyType(dict(sorted(kinds.items())))


@cache
def message_id(kind: str) -> str:
    """The MESSAGE_ID of a kind: 32 hex digits that never change while the kind has its name."""
    return uuid.uuid5(_IDS, kind).hex


def _below(event: type[Event]) -> Iterable[type[Event]]:
    for one in event.__subclasses__():
        if one.__module__.startswith("lvsguard."):
            yield one
            yield from _below(one)


_PREAMBLE: Final = """\
# Events

What `lvsguard events` prints, the admin API streams, the history keeps, and the log tells: one line
an event. Made from the events themselves (`lvsguard/core`).

The history goes back 30 days, at most 100,000 events and 256 MiB of the
[state directory](config.md#state); the oldest go first.

In the systemd journal each line carries fields that can be asked for: `LVSGUARD_KIND=` and the
MESSAGE_ID of the kind, as below, and what the event is about, where it is about something:
`LVSGUARD_SERVICE=`, `LVSGUARD_REALSERVER=` (`address:port`), `LVSGUARD_VIP=`, `LVSGUARD_PEER=`,
`LVSGUARD_ACTOR=`, `LVSGUARD_TICKET=`, and `LVSGUARD_TRACE=`, the id that a verdict or an override
carries to the kernel. A MESSAGE_ID never changes while its kind has its name. All lines of one
kind, or of one realserver, or of one verdict:

```
journalctl -u lvsguard LVSGUARD_KIND=health
journalctl -u lvsguard LVSGUARD_REALSERVER=10.0.0.42:80 LVSGUARD_REALSERVER=10.0.0.42
journalctl -u lvsguard LVSGUARD_TRACE=3f29c01ab7
```

The second asks for both, since `LVSGUARD_REALSERVER=` is the bare address where only the host is
known: of `mac-changed`, `conflict`, `conflict-drain`, and of overrides of a whole host. Neither a
service nor a realserver has `drift` of the whole table, of an address or of a setting, and what
sums up many events (`health-many`, `applied-many`, `more`), though it may name an example.

`lvsguard run --log-format json` writes lines of JSON for Loki and the like: `time`, `level`,
`message`, `event` (the kind), `message_id`, and the fields of the event.

| kind | level | MESSAGE_ID | what happened | fields |
|---|---|---|---|---|
"""


def reference() -> str:
    """The reference page, in Markdown."""
    return _PREAMBLE + "".join(_row(kind, event) for kind, event in by_kind().items())


def _row(kind: str, event: type[Event]) -> str:
    what = " ".join((event.__doc__ or "").split()).replace("|", r"\|")
    names = ", ".join(f"`{one.name}`" for one in fields(event))
    levels = dict.fromkeys(one.level.name.lower() for one in _below(Event) if one.kind == kind)
    return f"| `{kind}` | {', '.join(levels)} | `{message_id(kind)}` | {what} | {names} |\n"
