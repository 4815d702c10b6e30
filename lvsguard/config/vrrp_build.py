"""From the vrrp, sync and peer tables to the values of one director.

Defaults that depend are here.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from lvsguard.config.peer_schema import PeerTable
from lvsguard.config.vrrp_schema import AuthTable, SyncTable, TrackTable, VrrpTable
from lvsguard.core.model import IPAddress
from lvsguard.core.peer import PeerConfig
from lvsguard.core.vrrp import (
    Announcing,
    ConnectionSync,
    HmacAuth,
    Track,
    TrackKind,
    VrrpConfig,
)

T = TypeVar("T")
COMMAND_TIMEOUT = 1.0
FALL, PEER_FALL = 2, 5
"""Looks; the checks of two directors may find the same failure some seconds apart."""


def build_vrrp(vrrp: VrrpTable, vip: str, director: str, keys: Mapping[Path, bytes]) -> VrrpConfig:
    """The election of the VIP of this name on ``director``. ``keys``: what the key files hold; a
    key whose file is not among them is left out."""
    sources = _sources(vrrp, director)
    return VrrpConfig(
        vrid=vrrp.vrid,
        priority=_on(vrrp.priority, director),
        interval=round(vrrp.interval, 2),
        version=vrrp.version,
        checksum=vrrp.checksum,
        password=vrrp.password,
        auth=None if vrrp.auth is None else _auth(vrrp.auth, keys),
        peers=_peers(vrrp, director),
        source=sources[0] if sources else None,
        source6=sources[1] if len(sources) > 1 else None,
        unicast_ttl=vrrp.unicast_ttl,
        strict=vrrp.strict,
        preempt=vrrp.preempt,
        preempt_delay=_on(vrrp.preempt_delay, director),
        start_delay=_on(vrrp.start_delay, director),
        heartbeat=tuple(_on(vrrp.heartbeat, director)),
        virtual_mac=vrrp.virtual_mac,
        sync_group=vrrp.sync_group,
        unready_drop=_drop(vrrp.unready_drop, director),
        track=tuple(_track(track, vip, director) for track in vrrp.track),
        announcing=Announcing(vrrp.announce.repeat, vrrp.announce.delay, vrrp.announce.refresh),
    )


def build_sync(sync: SyncTable | None, director: str, interface: str) -> ConnectionSync | None:
    """Connection sync on ``director``, over ``interface`` where the file names none."""
    if sync is None:
        return None
    return ConnectionSync(
        interface=interface if sync.interface is None else _on(sync.interface, director),
        sync_id=sync.sync_id,
        group=sync.group,
        port=sync.port,
        threshold=sync.threshold,
        period=sync.period,
    )


def build_peer(
    peer: PeerTable | None, director: str, files: Mapping[Path, bytes]
) -> PeerConfig | None:
    """The channel to the other directors, as seen from ``director``."""
    if peer is None or not isinstance(peer.addresses, dict):
        return None
    others = tuple((name, one) for name, one in peer.addresses.items() if name != director)
    credential = files.get(Path(peer.credential), b"")
    return PeerConfig(peer.addresses[director], peer.port, others, credential)


def _on(value: T | dict[str, T], director: str) -> T:
    return value[director] if isinstance(value, dict) else value


def _drop(value: int | dict[str, int] | None, director: str) -> int | None:
    return None if value is None else _on(value, director)


def _peers(vrrp: VrrpTable, director: str) -> tuple[IPAddress, ...]:
    match vrrp.peers:
        case None:
            return ()
        case dict(by_director):
            others = (found for name, found in by_director.items() if name != director)
            return tuple(one for found in others for one in found)
        case peers:
            return peers


def _sources(vrrp: VrrpTable, director: str) -> list[IPAddress]:
    """At most one of each family, IPv4 first."""
    found: tuple[IPAddress, ...] = ()
    if vrrp.source is not None:
        found = _on(vrrp.source, director)
    elif isinstance(vrrp.peers, dict):
        found = vrrp.peers[director]
    return sorted(found, key=lambda address: address.version)


def _auth(auth: AuthTable, files: Mapping[Path, bytes]) -> HmacAuth:
    keys: dict[int, bytes] = {}
    for key in auth.keys:
        octets = files.get(key.file) if key.file is not None else key.octets
        if octets is not None:
            keys[key.number] = octets
    send = auth.keys[0].number if auth.send_key is None else auth.send_key
    return HmacAuth(keys, send, auth.mode, auth.window)


def _fall(kind: TrackKind) -> int:
    return PEER_FALL if kind is TrackKind.PEER else FALL


def _track(track: TrackTable, vip: str, director: str) -> Track:
    argv = track.command or ()
    if track.service is not None:
        kind, subject = TrackKind.SERVICE, track.service
    elif track.interface is not None:
        kind, subject = TrackKind.INTERFACE, _on(track.interface, director)
    elif track.file is not None:
        kind, subject = TrackKind.FILE, track.file
    elif track.peer is not None:
        kind, subject = TrackKind.PEER, vip
    else:
        kind, subject = TrackKind.COMMAND, shlex.join(argv)
    timeout = min(track.interval, COMMAND_TIMEOUT) if track.timeout is None else track.timeout
    return Track(
        kind=kind,
        subject=subject,
        drop=_drop(track.drop, director),
        argv=argv,
        interval=track.interval,
        timeout=timeout,
        rise=track.rise,
        fall=_fall(kind) if track.fall is None else track.fall,
    )
