"""What an operator means by TARGET: names and addresses to targets. Acts on nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address

from lvsguard.admin.protocol import Affected
from lvsguard.core.model import IPAddress
from lvsguard.core.override import Override, OverrideKind, Target
from lvsguard.core.snapshot import RealserverStatus, View
from lvsguard.serving import Slices

KNOWN_MAX = 20
"""Entries of a list of what exists."""


class TargetError(Exception):
    """A target that means nothing, or too much. ``known`` lists what there is."""

    def __init__(self, code: str, message: str, known: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.known = known


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a TARGET means, and which configured realservers that concerns."""

    targets: tuple[Target, ...]
    realservers: tuple[Affected, ...]


def parse_endpoint(text: str) -> tuple[IPAddress, int | None] | None:
    """``10.0.0.42``, ``10.0.0.42:80``, ``2001:db8::42``, ``[2001:db8::42]:80``; None: a name."""
    address, colon, port = text.rpartition(":")
    bracketed = text.startswith("[")
    if bracketed and text.endswith("]"):
        return _endpoint(text[1:-1], None)
    if bracketed and colon and address.endswith("]"):
        return _endpoint(address[1:-1], port)
    if colon and ":" not in address:
        return _endpoint(address, port)
    return _endpoint(text, None)


def _endpoint(address: str, port: str | None) -> tuple[IPAddress, int | None] | None:
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    if port is None:
        return parsed, None
    if port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) < 65536:
        return parsed, int(port)
    return None


async def resolve(text: str, service: str | None, view: View) -> Resolution:
    """Find what a TARGET means in the configuration. Raises TargetError."""
    endpoint = parse_endpoint(text)
    slices = Slices()
    services: list[str] = []
    known: list[str] = []
    matches: list[tuple[str, RealserverStatus]] = []
    names: dict[IPAddress, set[str]] = {}
    for status in view.services():
        services.append(status.name)
        if service not in (None, status.name):
            continue
        for realserver in status.realservers:
            if slices.due():
                await slices.rest()
            names.setdefault(realserver.key.address, set()).add(realserver.name)
            if means(text, endpoint, realserver):
                matches.append((status.name, realserver))
            elif len(known) <= KNOWN_MAX:
                known.append(describe(status.name, realserver))
    if service is not None and service not in services:
        raise TargetError(
            "unknown-service",
            f"no service is named {service!r}: use a name from the config",
            _shorten(services),
        )
    if not matches:
        where = f" in service {service!r}" if service else ""
        raise TargetError(
            "unknown-target",
            f"no realserver{where} is {text!r}: give an address, address:port "
            "or a name from the config",
            _shorten(known),
        )
    if endpoint is not None:
        targets = [Target(*endpoint, service)]
    else:
        targets = _named(text, service, matches, names)
    return Resolution(tuple(targets), tuple(_affected(*match) for match in matches))


async def words(text: str, view: View) -> frozenset[str]:
    """By which words events tell of what TARGET means: the name itself, and where it names a
    realserver its endpoints. Something that is not configured is looked for all the same."""
    if parse_endpoint(text) is not None:
        return frozenset({text})
    slices = Slices()
    found = {text}
    for service in view.services():
        for realserver in service.realservers:
            if slices.due():
                await slices.rest()
            if realserver.name == text:
                found.add(str(realserver.key))
    return frozenset(found)


def clearable(
    target: Target, kind: OverrideKind, overrides: Iterable[Override]
) -> tuple[list[Target], list[Override]]:
    """What clearing a target ends, and which wider overrides would still cover it."""
    within: list[Target] = []
    wider: list[Override] = []
    for override in overrides:
        held = override.target
        if override.kind is not kind or held.address != target.address:
            continue
        if target.port in (None, held.port) and target.service in (None, held.service):
            within.append(held)
        elif held.port in (None, target.port) and held.service in (None, target.service):
            wider.append(override)
    return within, wider


def means(
    text: str, endpoint: tuple[IPAddress, int | None] | None, realserver: RealserverStatus
) -> bool:
    """Whether words, or the endpoint that they name, mean this realserver."""
    if endpoint is None:
        return realserver.name == text
    address, port = endpoint
    return realserver.key.address == address and port in (None, realserver.key.port)


def _named(
    text: str,
    service: str | None,
    matches: list[tuple[str, RealserverStatus]],
    names: dict[IPAddress, set[str]],
) -> list[Target]:
    addresses = {realserver.key.address for _, realserver in matches}
    if len(addresses) > 1:
        raise TargetError(
            "ambiguous",
            f"{text!r} names realservers of several addresses: say which with --service, "
            "or give the address",
            _shorten([describe(*match) for match in matches]),
        )
    (address,) = addresses
    if names[address] == {text}:
        return [Target(address, None, service)]
    ports = sorted({realserver.key.port for _, realserver in matches})
    return [Target(address, port, service) for port in ports]


def _affected(service: str, realserver: RealserverStatus) -> Affected:
    key = realserver.key
    return Affected(service=service, name=realserver.name, address=str(key.address), port=key.port)


def describe(service: str, realserver: RealserverStatus) -> str:
    """A realserver as a list of what there is names it."""
    key = realserver.key
    name = "" if realserver.name == str(key.address) else f"{realserver.name} "
    return f"{name}{key} in {service}"


def _shorten(known: list[str]) -> tuple[str, ...]:
    if len(known) <= KNOWN_MAX:
        return tuple(known)
    return (*known[:KNOWN_MAX], "...")
