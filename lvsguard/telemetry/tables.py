"""Services and realservers as metric families: one walk over the view, many short lines.

Label strings are made once for a configuration: they are most of the work.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Collection
from typing import NamedTuple

from lvsguard.core.health import Verdict
from lvsguard.core.model import Forwarding, RealserverKey
from lvsguard.core.override import Admin, OverrideKind
from lvsguard.core.snapshot import RealserverStatus, ServiceStatus, View
from lvsguard.serving import Slices
from lvsguard.telemetry import catalog_services as catalog
from lvsguard.telemetry.exposition import PIECE_LINES, Family, Form, escape, labels

_ADMIN = {Admin.READY: 0, Admin.DRAIN: 1, Admin.DISABLED: 2}
_AWAY = frozenset({OverrideKind.DRAIN, OverrideKind.DISABLE})
_SERVICE = (
    catalog.SERVICE_PRESENT,
    catalog.SERVICE_LIVE_WEIGHT,
    catalog.SERVICE_QUORUM,
    catalog.SERVICE_PANIC,
    catalog.SERVICE_SORRY,
    catalog.SERVICE_RISING,
    catalog.SERVICE_REALSERVERS,
    catalog.SERVICE_CONNECTIONS,
    catalog.SERVICE_PACKETS,
    catalog.SERVICE_BYTES,
)
_REALSERVER = (
    catalog.REALSERVER_INFO,
    catalog.REALSERVER_UP,
    catalog.REALSERVER_IN_TABLE,
    catalog.REALSERVER_WEIGHT,
    catalog.REALSERVER_CONFIGURED,
    catalog.REALSERVER_ADMIN,
    catalog.REALSERVER_CHANGED,
    catalog.ADMIN_SINCE,
    catalog.ADMIN_UNTIL,
    catalog.REALSERVER_VIP_PATH,
    catalog.AGENT_ANSWERS,
    catalog.AGENT_SHARE,
    catalog.CONNECTIONS,
    catalog.PACKETS,
    catalog.BYTES,
    catalog.ACTIVE,
    catalog.INACTIVE,
)


class Labelled(NamedTuple):
    """Label strings of one realserver."""

    plain: str
    came: str
    left: str
    info: str
    key: RealserverKey
    """What they were made of, with what follows."""
    name: str
    forwarding: Forwarding


class Labels:
    """Label strings of services and realservers, kept as long as they are configured."""

    def __init__(self) -> None:
        self._services: dict[str, list[Labelled]] = {}

    def keep(self, services: Collection[str]) -> None:
        """Forget all services but these: a new configuration is in force."""
        self._services = {name: made for name, made in self._services.items() if name in services}

    def of(self, status: ServiceStatus) -> list[Labelled]:
        """Those of one service's realservers, in their order; made where they are not known."""
        known = self._services.setdefault(status.name, [])
        if len(known) != len(status.realservers) or not all(
            made.key == realserver.key
            and made.name == realserver.name
            and made.forwarding is realserver.forwarding
            for made, realserver in zip(known, status.realservers, strict=True)
        ):
            head = f'{{service="{escape(status.name)}",realserver="'
            known[:] = [_labelled(f'{head}{one.key}"', one) for one in status.realservers]
        return known


def _labelled(base: str, status: RealserverStatus) -> Labelled:
    return Labelled(
        f"{base}}}",
        f'{base},direction="in"}}',
        f'{base},direction="out"}}',
        f'{base},name="{escape(status.name)}",forwarding="{status.forwarding}"}}',
        status.key,
        status.name,
        status.forwarding,
    )


async def pieces(
    view: View, made: Labels, slices: Slices, form: Form
) -> AsyncGenerator[bytes, None]:
    """The families' text. The caller may wait between pieces; slices are counted without that."""
    services = [Family(metric) for metric in _SERVICE]
    realservers = [Family(metric) for metric in _REALSERVER]
    for service in view.services(brief=True):
        _service(services, service)
        for realserver, labelled in zip(service.realservers, made.of(service), strict=True):
            _realserver(realservers, labelled, realserver)
            if slices.due():
                await slices.rest()
        for group in (services, realservers):
            if len(group[0].lines) >= PIECE_LINES:
                for family in group:
                    family.pack()
        if slices.due():
            await slices.rest()
    for family in (*services, *realservers):
        for piece in family.pieces(form):
            slices.end()
            yield piece
            slices.begin()
            await slices.rest()  # a caller whose socket takes it does not wait


