"""The published picture as the status document, in pieces that never hold up the loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import msgspec

from lvsguard.admin import protocol, status_reply
from lvsguard.admin.protocol import moment
from lvsguard.core.actor import actor
from lvsguard.core.model import ServiceKey, endpoint
from lvsguard.core.occupancy import Count, remaining
from lvsguard.core.override import Override
from lvsguard.core.snapshot import (
    AgentStatus,
    ForeignStatus,
    PeerStatus,
    RealserverStatus,
    ServiceStatus,
    SyncStatus,
    View,
    VipStatus,
)
from lvsguard.serving import Slices

PIECE_BYTES = 32 * 1024
"""Pieces are about this long, so that a write hands over something worth a system call."""

_encode = msgspec.json.Encoder().encode


async def status_json(view: View, slices: Slices) -> AsyncGenerator[bytes, None]:
    """The Status document. The caller may wait between pieces; slices are counted without that."""
    head = status_reply.StatusHead(
        director=view.director,
        version=view.version,
        config_hash=view.config_digest,
        vips=[vip(status) for status in view.vips()],
        sync=sync(view.sync()),
        peers=[peer(status) for status in view.peers()],
    )
    piece = bytearray(_encode(head)[:-1])
    piece += b',"services":['
    comma = b""
    for status in view.services():
        piece += comma
        piece += _encode(service_head(status))[:-1]
        piece += b',"realservers":['
        comma = b""
        for realserver_status in status.realservers:
            piece += comma
            piece += _encode(realserver(realserver_status, status.waits_for))
            comma = b","
            if slices.due():
                await slices.rest()
            if len(piece) >= PIECE_BYTES:
                slices.end()
                yield bytes(piece)
                slices.begin()
                piece.clear()
                await slices.rest()  # a caller whose socket takes it does not wait
        piece += b"]}"
        comma = b","
    piece += b'],"foreign":['
    comma = b""
    for stranger in view.foreign():
        piece += comma
        piece += _encode(foreign(stranger))
        comma = b","
        if slices.due():
            await slices.rest()
    piece += b"]}"
    slices.end()
    yield bytes(piece)


def vip(status: VipStatus) -> status_reply.VipReply:
    """A VIP group."""
    return status_reply.VipReply(
        name=status.name,
        addresses=[f"{a.address}/{a.prefix}" for a in status.addresses],
        vrid=status.vrid,
        role=status.role,
        since=moment(status.since),
        priority=status.priority,
        master=status.master,
        ready=status.ready,
        why=list(status.why),
        problem=status.problem,
        held_back=status.held_back,
        conflicts=[
            status_reply.ConflictReply(
                address=str(one.address),
                mac=one.mac,
                realserver=None if one.realserver is None else str(one.realserver),
                since=moment(one.since),
            )
            for one in status.conflicts
        ],
        paths=[
            status_reply.PathReply(interface=one.interface, heard=one.heard, problem=one.problem)
            for one in status.paths
        ],
    )


def sync(status: SyncStatus | None) -> status_reply.SyncReply | None:
    """Connections kept in step."""
    if status is None:
        return None
    last = status.transfer
    return status_reply.SyncReply(
        interface=status.interface,
        sync_id=status.sync_id,
        group=status.group,
        port=status.port,
        daemons=list(status.daemons),
        transfer=None
        if last is None
        else status_reply.TransferReply(
            at=moment(last.at),
            entries=last.entries,
            seconds=round(last.seconds, 3),
            peer=last.peer,
            received=last.received,
        ),
    )


def peer(status: PeerStatus) -> status_reply.PeerReply:
    """Another director."""
    return status_reply.PeerReply(
        name=status.name,
        address=status.address,
        heard=status.heard,
        since=moment(status.since),
        last=moment(status.last),
        version=status.version,
        config_hash=status.config,
        same_config=status.same_config,
        same_health=not status.differs if status.heard else None,
        programmed=status.programmed,
        same_overrides=status.same_overrides,
        refused=status.refused,
        differs=list(status.differs),
        vips=[
            status_reply.PeerVip(name=one.name, role=one.role, ready=one.ready)
            for one in status.vips
        ],
        problem=status.problem,
        fit=status.fit,
        unfit=[status_reply.UnfitReply(why=one.why, text=one.text) for one in status.unfit],
        config_differs=list(status.config_differs),
        clock_offset=None if status.clock is None else round(status.clock.seconds, 6),
        clock_bound=None if status.clock is None else round(status.clock.bound, 6),
        other_table=status.other_table,
    )


def where(key: ServiceKey) -> str:
    """A service's address without its protocol: ``10.0.0.8:80`` or ``fwmark 7``."""
    if key.address is None:
        return str(key)
    return endpoint(key.address, key.port)


