"""The small steps that a plan is made of. Values: they print as the commands they equal.

A step changes one service, one realserver or one address. ``Phase`` is the safety order: within
a phase the steps are independent of each other, a later phase relies on the earlier ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from lvsguard.core.model import (
    Forwarding,
    IPAddress,
    Realserver,
    RealserverKey,
    ServiceKey,
    TunnelKind,
    VipAddress,
    VirtualService,
    endpoint,
)


class Phase(IntEnum):
    """The order in which steps are applied: grow before shrink, serve before announce.

    Vacating is last: a VIP that gets another prefix or interface leaves its old place only then.
    """

    WITHDRAW = 1
    SERVE = 2
    GROW = 3
    SHRINK = 4
    RETIRE = 5
    ANNOUNCE = 6
    VACATE = 7


@dataclass(frozen=True, slots=True)
class RemoveAddress:
    """Take a VIP off an interface."""

    address: VipAddress
    moved: bool = False
    """The same VIP is wanted with another prefix or interface: it stays here until it is there."""

    def __str__(self) -> str:
        return f"ip addr del {self.address}"


@dataclass(frozen=True, slots=True)
class AddAddress:
    """Put a VIP on an interface."""

    address: VipAddress

    def __str__(self) -> str:
        return f"ip addr add {self.address}"


@dataclass(frozen=True, slots=True)
class AddService:
    """Create a virtual service, without realservers."""

    service: ServiceKey
    wanted: VirtualService

    def __str__(self) -> str:
        return f"ipvsadm -A {_service(self.service)} {_settings(self.wanted, self.service)}"


@dataclass(frozen=True, slots=True)
class EditService:
    """Change scheduler, flags or persistence in place; realservers and connections stay."""

    service: ServiceKey
    wanted: VirtualService
    was: VirtualService

    def __str__(self) -> str:
        return f"ipvsadm -E {_service(self.service)} {_settings(self.wanted, self.service)}"


@dataclass(frozen=True, slots=True)
class DeleteService:
    """Delete a virtual service with all its realservers."""

    service: ServiceKey

    def __str__(self) -> str:
        return f"ipvsadm -D {_service(self.service)}"


@dataclass(frozen=True, slots=True)
class AddRealserver:
    """Add a realserver to a service."""

    service: ServiceKey
    realserver: RealserverKey
    wanted: Realserver

    def __str__(self) -> str:
        return f"ipvsadm -a {_service(self.service)} {_realserver(self.realserver, self.wanted)}"


@dataclass(frozen=True, slots=True)
class EditRealserver:
    """Change a realserver's weight, forwarding or thresholds in place."""

    service: ServiceKey
    realserver: RealserverKey
    wanted: Realserver
    was: Realserver

    def __str__(self) -> str:
        return f"ipvsadm -e {_service(self.service)} {_realserver(self.realserver, self.wanted)}"


@dataclass(frozen=True, slots=True)
class DeleteRealserver:
    """Delete a realserver from a service."""

    service: ServiceKey
    realserver: RealserverKey

    def __str__(self) -> str:
        where = endpoint(self.realserver.address, self.realserver.port)
        return f"ipvsadm -d {_service(self.service)} -r {where}"


AddressStep = AddAddress | RemoveAddress
IpvsStep = (
    AddService | EditService | DeleteService | AddRealserver | EditRealserver | DeleteRealserver
)
Step = AddressStep | IpvsStep

Subject = IPAddress | ServiceKey
"""What a failed step may harm: its VIP's address; for a firewall mark the service itself."""


def subject(step: Step) -> Subject:
    """The address (or mark) that a step belongs to; a failure blocks only this one."""
    if isinstance(step, AddAddress | RemoveAddress):
        return step.address.address
    return step.service if step.service.address is None else step.service.address


def phase(step: Step) -> Phase:
    """Where a step stands in the safety order."""
    match step:
        case RemoveAddress():
            return Phase.VACATE if step.moved else Phase.WITHDRAW
        case AddService() | EditService():
            return Phase.SERVE
        case AddRealserver():
            return Phase.GROW
        case EditRealserver():
            return Phase.SHRINK if step.wanted.weight < step.was.weight else Phase.GROW
        case DeleteRealserver():
            return Phase.SHRINK
        case DeleteService():
            return Phase.RETIRE
        case AddAddress():
            return Phase.ANNOUNCE


_PROTOCOL_FLAG = {"tcp": "-t", "udp": "-u", "sctp": "--sctp-service"}
_FORWARDING_FLAG = {Forwarding.DR: "-g", Forwarding.NAT: "-m", Forwarding.TUN: "-i"}


def _service(key: ServiceKey) -> str:
    if key.address is None or key.protocol is None:
        return f"-f {key.fwmark}" + (" -6" if key.family == 6 else "")
    return f"{_PROTOCOL_FLAG[key.protocol]} {endpoint(key.address, key.port)}"


def _settings(service: VirtualService, key: ServiceKey) -> str:
    words = [f"-s {service.scheduler}"]
    if service.persistence is not None:
        words.append(f"-p {service.persistence.timeout}")
        if service.persistence.prefix != (128 if key.family == 6 else 32):
            words.append(f"-M {_mask(service.persistence.prefix, key)}")
        if service.persistence.engine:
            words.append(f"--pe {service.persistence.engine}")
    if service.one_packet:
        words.append("-o")
    if service.flags:
        words.append(f"-b {','.join(sorted(service.flags))}")
    return " ".join(words)


def _mask(prefix: int, key: ServiceKey) -> str:
    if key.family == 6 or not 0 <= prefix <= 32:  # what cannot be is printed as it is
        return str(prefix)
    bits = (0xFFFFFFFF << (32 - prefix)) & 0xFFFFFFFF
    return ".".join(str(bits >> shift & 0xFF) for shift in (24, 16, 8, 0))


def _realserver(key: RealserverKey, realserver: Realserver) -> str:
    words = [f"-r {endpoint(key.address, key.port)}"]
    words.append(_FORWARDING_FLAG.get(realserver.forwarding, f"({realserver.forwarding})"))
    words.append(f"-w {realserver.weight}")
    tunnel = realserver.tunnel
    if tunnel is not None and tunnel.kind is not TunnelKind.IPIP:
        words.append(f"--tun-type {tunnel.kind}")
        if tunnel.kind is TunnelKind.GUE:
            words.append(f"--tun-port {tunnel.port}")
        words.append(f"--tun-{tunnel.checksum}")
    if realserver.upper_threshold:
        words.append(f"-x {realserver.upper_threshold}")
    if realserver.lower_threshold:
        words.append(f"-y {realserver.lower_threshold}")
    return " ".join(words)
