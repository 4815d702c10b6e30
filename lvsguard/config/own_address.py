"""Which of the host's own addresses a check asks from. It looks at what it is given, not at the
kernel.

Left to the kernel the source would be the primary address of the realserver's network, and after
an address flush that may be a VIP, which the realserver holds too and would answer to itself.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from lvsguard.config.review import Interfaces
from lvsguard.core.agent import Agent
from lvsguard.core.config import (
    ArpSpec,
    Check,
    CheckSpec,
    Config,
    RealserverConfig,
    ServiceConfig,
    VipPath,
)
from lvsguard.core.model import IPAddress


class OwnAddresses:
    """A host's addresses without the VIPs, the best one first."""

    def __init__(self, interfaces: Interfaces | None, vips: Collection[IPAddress]) -> None:
        """Take a host's interfaces; None knows of no address."""
        found = {
            one
            for addresses in (interfaces or {}).values()
            for one in addresses
            if one.ip not in vips and not (one.version == 6 and one.is_link_local)
        }
        self._interfaces = {
            one.ip: name
            for name, addresses in (interfaces or {}).items()
            for one in addresses
            if not one.is_loopback
        }
        self._all = frozenset(one.ip for one in found)
        self._order = sorted(found, key=lambda one: (-one.network.prefixlen, int(one.ip)))
        self._known: dict[IPAddress, IPAddress | None] = {}

    def facing(self, realserver: IPAddress, asked: IPAddress | None = None) -> IPAddress | None:
        """The address in the realserver's network: of the longest prefix, then the lowest. None
        where the realserver is in no network of this host.

        ``asked``: what it was asked from until now, which it is while this host has that, or
        nothing better.
        """
        if asked in self._all:
            return asked
        if realserver not in self._known:  # most realservers serve several services
            # An address of the other family is in no network.
            matching = (one.ip for one in self._order if realserver in one.network)
            self._known[realserver] = next(matching, None)
        return self._known[realserver] or asked

    def interface(self, own: IPAddress | None) -> str:
        """The interface that an address of this host is on; empty where it is no link to others."""
        return "" if own is None else self._interfaces.get(own, "")


class Facing:
    """Has checks and agents ask from this host's own addresses."""

    def __init__(self, own: OwnAddresses) -> None:
        """Ask from these."""
        self._own = own
        self._made: dict[tuple[CheckSpec, IPAddress | None, IPAddress | None], CheckSpec] = {}

    def spec(self, spec: CheckSpec, realserver: IPAddress) -> CheckSpec:
        """The specification of a realserver's check with what it asks from."""
        arp = spec.arp
        own = self._own.facing(_asker(realserver, spec.path), spec.own)
        near = None if arp is None else self._own.facing(realserver, arp.source)
        if own is None and near is None:
            return spec
        # One object for all realservers of a network: there may be a hundred thousand.
        made = self._made.get((spec, own, near))
        if made is None:
            made = replace(
                spec, own=own if spec.source is None else None, arp=self._asked(arp, near)
            )
            self._made[spec, own, near] = made
        return made

    def agent(self, agent: Agent) -> Agent:
        """An agent with what it is asked from."""
        own = self._own.facing(agent.address, agent.spec.own)
        return agent if own == agent.spec.own else replace(agent, spec=replace(agent.spec, own=own))

    def leg(self, realserver: IPAddress) -> str:
        """The interface in whose network a realserver is; empty where there is none."""
        return self._own.interface(self._own.facing(realserver))

    def _asked(self, arp: ArpSpec | None, near: IPAddress | None) -> ArpSpec | None:
        """Where the host of a realserver in the network of an own address is asked for."""
        interface = self._own.interface(near)
        return (
            arp if arp is None or not interface else replace(arp, interface=interface, source=near)
        )


def faced(config: Config, interfaces: Interfaces) -> Config:
    """A config whose checks ask from what this host has now, where they asked from nothing or from
    what it has not any more. The very same where that is nothing new.

    A link that is known to lead to realservers stays known, though it has no address for now.
    """
    vips = {one.address for one in config.addresses}
    facing = Facing(OwnAddresses(interfaces, vips))
    services = tuple(_service(service, facing) for service in config.services)
    found = {facing.leg(r.key.address) for s in config.services for r in s.realservers} - {""}
    if found <= config.legs and all(
        one is other for one, other in zip(services, config.services, strict=True)
    ):
        return config
    return replace(config, services=services, legs=config.legs | found)


def _service(service: ServiceConfig, facing: Facing) -> ServiceConfig:
    realservers = tuple(_realserver(one, facing) for one in service.realservers)
    if all(one is other for one, other in zip(realservers, service.realservers, strict=True)):
        return service
    return replace(service, realservers=realservers)


def _realserver(realserver: RealserverConfig, facing: Facing) -> RealserverConfig:
    checks = tuple(_check(check, facing) for check in realserver.checks)
    agent = None if realserver.agent is None else facing.agent(realserver.agent)
    if (checks, agent) == (realserver.checks, realserver.agent):
        return realserver
    return replace(realserver, checks=checks, agent=agent)


def _check(check: Check, facing: Facing) -> Check:
    spec = facing.spec(check.spec, check.address)
    return check if spec == check.spec else Check(check.address, check.port, spec)


def _asker(realserver: IPAddress, path: VipPath | None) -> IPAddress:
    """In whose network the own address is: of the VIP's family, for the VIP answers to it."""
    if path is None or realserver.version == path.address.version:
        return realserver
    return path.address