def service_head(status: ServiceStatus) -> status_reply.ServiceHead:
    """A service without its realservers."""
    return status_reply.ServiceHead(
        name=status.name,
        address=where(status.key),
        protocol=status.key.protocol,
        scheduler=status.scheduler,
        forwarding=status.forwarding,
        quorum=status_reply.Quorum(have=status.quorum_have, need=status.quorum_need),
        panic=status.panic,
        sorry_server=_sorry_server(status),
        slow_starting=status.rising,
        why=list(status.why),
        waits_for=list(status.waits_for),
        present=status.present,
    )


def _sorry_server(status: ServiceStatus) -> status_reply.SorryServer | None:
    key = status.sorry_server
    if key is None:
        return None
    return status_reply.SorryServer(address=str(key.address), port=key.port, active=status.sorry)


def realserver(
    status: RealserverStatus, waits_for: tuple[Count, ...]
) -> status_reply.RealserverReply:
    """A realserver; ``waits_for`` is of its service."""
    return status_reply.RealserverReply(
        name=status.name,
        address=str(status.key.address),
        port=status.key.port,
        verdict=status.verdict,
        admin=status.admin,
        weight=status.weight,
        configured_weight=status.configured_weight,
        since=moment(status.since),
        reason=status.reason,
        connections=status_reply.Connections(
            active=status.counters.active,
            inactive=status.counters.inactive,
            persistent=status.counters.persistent,
            packets=status.counters.in_packets,
            total=status.counters.connections,
        ),
        agent=_agent(status.agent),
        notes=list(status.notes),
        full_weight=status.full_weight,
        weight_read=status.weight_read,
        remaining=remaining(waits_for, status.counters),
    )


def _agent(status: AgentStatus | None) -> status_reply.AgentReply | None:
    if status is None:
        return None
    return status_reply.AgentReply(
        kind=status.kind,
        port=status.port,
        state=status.state,
        share=round(status.share, 4),
        asked=round(status.asked, 4),
        silent=status.silent,
        note=status.note,
    )


def foreign(status: ForeignStatus) -> status_reply.ForeignReply:
    """A service of somebody else."""
    return status_reply.ForeignReply(
        address=where(status.key),
        protocol=status.key.protocol,
        scheduler=status.scheduler,
        realservers=[
            status_reply.ForeignRealserver(address=str(key.address), port=key.port, weight=weight)
            for key, weight in status.realservers.items()
        ],
    )


def health(view: View) -> status_reply.HealthReply:
    """How the controller does."""
    loop = view.loop()
    return status_reply.HealthReply(
        programmed=loop.programmed,
        trouble=list(loop.trouble),
        passes=loop.passes,
        last_pass=moment(loop.last_pass),
        pass_seconds=loop.pass_seconds,
        read_seconds=loop.read_seconds,
        probers=loop.probers,
        probers_wanted=loop.probers_wanted,
        kernel_writes=loop.kernel_writes,
        config_path=view.config_path,
        started=moment(view.started),
        reloaded=moment(view.reloaded),
        reload_ok=view.reload_ok,
    )


def override(held: Override) -> protocol.OverrideReply:
    """An override in force."""
    who = actor(held.actor)
    return protocol.OverrideReply(
        target=str(held.target),
        address=str(held.target.address),
        port=held.target.port,
        service=held.target.service,
        kind=held.kind,
        weight=None if held.weight is None else str(held.weight),
        actor=held.actor,
        reason=held.reason,
        since=moment(held.since),
        expires=moment(held.expires),
        ticket=held.ticket,
        user=None if who is None else who.user or None,
        uid=None if who is None else who.uid,
    )
