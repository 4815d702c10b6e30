"""Every kind of event, and the MESSAGE_ID by which the systemd journal knows it. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

# All events are loaded, so that ``Event`` knows them.
from lvsguard.core import agent_event, crowd_event, peer_event, service_event, vrrp_event
from lvsguard.core.event import Event

ROOMS: Final = (agent_event, crowd_event, peer_event, service_event, vrrp_event)
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
