"""The director as a whole as metric families: few lines, whatever the size of the configuration."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterator

from lvsguard.core.override import OverrideKind
from lvsguard.core.snapshot import View
from lvsguard.telemetry import catalog, catalog_checks, catalog_elections
from lvsguard.telemetry.exposition import Family, Form, labels
from lvsguard.telemetry.metric import Metric


def pieces(view: View, spent: float, longest: float, form: Form) -> Iterator[bytes]:
    """The families' text. ``spent``, ``longest``: seconds of the previous exposition."""
    for metric, value in _values(view, spent, longest).items():
        family = Family(metric)
        family.add("", value)
        yield from family.pieces(form)
    for family in (
        _build(view),
        _config(view),
        _overrides(view),
        *_vips(view),
        *_peers(view),
        *_fitness(view),
    ):
        yield from family.pieces(form)


def _values(view: View, spent: float, longest: float) -> dict[Metric, float]:
    loop = view.loop()
    return {
        catalog.START_TIME: view.started,
        catalog.RELOAD_SUCCESS: view.reload_ok,
        catalog.RELOAD_TIME: view.reloaded,
        catalog.PROGRAMMED: loop.programmed,
        catalog.TROUBLES: len(loop.trouble),
        catalog.PASSES: loop.passes,
        catalog.PASS_TIME: loop.last_pass,
        catalog.PASS_DURATION: loop.pass_seconds,
        catalog.READS: loop.reads,
        catalog.READ_DURATION: loop.read_seconds,
        catalog.READ_CPU: loop.read_cpu_seconds,
        catalog.KERNEL_WRITES: loop.kernel_writes,
        catalog.FOREIGN: len(view.foreign()),
        catalog_checks.PROBERS: loop.probers,
        catalog_checks.PROBERS_WANTED: loop.probers_wanted,
        catalog.EXPOSITION_DURATION: spent,
        catalog.EXPOSITION_SLICE: longest,
    }


def _build(view: View) -> Family:
    family = Family(catalog.BUILD_INFO)
    family.add(labels(version=view.version, python=platform.python_version()), 1)
    return family


def _config(view: View) -> Family:
    family = Family(catalog.CONFIG_INFO)
    own = labels(director=view.director, digest=view.config_digest, served=view.served_digest)
    family.add(own, 1)
    return family


def _overrides(view: View) -> Family:
    kinds = Counter(override.kind for override in view.overrides())
    family = Family(catalog.OVERRIDES)
    for kind in OverrideKind:
        family.add(labels(kind=kind), kinds[kind])
    return family


def _vips(view: View) -> tuple[Family, Family]:
    held, conflicts = Family(catalog_elections.VIP_HELD), Family(catalog_elections.VIP_CONFLICTS)
    for vip in view.vips():
        for address in vip.addresses:
            labelled = labels(vip=vip.name, address=str(address.address))
            held.add(labelled, address in vip.held)
        conflicts.add(labels(vip=vip.name), len(vip.conflicts))
    return held, conflicts


def _fitness(view: View) -> tuple[Family, ...]:
    fit, differ = (
        Family(catalog_elections.PEER_FIT),
        Family(catalog_elections.PEER_CONFIG_DIFFERENCES),
    )
    clock, cluster = Family(catalog_elections.PEER_CLOCK), Family(catalog_elections.CLUSTER)
    if (connected := view.cluster()) is not None:
        cluster.add("", connected)
    for peer in view.peers():
        name = labels(peer=peer.name)
        fit.add(name, peer.fit)
        if peer.heard:
            differ.add(name, len(peer.config_differs))
        if peer.clock is not None:
            clock.add(name, peer.clock.seconds)
    return fit, differ, clock, cluster


def _peers(view: View) -> tuple[Family, Family, Family]:
    heard, last = Family(catalog_elections.PEER_HEARD), Family(catalog_elections.PEER_LAST_WORD)
    same = Family(catalog_elections.PEER_SAME)
    for peer in view.peers():
        name = labels(peer=peer.name)
        heard.add(name, peer.heard)
        last.add(name, peer.last)
        known = {
            "config": peer.same_served,
            "health": not peer.differs if peer.heard else None,
            "overrides": peer.same_overrides,
        }
        for what, value in known.items():
            if value is not None:
                same.add(labels(peer=peer.name, what=what), value)
    return heard, last, same
