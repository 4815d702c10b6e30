"""What the keys of a service and a realserver come to together: identity, ports, forwarding."""

from __future__ import annotations

from lvsguard.config.forwarding_schema import SorryServerTable, TunnelTable
from lvsguard.config.schema import PersistenceTable, RealserverTable, ServiceTable
from lvsguard.core.config import SorryServer
from lvsguard.core.model import (
    Family,
    Forwarding,
    Persistence,
    Protocol,
    RealserverKey,
    ServiceKey,
    Tunnel,
)


def family_of(service: ServiceTable) -> Family:
    """Address family of a service."""
    if service.address is not None:
        return Family(service.address.address.version)
    return Family.INET6 if service.family == "inet6" else Family.INET


def service_key(service: ServiceTable) -> ServiceKey:
    """Identity of a service that has either an address or a mark."""
    if service.address is None:
        return ServiceKey.marked(service.fwmark or 0, family_of(service))
    return ServiceKey.at(service.protocol or Protocol.TCP, *service.address)


def can_be_watched(service: ServiceTable) -> bool:
    """Whether its counters tell of connections that do not establish: UDP and SCTP have none that
    could, and what a firewall mark takes is not known."""
    tcp = service.protocol in {None, Protocol.TCP} and service.address is not None
    return tcp and not service.one_packet


def service_port(service: ServiceTable) -> int:
    """Port of a service; 0 takes every port."""
    return service.address.port if service.address else 0


def port_of(realserver: RealserverTable, service: ServiceTable) -> int:
    """Port of a realserver; 0 leaves the client's."""
    return service_port(service) if realserver.port is None else realserver.port


def forwarding_of(realserver: RealserverTable, service: ServiceTable) -> Forwarding:
    """Forwarding method of a realserver."""
    return realserver.forwarding or service.forwarding


def tunnel_of(realserver: RealserverTable, service: ServiceTable) -> Tunnel | None:
    """How a realserver's packets are encapsulated; None without forwarding tun."""
    return _tunnel(forwarding_of(realserver, service), realserver.tunnel or service.tunnel)


def _tunnel(forwarding: Forwarding, table: TunnelTable | None) -> Tunnel | None:
    if forwarding is not Forwarding.TUN:
        return None
    table = table or TunnelTable()
    return Tunnel(table.kind, table.port or 0, table.checksum)


def sorry_server_of(service: ServiceTable) -> SorryServer | None:
    """Sorry server of a service."""
    match service.sorry_server:
        case None:
            return None
        case SorryServerTable(address=place, forwarding=own):
            forwarding = own or service.forwarding
        case place:
            forwarding = service.forwarding
    key = RealserverKey(place.address, place.port or service_port(service))
    return SorryServer(key, forwarding, _tunnel(forwarding, service.tunnel))


def persistence_of(service: ServiceTable) -> Persistence | None:
    """Persistence of a service."""
    table = service.persistence
    if table is None:
        return None
    widest = 32 if family_of(service) is Family.INET else 128
    if not isinstance(table, PersistenceTable):
        return Persistence(table, widest)
    return Persistence(table.timeout, table.prefix or widest, table.engine)