def _service(families: list[Family], status: ServiceStatus) -> None:
    present, live, quorum, panic, sorry, rising, members, connections, packets, sizes = families
    labelled = labels(service=status.name)
    counters = status.counters
    present.add(labelled, status.present)
    live.add(labelled, status.quorum_have)
    quorum.add(labelled, status.quorum_need)
    panic.add(labelled, status.panic)
    sorry.add(labelled, status.sorry)
    rising.add(labelled, status.rising)
    verdicts = Counter(realserver.verdict for realserver in status.realservers)
    for verdict in Verdict:
        members.add(labels(service=status.name, verdict=verdict), verdicts[verdict])
    if not status.read:  # 0 would look like a reset, and all that the kernel has like new traffic
        return
    connections.add(labelled, counters.connections)
    came, left = (labels(service=status.name, direction=way) for way in ("in", "out"))
    packets.add(came, counters.in_packets)
    packets.add(left, counters.out_packets)
    sizes.add(came, counters.in_bytes)
    sizes.add(left, counters.out_bytes)


def _realserver(families: list[Family], made: Labelled, status: RealserverStatus) -> None:
    info, up, present, weight, configured, admin, changed, since, until, path, *rest = families
    answers, share, connections, packets, sizes, active, inactive = rest
    plain, came, left, known, *_ = made
    counters = status.counters
    info.lines.append(f"{info.name}{known} 1\n")
    up.lines.append(f"{up.name}{plain} {1 if status.verdict is Verdict.UP else 0}\n")
    present.lines.append(f"{present.name}{plain} {0 if status.weight is None else 1}\n")
    weight.lines.append(f"{weight.name}{plain} {status.weight or 0}\n")
    configured.lines.append(f"{configured.name}{plain} {status.configured_weight}\n")
    admin.lines.append(f"{admin.name}{plain} {_ADMIN[status.admin]}\n")
    changed.lines.append(f"{changed.name}{plain} {status.since:.3f}\n")
    if status.admin is not Admin.READY:
        ends = [(o.since, o.expires) for o in status.overrides if o.kind in _AWAY]
        if ends:
            since.lines.append(f"{since.name}{plain} {min(begun for begun, _ in ends):.3f}\n")
        over = [end for _, end in ends if end is not None]
        if over and len(over) == len(ends):
            until.lines.append(f"{until.name}{plain} {max(over):.3f}\n")
    asked = [check.vip_path for check in status.checks if check.vip_path is not None]
    if asked:
        path.lines.append(f"{path.name}{plain} {1 if all(asked) else 0}\n")
    if (agent := status.agent) is not None:
        answers.lines.append(f"{answers.name}{plain} {0 if agent.silent else 1}\n")
        left_it = agent.share if agent.state in {"ready", "unknown"} else 0
        share.lines.append(f"{share.name}{plain} {left_it:g}\n")
    # The kernel keeps the totals of an entry that is out for a while, and goes on from there when
    # it is back: a 0 in between would look like a reset, and all of the total like new traffic.
    if status.weight_read is not None:
        connections.lines.append(f"{connections.name}{plain} {counters.connections}\n")
        packets.lines.append(f"{packets.name}{came} {counters.in_packets}\n")
        sizes.lines.append(f"{sizes.name}{came} {counters.in_bytes}\n")
        if status.forwarding is Forwarding.NAT:
            packets.lines.append(f"{packets.name}{left} {counters.out_packets}\n")
            sizes.lines.append(f"{sizes.name}{left} {counters.out_bytes}\n")
    active.lines.append(f"{active.name}{plain} {counters.active}\n")
    inactive.lines.append(f"{inactive.name}{plain} {counters.inactive}\n")
