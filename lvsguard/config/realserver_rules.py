"""Rules of the realservers of one service."""

from __future__ import annotations

from lvsguard.config.forwarding_schema import TunnelTable
from lvsguard.config.leaf import show
from lvsguard.config.problem import KeyPath
from lvsguard.config.review import Review
from lvsguard.config.schema import RealserverTable, ServiceTable
from lvsguard.config.service_key import family_of, forwarding_of, port_of, service_port
from lvsguard.config.validate import entries
from lvsguard.core.model import Forwarding, RealserverKey, TunnelChecksum, TunnelKind

_CHECKSUMS = {
    TunnelKind.IPIP: (TunnelChecksum.NONE,),
    TunnelKind.GRE: (TunnelChecksum.NONE, TunnelChecksum.FULL),
    TunnelKind.GUE: tuple(TunnelChecksum),
}


def check_realservers(sheet: Review, here: KeyPath, service: ServiceTable) -> None:
    """Every rule on the realservers of a service, one by one and together."""
    if not service.realserver:
        sheet.say(
            (*here, "realserver"),
            "no realserver: every connection would be refused; write a [[service.realserver]]",
        )
    names: dict[str, int] = {}
    keys: dict[RealserverKey, int] = {}
    for index, realserver in entries(service.realserver):
        path = (*here, "realserver", index)
        key = RealserverKey(realserver.address, port_of(realserver, service))
        if keys.setdefault(key, index) != index:
            sheet.say(
                (*path, "address"),
                f"{key} is already realserver[{keys[key]}] of this service",
                *((*one, part) for one in (path, _at(here, keys[key])) for part in _KEYS),
                (*here, "address"),
            )
        elif realserver.name and names.setdefault(realserver.name, index) != index:
            first = names[realserver.name]
            sheet.say(
                (*path, "name"),
                f"{show(realserver.name)} is already the name of realserver[{first}]",
                (*_at(here, first), "name"),
            )
        _check_address(sheet, path, realserver, service)
        _check_port(sheet, path, realserver, service)
        _check_tunnel(sheet, path, realserver, service)
        _check_thresholds(sheet, path, realserver)
    if service.tunnel is not None:
        _check_encapsulation(sheet, (*here, "tunnel"), service.tunnel)


_KEYS = ("address", "port")


def _at(here: KeyPath, index: int) -> KeyPath:
    return (*here, "realserver", index)


def _check_address(
    sheet: Review, path: KeyPath, realserver: RealserverTable, service: ServiceTable
) -> None:
    where = (*path, "address")
    if realserver.address in sheet.vips:
        sheet.say(
            where,
            f"{realserver.address} is a VIP; write the realserver's own address",
            ("vip",),
        )
    family = family_of(service)
    forwarding = forwarding_of(realserver, service)
    if realserver.address.version != family and forwarding is not Forwarding.TUN:
        sheet.say(
            where,
            f"{realserver.address} is IPv{realserver.address.version} and the service is"
            f" IPv{family:d}; only forwarding tun can carry one in the other",
            *_forwarding(path),
            (*path[:-2], "address"),
            (*path[:-2], "fwmark"),
            (*path[:-2], "family"),
        )


def _forwarding(path: KeyPath) -> tuple[KeyPath, KeyPath]:
    return (*path, "forwarding"), (*path[:-2], "forwarding")


def _check_port(
    sheet: Review, path: KeyPath, realserver: RealserverTable, service: ServiceTable
) -> None:
    port, forwarding = realserver.port, forwarding_of(realserver, service)
    expected = service_port(service)
    if port is None or port == expected:
        return
    going_by = (*_forwarding(path), (*path[:-2], "address"), (*path[:-2], "fwmark"))
    if service.address is not None and expected == 0:
        message = "the service takes every port, so a realserver cannot have one; leave port out"
    elif forwarding is Forwarding.NAT:
        return  # nat is the one that translates ports, for a firewall mark too
    elif service.address is None:
        message = f"a firewall mark keeps the client's port with {forwarding}; leave port out"
    else:
        message = (
            f"{port} is not the service's port {expected}, and {forwarding} cannot translate"
            ' ports; leave port out or use forwarding = "nat"'
        )
    sheet.say((*path, "port"), message, *going_by)


def _check_tunnel(
    sheet: Review, path: KeyPath, realserver: RealserverTable, service: ServiceTable
) -> None:
    forwarding = forwarding_of(realserver, service)
    if realserver.tunnel is not None:
        if forwarding is not Forwarding.TUN:
            sheet.say(
                (*path, "tunnel"),
                f'forwarding {forwarding} has no tunnel; set forwarding = "tun" or leave it out',
                *_forwarding(path),
            )
        _check_encapsulation(sheet, (*path, "tunnel"), realserver.tunnel)


def _check_encapsulation(sheet: Review, path: KeyPath, tunnel: TunnelTable) -> None:
    kind = (*path, "kind")
    if tunnel.kind is TunnelKind.GUE and tunnel.port is None:
        sheet.say(
            path, "gue needs the UDP port of the realserver; write port = 6080", (*path, "port")
        )
    if tunnel.kind is not TunnelKind.GUE and tunnel.port is not None:
        sheet.say((*path, "port"), f"{tunnel.kind} has no port; leave it out", kind)
    if tunnel.checksum not in _CHECKSUMS[tunnel.kind]:
        allowed = " or ".join(_CHECKSUMS[tunnel.kind])
        sheet.say((*path, "checksum"), f"{tunnel.kind} cannot have it; {allowed}", kind)


def _check_thresholds(sheet: Review, path: KeyPath, realserver: RealserverTable) -> None:
    upper = sheet.pick(realserver.upper_threshold) or 0
    lower = sheet.pick(realserver.lower_threshold) or 0
    if lower and lower >= upper:
        limit = f"upper_threshold, {upper}" if upper else "upper_threshold, which is not set"
        sheet.say(
            (*path, "lower_threshold"),
            f"{lower} is not less than {limit}",
            (*path, "upper_threshold"),
        )
