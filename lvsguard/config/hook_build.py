"""Hooks as the daemon has them: what their services are made of is looked up here, once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lvsguard.config.hook_schema import HookTable
from lvsguard.core.config import ServiceConfig, VipConfig
from lvsguard.core.event import Level
from lvsguard.core.hook import HookConfig


def build_hooks(
    tables: Sequence[HookTable],
    services: Sequence[ServiceConfig],
    vips: Sequence[VipConfig],
    keys: Mapping[Path, bytes],
) -> tuple[HookConfig, ...]:
    """All of them. ``keys``: what the files of keys hold."""
    return tuple(
        HookConfig(
            name=table.name,
            argv=table.command or (),
            url=table.url or "",
            key=b"" if table.key is None else keys.get(Path(table.key), b""),
            kinds=frozenset(table.events),
            about=frozenset(_about(table.services, services, vips)) if table.services else None,
            level=Level[table.level.upper()],
            timeout=table.timeout,
            give_up=table.give_up,
        )
        for table in tables
    )


def _about(
    names: Sequence[str], services: Sequence[ServiceConfig], vips: Sequence[VipConfig]
) -> Iterator[tuple[str, str]]:
    for service in services:
        if service.name not in names:
            continue
        yield "service", service.name
        for realserver in service.realservers:
            yield "realserver", str(realserver.key)
            yield "address", str(realserver.key.address)
        for vip in vips:
            if any(one.address == service.key.address for one in vip.addresses):
                yield "vip", vip.name
