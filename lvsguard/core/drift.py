"""What somebody else changed: the difference between what was left behind and what was found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lvsguard.core.model import Realserver, RealserverKey, ServiceKey, VirtualService
from lvsguard.core.plan import same_settings


@dataclass(frozen=True, slots=True)
class Drift:
    """One thing that is not as it was left. ``realserver`` is None for the service itself."""

    service: ServiceKey
    realserver: RealserverKey | None
    differed: str

    @property
    def what(self) -> str:
        """``service`` or ``realserver``."""
        return "service" if self.realserver is None else "realserver"

    @property
    def subject(self) -> str:
        """For people."""
        if self.realserver is None:
            return str(self.service)
        return f"{self.realserver} in {self.service}"


def drifts(
    left: Mapping[ServiceKey, VirtualService], found: Mapping[ServiceKey, VirtualService]
) -> tuple[Drift, ...]:
    """Everything that differs; a service that is gone counts once, without its realservers."""
    found_all: list[Drift] = []
    for key, before in left.items():
        now = found.get(key)
        if now is not before:
            found_all.extend(_service_drifts(key, before, now))
    found_all.extend(
        Drift(key, None, "it was added by somebody else") for key in found if key not in left
    )
    return tuple(found_all)


def _service_drifts(
    key: ServiceKey, before: VirtualService, now: VirtualService | None
) -> Iterator[Drift]:
    if now is None:
        yield Drift(key, None, "it was deleted by somebody else")
        return
    if not same_settings(before, now):
        yield Drift(key, None, _settings(before, now))
    for realserver, was in before.realservers.items():
        entry = now.realservers.get(realserver)
        if entry is None:
            yield Drift(key, realserver, "it was deleted by somebody else")
        elif entry is not was and entry != was:
            yield Drift(key, realserver, _entry(was, entry))
    for realserver in now.realservers:
        if realserver not in before.realservers:
            yield Drift(key, realserver, "it was added by somebody else")


def _settings(before: VirtualService, now: VirtualService) -> str:
    words = [
        f"{name} {was} became {is_now}"
        for name, was, is_now in (
            ("scheduler", before.scheduler, now.scheduler),
            ("flags", _flags(before), _flags(now)),
            ("persistence", _persistence(before), _persistence(now)),
            ("one-packet", before.one_packet, now.one_packet),
        )
        if was != is_now
    ]
    return ", ".join(words)


def _flags(service: VirtualService) -> str:
    return ",".join(sorted(service.flags)) or "none"


def _persistence(service: VirtualService) -> str:
    held = service.persistence
    if held is None:
        return "none"
    engine = f" {held.engine}" if held.engine else ""
    return f"{held.timeout}s/{held.prefix}{engine}"


def _entry(was: Realserver, now: Realserver) -> str:
    words = [
        f"{name} {before} became {is_now}"
        for name, before, is_now in (
            ("weight", was.weight, now.weight),
            ("forwarding", was.forwarding, now.forwarding),
            ("tunnel", _tunnel(was), _tunnel(now)),
            ("upper threshold", was.upper_threshold, now.upper_threshold),
            ("lower threshold", was.lower_threshold, now.lower_threshold),
        )
        if before != is_now
    ]
    return ", ".join(words)


def _tunnel(entry: Realserver) -> str:
    tunnel = entry.tunnel
    if tunnel is None:
        return "none"
    port = f" port {tunnel.port}" if tunnel.port else ""
    return f"{tunnel.kind}{port} {tunnel.checksum}"
