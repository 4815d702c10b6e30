"""Rules of virtual services and their realservers: what the kernel, or the network, would not do.

The kernel takes much that cannot work (a dr realserver on another port gets the service's port all
the same); here it is an error.
"""

from __future__ import annotations

from lvsguard.config.agent_rules import check_agents
from lvsguard.config.check_rules import check_checks
from lvsguard.config.leaf import show
from lvsguard.config.pool_rules import check_pool
from lvsguard.config.problem import KeyPath
from lvsguard.config.realserver_rules import check_realservers
from lvsguard.config.review import Review
from lvsguard.config.schema import SCHEDULER_FLAGS, PersistenceTable, ServiceTable
from lvsguard.config.service_key import family_of, service_key
from lvsguard.config.validate import entries
from lvsguard.core.model import Family, Protocol, ServiceKey


def check_services(sheet: Review) -> None:
    """Every rule on every service."""
    if not sheet.document.service:
        sheet.say(
            ("service",),
            "no [[service]]: nothing to do, and a reload would take everything away;"
            " write at least one",
        )
    names: dict[str, int] = {}
    keys: dict[ServiceKey, int] = {}
    for index, service in entries(sheet.document.service):
        here: KeyPath = ("service", index)
        if names.setdefault(service.name, index) != index:
            sheet.say(
                (*here, "name"),
                f"{show(service.name)} is already the name of service[{names[service.name]}]",
                ("service", names[service.name], "name"),
            )
        key = _check_key(sheet, here, service)
        if key is not None and keys.setdefault(key, index) != index:
            sheet.say(
                (*here, "address" if service.address else "fwmark"),
                f"{key} is already service[{keys[key]}]",
                *((*path, part) for path in (here, ("service", keys[key])) for part in _KEYS),
            )
        _check_scheduling(sheet, here, service)
        _check_persistence(sheet, here, service)
        check_realservers(sheet, here, service)
        check_pool(sheet, here, service)
        check_checks(sheet, here, service)
        check_agents(sheet, here, service)


_KEYS = ("address", "fwmark", "family", "protocol")


def _check_key(sheet: Review, here: KeyPath, service: ServiceTable) -> ServiceKey | None:
    address, fwmark = (*here, "address"), (*here, "fwmark")
    if service.address is None and service.fwmark is None:
        sheet.say(
            here,
            'neither address nor fwmark; write address = "10.0.0.8:80"',
            address,
            fwmark,
        )
        return None
    if service.address is not None and service.fwmark is not None:
        sheet.say(fwmark, "address and fwmark exclude each other; leave one out", address)
        return None
    if service.address is None:
        if service.protocol is not None:
            sheet.say(
                (*here, "protocol"),
                "a firewall mark takes every protocol that was marked; leave protocol out",
                address,
            )
        return service_key(service)
    if service.family is not None:
        sheet.say(
            (*here, "family"), "family is for fwmark; an address has its own; leave it out", fwmark
        )
    if service.address.address not in sheet.vips:
        sheet.say(
            address,
            f"{service.address.address} is not a VIP of this file; add it to the addresses of a"
            " [[vip]]",
            ("vip",),
        )
    if not service.address.port and service.persistence is None:
        sheet.say(
            address,
            "no port; port 0 takes every port and needs persistence. Write it as"
            ' "10.0.0.8:80" or "[2001:db8::8]:80"',
            (*here, "persistence"),
        )
    return service_key(service)


def _check_scheduling(sheet: Review, here: KeyPath, service: ServiceTable) -> None:
    known = SCHEDULER_FLAGS.get(service.scheduler, frozenset())
    for place, flag in enumerate(service.scheduler_flags):
        if flag not in known:
            has = " or ".join(sorted(known)) if known else "no flags; only sh and mh have some"
            sheet.say(
                (*here, "scheduler_flags", place),
                f"{show(flag)} is not a flag of scheduler {service.scheduler}, which has {has}",
                (*here, "scheduler"),
            )
    if service.one_packet and service.address and service.protocol is not Protocol.UDP:
        sheet.say(
            (*here, "one_packet"),
            'one-packet scheduling is for UDP; set protocol = "udp" or leave it out',
            (*here, "protocol"),
            (*here, "address"),
        )
    tunnelled = service.forwarding == "tun" or any(
        realserver.forwarding == "tun" for _, realserver in entries(service.realserver)
    )
    if service.tunnel is not None and not tunnelled:
        sheet.say(
            (*here, "tunnel"),
            'no realserver here has forwarding = "tun"; set it or leave tunnel out',
            (*here, "forwarding"),
            (*here, "realserver"),
        )


def _check_persistence(sheet: Review, here: KeyPath, service: ServiceTable) -> None:
    table = service.persistence
    if not isinstance(table, PersistenceTable):
        return
    path = (*here, "persistence")
    if table.prefix is not None and table.prefix > 32 and family_of(service) is Family.INET:
        sheet.say(
            (*path, "prefix"),
            f"{table.prefix} is not a prefix length of IPv4; 1 to 32",
            (*here, "address"),
            (*here, "family"),
        )
    if table.engine == "sip" and service.address and service.protocol is not Protocol.UDP:
        sheet.say(
            (*path, "engine"),
            'the engine sip is for UDP; set protocol = "udp" or leave it out',
            (*here, "protocol"),
            (*here, "address"),
        )
