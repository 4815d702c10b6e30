"""A plan's steps told for people and programs: what, where, from what to what, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lvsguard.admin.protocol import StepReply
from lvsguard.core.model import Realserver, RealserverKey, ServiceKey, VirtualService
from lvsguard.core.step import (
    AddAddress,
    AddRealserver,
    AddService,
    DeleteRealserver,
    DeleteService,
    EditRealserver,
    EditService,
    RemoveAddress,
    Step,
)

MISSING = "configured, not in the kernel"
SURPLUS = "in the kernel, not configured"
DIFFERS = "the kernel differs from what is wanted"
OUT = "not to be in rotation"

Reasons = Mapping[tuple[ServiceKey, RealserverKey], str]
"""Why a configured realserver's weight is what it is."""


def tell(step: Step, names: Mapping[ServiceKey, str], reasons: Reasons) -> StepReply:
    """Tell a step; ``names`` are those of the configured services, ``reasons`` may be empty."""
    action, changes = _what(step)
    if isinstance(step, AddAddress | RemoveAddress):
        group, name, thing = f"addresses on {step.address.interface}", None, "address"
        subject = f"{step.address.address}/{step.address.prefix}"
    elif isinstance(step, AddService | EditService | DeleteService):
        group, name, thing = str(step.service), names.get(step.service), "service"
        subject = group
    else:
        group, name, thing = str(step.service), names.get(step.service), "realserver"
        subject = str(step.realserver)
    return StepReply(
        action=action,
        object=thing,
        group=group,
        name=name,
        subject=subject,
        changes=changes,
        why=_why(step, reasons),
        command=str(step),
    )


def _what(step: Step) -> tuple[str, list[str]]:
    match step:
        case AddAddress():
            return "add", []
        case AddService():
            told = [f"{k} {v}" for k, v in _service(step.wanted) if v not in ("none", "off")]
            return "add", told
        case AddRealserver():
            return "add", [f"{k} {v}" for k, v in _realserver(step.wanted) if v != "none"]
        case EditService():
            return "change", list(_differences(_service(step.was), _service(step.wanted)))
        case EditRealserver():
            return "change", list(_differences(_realserver(step.was), _realserver(step.wanted)))
        case RemoveAddress() | DeleteService() | DeleteRealserver():
            return "remove", []


def _why(step: Step, reasons: Reasons) -> str:
    match step:
        case AddRealserver() | EditRealserver() | DeleteRealserver():
            usual = {AddRealserver: MISSING, EditRealserver: DIFFERS, DeleteRealserver: OUT}
            return reasons.get((step.service, step.realserver)) or usual[type(step)]
        case AddAddress() | AddService():
            return MISSING
        case EditService():
            return DIFFERS
        case RemoveAddress() | DeleteService():
            return SURPLUS


_Fields = Iterator[tuple[str, str]]


def _service(service: VirtualService) -> _Fields:
    yield "scheduler", service.scheduler
    yield "flags", ",".join(sorted(service.flags)) or "none"
    held = service.persistence
    yield "persistence", "off" if held is None else f"{held.timeout}s /{held.prefix}"
    yield "persistence engine", (held.engine or "none") if held else "none"
    yield "one-packet", "on" if service.one_packet else "off"


def _realserver(realserver: Realserver) -> _Fields:
    yield "weight", str(realserver.weight)
    yield "forwarding", str(realserver.forwarding)
    tunnel = realserver.tunnel
    told = "none" if tunnel is None else f"{tunnel.kind} port {tunnel.port} {tunnel.checksum}"
    yield "tunnel", told
    yield "upper-threshold", str(realserver.upper_threshold or "none")
    yield "lower-threshold", str(realserver.lower_threshold or "none")


def _differences(was: _Fields, wanted: _Fields) -> Iterator[str]:
    for (name, before), (_, after) in zip(was, wanted, strict=True):
        if before != after:
            yield f"{name} {before} -> {after}"
