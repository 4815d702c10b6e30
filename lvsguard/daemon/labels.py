"""What an event is about, as the fields of a log line that can be asked for. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lvsguard.admin.entry import Plain, fields_of
from lvsguard.core.event import Event
from lvsguard.core.event_kinds import message_id
from lvsguard.daemon.journald import Fields

_NAMES: Final = ("service", "realserver", "vip", "peer", "actor", "trace")


def labels(event: Event) -> Fields:
    """``LVSGUARD_...`` and MESSAGE_ID; what an event is not about has no field."""
    data = fields_of(event)
    found: dict[str, list[str]] = {
        "MESSAGE_ID": [message_id(event.kind)],
        "LVSGUARD_KIND": [event.kind],
    }
    for name in _NAMES:
        found[f"LVSGUARD_{name.upper()}"] = list(_texts(data.get(name)))
    found["LVSGUARD_SERVICE"] += _texts(data.get("services"))
    override = data.get("override")
    if isinstance(override, dict):
        where, _, service = str(override.get("target", "")).partition(" in ")
        found["LVSGUARD_REALSERVER"].append(where)
        found["LVSGUARD_SERVICE"] += _texts(service)
        found["LVSGUARD_TICKET"] = list(_texts(override.get("ticket")))
        if not found["LVSGUARD_ACTOR"]:
            found["LVSGUARD_ACTOR"] = list(_texts(override.get("actor")))
    return {name: values for name, values in found.items() if values}


def _texts(value: Plain) -> Iterator[str]:
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, str) and one:
            yield one
