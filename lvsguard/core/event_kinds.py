"""Every kind of event that there is, by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lvsguard.core import (
    admin_event,
    agent_event,
    crowd_event,
    event,
    hook,
    peer_event,
    service_event,
    vrrp_event,
)

_MODULES: Final = (
    event,
    admin_event,
    agent_event,
    crowd_event,
    hook,
    peer_event,
    service_event,
    vrrp_event,
)


def _below(base: type[event.Event]) -> Iterator[type[event.Event]]:
    for one in base.__subclasses__():
        yield one
        yield from _below(one)


def event_kinds() -> frozenset[str]:
    """Their names."""
    names = {module.__name__ for module in _MODULES}
    return frozenset(one.kind for one in _below(event.Event) if one.__module__ in names)
