"""What the status page shows of the director as a whole: VIPs, directors, drains, what is wrong."""

from __future__ import annotations

from collections.abc import Iterator

from lvsguard.core.override import Override
from lvsguard.core.snapshot import ForeignStatus, PeerStatus, View, VipStatus
from lvsguard.core.table_digest import OTHER_TABLE
from lvsguard.telemetry.board_rows import public

OVERRIDES_MAX = 500
"""Overrides that are listed; of more the page tells the count."""
FOREIGN_MAX = 100
"""Services of others that are listed; of more, too."""


def head(view: View) -> dict[str, object]:
    """The document. Times are seconds since the epoch, as the page counts with them."""
    overrides = view.overrides()
    sync = view.sync()
    foreign = view.foreign()
    return {
        "director": view.director,
        "version": view.version,
        "config": view.config_digest,
        "started": round(view.started, 3),
        "troubles": list(map(public, _troubles(view))),
        "vips": [_vip(one) for one in view.vips()],
        "peers": [_peer(one) for one in view.peers()],
        "etcd": view.cluster(),
        "sync": None if sync is None else list(sync.daemons),
        "overrides": [_override(one) for one in overrides[:OVERRIDES_MAX]],
        "overrides_count": len(overrides),
        "foreign": [_foreign(one) for one in foreign[:FOREIGN_MAX]],
        "foreign_count": len(foreign),
    }


def _troubles(view: View) -> Iterator[str]:
    loop = view.loop()
    yield from loop.trouble
    if not loop.programmed and not loop.trouble:
        yield "the kernel does not hold all that it should yet: a moment, or see the events"
    if loop.probers < loop.probers_wanted:
        yield (
            f"{loop.probers} of {loop.probers_wanted} probers alive: the verdicts of the others "
            "stand as they are"
        )
    if not view.reload_ok:
        yield f"the last reload was refused: lvsguard check -c {view.config_path} tells why"


def _vip(vip: VipStatus) -> dict[str, object]:
    return {
        "name": vip.name,
        "addresses": [f"{a.address}/{a.prefix}" for a in vip.addresses],
        "held": len(vip.held),
        "role": vip.role,
        "since": round(vip.since, 3),
        "vrid": vip.vrid,
        "priority": vip.priority,
        "master": vip.master,
        "ready": vip.ready,
        "why": list(vip.why),
        "problem": vip.problem,
        "held_back": vip.held_back,
        "conflicts": [
            f"{one.address} is claimed by {one.realserver or 'a stranger'} ({one.mac})"
            for one in vip.conflicts
        ],
    }


def _peer(peer: PeerStatus) -> dict[str, object]:
    # Not how far its clock is off: that moves with every word, and the page with it. Where it
    # matters, it is among what makes the director unfit.
    return {
        "name": peer.name,
        "address": peer.address,
        "heard": peer.heard,
        "since": round(peer.since, 3),
        "version": peer.version,
        "programmed": peer.programmed,
        "same_config": peer.same_config,
        "same_health": not peer.differs if peer.heard else None,
        "same_overrides": peer.same_overrides,
        "differs": list(peer.differs),
        "config_differs": list(peer.config_differs),
        "other_table": OTHER_TABLE if peer.other_table else "",
        "unfit": [{"why": one.why, "text": public(one.text)} for one in peer.unfit],
        "vips": [{"name": v.name, "role": v.role, "ready": v.ready} for v in peer.vips],
        "problem": peer.problem,
    }


def _foreign(one: ForeignStatus) -> dict[str, object]:
    return {
        "service": str(one.key),
        "scheduler": one.scheduler,
        "realservers": len(one.realservers),
    }


def _override(held: Override) -> dict[str, object]:
    return {
        "target": str(held.target),
        "service": held.target.service,
        "kind": held.kind,
        "weight": None if held.weight is None else str(held.weight),
        "actor": held.actor,
        "reason": held.reason,
        "since": round(held.since, 3),
        "expires": None if held.expires is None else round(held.expires, 3),
    }
