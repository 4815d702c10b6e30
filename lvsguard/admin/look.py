"""Picks some realservers out of the published picture, and says whether their counts tell."""

from __future__ import annotations

from lvsguard.admin import status
from lvsguard.admin.realservers import FollowedService, RealserversReply
from lvsguard.admin.status_reply import RealserverReply
from lvsguard.admin.target import Resolution
from lvsguard.core.snapshot import Role, ServiceStatus, View
from lvsguard.serving import Slices

SYNC_DAEMONS = frozenset({"master", "backup"})


async def look(view: View, found: Resolution | None, service: str | None) -> RealserversReply:
    """What was resolved, or everything of a service."""
    wanted = None
    if found is not None:
        wanted = {(one.service, one.address, one.port) for one in found.realservers}
    services = []
    slices = Slices()
    for one in view.services():
        if service not in (None, one.name):
            continue
        told = []
        for realserver in one.realservers:
            key = realserver.key
            if wanted is None or (one.name, str(key.address), key.port) in wanted:
                told.append(status.realserver(realserver, one.waits_for))
            if slices.due():
                await slices.rest()
        if told:
            services.append(_followed(view, one, told))
    return RealserversReply(reads=view.loop().reads, services=services)


def _followed(view: View, service: ServiceStatus, told: list[RealserverReply]) -> FollowedService:
    head = status.service_head(service)
    here = _here(view, service)
    return FollowedService(
        **{name: getattr(head, name) for name in head.__struct_fields__},
        realservers=told,
        here=here,
        doubt="" if here else _doubt(view),
    )


def _here(view: View, service: ServiceStatus) -> bool:
    """Whether what clients send to the service comes to this director."""
    address = service.key.address
    roles = {
        vip.role
        for vip in view.vips()
        if address is None or any(one.address == address for one in vip.addresses)
    }
    return roles <= {Role.MASTER}


def _doubt(view: View) -> str:
    """Why a director that does not forward cannot tell who is left.

    What another one forwards is known here by the kernel's sync of connections; and that one must
    know of the drain.
    """
    sync = view.sync()
    if sync is None or not SYNC_DAEMONS.issubset(sync.daemons):
        return "this director does not hold the VIP, and connections are not kept in step"
    if not any(peer.heard and peer.same_overrides for peer in view.peers()):
        return (
            "this director does not hold the VIP, and does not hear from another one that it "
            "knows of the drain: run this on the master"
        )
    return ""
