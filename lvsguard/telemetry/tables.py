"""Services and realservers as metric families: one walk over the view, many short lines.

Label strings are made once for a configuration: they are most of the work.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from lvsguard.core.health import Verdict
from lvsguard.core.model import Forwarding, RealserverKey
from lvsguard.core.override import Admin
from lvsguard.core.snapshot import RealserverStatus, ServiceStatus, View
from lvsguard.serving import Slices
from lvsguard.telemetry import catalog
from lvsguard.telemetry.exposition import Family, labels

_ADMIN = {Admin.READY: 0, Admin.DRAIN: 1, Admin.DISABLED: 2}
_SERVICE = (
    catalog.SERVICE_PRESENT,
    catalog.SERVICE_LIVE_WEIGHT,
    catalog.SERVICE_QUORUM,
    catalog.SERVICE_PANIC,
    catalog.SERVICE_SORRY,
    catalog.SERVICE_RISING,
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
    catalog.REALSERVER_VIP_PATH,
    catalog.AGENT_ANSWERS,
    catalog.AGENT_SHARE,
    catalog.CONNECTIONS,
    catalog.PACKETS,
    catalog.BYTES,
    catalog.ACTIVE,
    catalog.INACTIVE,
)


class Labels:
    """Label strings of services and realservers, kept as long as a configuration is in force."""

    def __init__(self) -> None:
        self._digest = ""
        self._made: dict[tuple[str, RealserverKey], tuple[str, str, str, str]] = {}

    def of(self, digest: str) -> Labels:
        """These labels, emptied when the configuration is another."""
        if digest != self._digest:
            self._digest = digest
            self._made.clear()
        return self

    def realserver(self, service: str, status: RealserverStatus) -> tuple[str, str, str, str]:
        """Labels: plain, direction in, direction out, info."""
        made = self._made.get((service, status.key))
        if made is None:
            known = {"service": service, "realserver": str(status.key)}
            made = self._made[service, status.key] = (
                labels(**known),
                labels(**known, direction="in"),
                labels(**known, direction="out"),
                labels(**known, name=status.name, forwarding=str(status.forwarding)),
            )
        return made


async def pieces(view: View, made: Labels, slices: Slices) -> AsyncGenerator[bytes, None]:
    """The families' text. The caller may wait between pieces; slices are counted without that."""
    services = [Family(metric) for metric in _SERVICE]
    realservers = [Family(metric) for metric in _REALSERVER]
    made = made.of(view.config_digest)
    for service in view.services():
        _service(services, service)
        for realserver in service.realservers:
            _realserver(realservers, made, service.name, realserver)
            if slices.due():
                await slices.rest()
        if slices.due():
            await slices.rest()
    for family in (*services, *realservers):
        for piece in family.pieces():
            slices.end()
            yield piece
            slices.begin()
            await slices.rest()  # a caller whose socket takes it does not wait
        family.lines.clear()


def _service(families: list[Family], status: ServiceStatus) -> None:
    present, live, quorum, panic, sorry, rising, connections, packets, sizes = families
    labelled = labels(service=status.name)
    counters = status.counters
    present.add(labelled, status.present)
    live.add(labelled, status.quorum_have)
    quorum.add(labelled, status.quorum_need)
    panic.add(labelled, status.panic)
    sorry.add(labelled, status.sorry)
    rising.add(labelled, status.rising)
    connections.add(labelled, counters.connections)
    came, left = (labels(service=status.name, direction=way) for way in ("in", "out"))
    packets.add(came, counters.in_packets)
    packets.add(left, counters.out_packets)
    sizes.add(came, counters.in_bytes)
    sizes.add(left, counters.out_bytes)


def _realserver(
    families: list[Family], made: Labels, service: str, status: RealserverStatus
) -> None:
    info, up, present, weight, configured, admin, changed, path, *rest = families
    answers, share, connections, packets, sizes, active, inactive = rest
    plain, came, left, known = made.realserver(service, status)
    counters = status.counters
    info.lines.append(f"{info.name}{known} 1\n")
    up.lines.append(f"{up.name}{plain} {1 if status.verdict is Verdict.UP else 0}\n")
    present.lines.append(f"{present.name}{plain} {0 if status.weight is None else 1}\n")
    weight.lines.append(f"{weight.name}{plain} {status.weight or 0}\n")
    configured.lines.append(f"{configured.name}{plain} {status.configured_weight}\n")
    admin.lines.append(f"{admin.name}{plain} {_ADMIN[status.admin]}\n")
    changed.lines.append(f"{changed.name}{plain} {status.since:.3f}\n")
    asked = [check.vip_path for check in status.checks if check.vip_path is not None]
    if asked:
        path.lines.append(f"{path.name}{plain} {1 if all(asked) else 0}\n")
    if (agent := status.agent) is not None:
        answers.lines.append(f"{answers.name}{plain} {0 if agent.silent else 1}\n")
        left_it = agent.share if agent.state in {"ready", "unknown"} else 0
        share.lines.append(f"{share.name}{plain} {left_it:g}\n")
    connections.lines.append(f"{connections.name}{plain} {counters.connections}\n")
    packets.lines.append(f"{packets.name}{came} {counters.in_packets}\n")
    sizes.lines.append(f"{sizes.name}{came} {counters.in_bytes}\n")
    if status.forwarding is Forwarding.NAT:
        packets.lines.append(f"{packets.name}{left} {counters.out_packets}\n")
        sizes.lines.append(f"{sizes.name}{left} {counters.out_bytes}\n")
    active.lines.append(f"{active.name}{plain} {counters.active}\n")
    inactive.lines.append(f"{inactive.name}{plain} {counters.inactive}\n")
