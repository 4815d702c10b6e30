"""The status as tables: one of rich for terminals, one of plain lines for everything else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lvsguard.cli.render_peer import fitness, peer
from lvsguard.cli.text import ago, count, printable
from lvsguard.core.health import Verdict
from lvsguard.core.override import Admin
from lvsguard.core.snapshot import Role

if TYPE_CHECKING:
    from lvsguard.admin.status_reply import (
        ForeignReply,
        HealthReply,
        RealserverReply,
        ServiceReply,
        Status,
        SyncReply,
        VipReply,
    )

COLUMNS = ("REALSERVER", "STATE", "WEIGHT", "ACTIVE", "IDLE", "FOR", "WHY")
_IDENTITY_WIDTH = 26
"""Longer names and addresses go on below."""
ABSENT = "NOT IN THE KERNEL"
NAMES_MAX = 5
"""Realservers named in one line."""
_RIGHT = frozenset({"WEIGHT", "ACTIVE", "IDLE", "FOR"})
_STATES = (*Verdict, Admin.DRAIN, Admin.DISABLED)
_VERDICT_STYLE = {Verdict.UP: "green", Verdict.DOWN: "red", Verdict.UNKNOWN: "yellow"}
_ROLE_STYLE = {Role.MASTER: "green", Role.BACKUP: "cyan", Role.FAULT: "red", Role.INIT: "yellow"}


def table(status: Status, health: HealthReply, now: float) -> RenderableType:
    """For a terminal."""
    parts: list[RenderableType] = [_banner(status, health), Text("")]
    parts += [_vip(vip, now) for vip in status.vips]
    parts += [Text(line, style=style) for line, style in _sync(status.sync, now)]
    parts += [Text(line, style=style) for one in status.peers for line, style in peer(one, now)]
    for service in status.services:
        whys = (Padding(Text(printable(w), style="bold red"), (0, 0, 0, 2)) for w in service.why)
        parts += [Text(""), title(service), *whys, _realservers(service, now)]
        parts += [Text(f"  {note}", style="dim") for note in _notes(service)]
    if status.foreign:
        parts += [Text(""), Text("foreign, never touched", style="bold")]
        parts += [Text(f"  {_foreign(foreign)}", style="dim") for foreign in status.foreign]
    return Group(*parts)


def plain(status: Status, health: HealthReply, now: float) -> Iterator[str]:
    """For pipes and files: one line each, nothing cut off."""
    yield f"{status.director}  lvsguard {status.version}  config {status.config_hash}"
    yield summary(status)
    for trouble in troubles(health):
        yield f"TROUBLE  {printable(trouble)}"
    for vip in status.vips:
        yield f"VIP  {vip.name}  {' '.join(vip.addresses)}  {role(vip, now)}"
        yield from (f"  {remark}" for remark in _remarks(vip))
    yield from (line for line, _ in _sync(status.sync, now))
    yield from (line for one in status.peers for line, _ in peer(one, now))
    for service in status.services:
        yield ""
        yield (
            f"{service.name}  {where(service)}  {service.scheduler}/{service.forwarding}  "
            f"{quorum(service)}"
        )
        yield from (f"  {printable(one)}" for one in service.why)
        rows = [COLUMNS, *(_row(realserver, now) for realserver in service.realservers)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = [
                cell.rjust(width) if name in _RIGHT else cell.ljust(width)
                for name, cell, width in zip(COLUMNS, row, widths, strict=True)
            ]
            yield "  " + "  ".join(cells).rstrip()
        yield from (f"  {note}" for note in _notes(service))
    if status.foreign:
        yield ""
        for foreign in status.foreign:
            yield f"foreign  {_foreign(foreign)}"


def _notes(service: ServiceReply) -> Iterator[str]:
    """What detectors do not look at, with whom it is about; one line each."""
    about: dict[str, list[str]] = {}
    for realserver in service.realservers:
        for note in realserver.notes:
            about.setdefault(note, []).append(realserver.name)
    for note, names in about.items():
        more = f" and {len(names) - NAMES_MAX} more" if len(names) > NAMES_MAX else ""
        yield printable(f"{', '.join(names[:NAMES_MAX])}{more}: {note}")


def _banner(status: Status, health: HealthReply) -> RenderableType:
    wrong = troubles(health)
    line = Text.assemble(
        (status.director, "bold"),
        f"  lvsguard {status.version}  config {status.config_hash}  ",
        verdict(status, wrong),
    )
    lines = [Padding(Text(printable(trouble), style="red"), (0, 0, 0, 2)) for trouble in wrong]
    return Group(line, Text(summary(status), style="dim"), *lines)


def verdict(status: Status, wrong: list[str]) -> tuple[str, str]:
    """All of it in a word or two, and their style."""
    if wrong:
        return "● trouble", "bold red"
    if any(s.quorum.have < s.quorum.need for s in status.services):
        return "● quorum lost", "bold red"
    if any(s.panic for s in status.services):
        return "● panic", "bold red"
    for vip in status.vips:
        if ill := _ill(vip):
            return f"● VIP {vip.name} {ill}", "bold red"
    for other in status.peers:
        name = printable(other.name or other.address)
        if not other.heard:
            return f"● {name} not heard", "bold yellow"
        if other.unfit:
            return f"● {name} {fitness(other).lower()}", "bold yellow"
    if down := sum(_counted(r) == Verdict.DOWN for s in status.services for r in s.realservers):
        return f"● {down} down", "bold yellow"
    return "● all is well", "green"


def _ill(vip: VipReply) -> str:
    """What is wrong with a VIP group here; empty: nothing."""
    if vip.role is Role.FAULT:
        return "in fault"
    if vip.conflicts:
        return "claimed by another"
    return "takes no part" if vip.problem else ""


def _counted(one: RealserverReply) -> str:
    """What it counts as: what an operator asked for, else the verdict."""
    return str(one.verdict if one.admin is Admin.READY else one.admin)


def summary(status: Status) -> str:
    """How many services and realservers there are, and how they are."""
    absent = sum(not s.present for s in status.services)
    lost = sum(s.quorum.have < s.quorum.need for s in status.services)
    panic = sum(s.panic for s in status.services)
    everyone = [r for s in status.services for r in s.realservers]
    states = Counter(map(_counted, everyone))
    told = ", ".join(f"{states[name]} {name}" for name in _STATES if states[name])
    return (
        count(len(status.services), "service")
        + (f", {absent} {ABSENT}" if absent else "")
        + (f", {lost} WITHOUT QUORUM" if lost else "")
        + (f", {panic} IN PANIC" if panic else "")
        + f"; {count(len(everyone), 'realserver')}"
        + (f": {told}" if told else "")
    )


def troubles(health: HealthReply) -> list[str]:
    """What is wrong, one line each."""
    wrong = list(health.trouble)
    if not health.programmed and not wrong:
        wrong.append("the kernel does not hold all that it should yet: a moment, or see events")
    if health.probers < health.probers_wanted:
        wrong.append(
            f"{health.probers} of {count(health.probers_wanted, 'prober')} alive: the verdicts of "
            "the others stand as they are"
        )
    if not health.reload_ok:
        wrong.append(
            f"the last reload was refused: lvsguard check -c {health.config_path} tells why"
        )
    return wrong


def _vip(vip: VipReply, now: float) -> RenderableType:
    line = Text.assemble(
        "VIP  ",
        (vip.name, "bold"),
        f"  {' '.join(vip.addresses)}  ",
        (role(vip, now), role_style(vip)),
    )
    remarks = (Padding(Text(one, style="yellow"), (0, 0, 0, 2)) for one in _remarks(vip))
    return Group(line, *remarks)


def role_style(vip: VipReply) -> str:
    """The style of its role."""
    return _ROLE_STYLE[vip.role]


def role(vip: VipReply, now: float) -> str:
    """Its role, since when, and of an election the rest."""
    words = [f"{vip.role} for {ago(vip.since, now)}"]
    if vip.vrid is not None:
        words.append(f"vrid {vip.vrid} priority {vip.priority}")
    if vip.master and vip.role is not Role.MASTER:
        words.append(f"master is {printable(vip.master)}")
    return ", ".join(words)


def _sync(sync: SyncReply | None, now: float) -> Iterator[tuple[str, str]]:
    """One line on the connections that are kept in step, and its style."""
    if sync is None:
        return
    words = [f"{printable(sync.interface)} id {sync.sync_id} port {sync.port}"]
    missing = {"master", "backup"} - set(sync.daemons)
    if missing:
        words.append(f"NO SYNC DAEMON ({', '.join(sorted(missing))})")
    last = sync.transfer
    if last is not None:
        way = "received from" if last.received else "sent to"
        with_whom = f"{way} {printable(last.peer)}" if last.peer else "sent with a handover"
        told = f"{count(last.entries, 'connection')} {with_whom} in {last.seconds:.2f} s"
        words.append(f"{told}, {ago(last.at, now)} ago")
    yield f"SYNC  {', '.join(words)}", "bold red" if missing else "dim"


def _remarks(vip: VipReply) -> list[str]:
    """What keeps it from being master, or makes it less likely to."""
    remarks = []
    if vip.problem:
        remarks.append(f"PROBLEM: {vip.problem}")
    if vip.ready is not None and (vip.why or not vip.ready):
        standing = "priority lowered" if vip.ready else "stands back"
        remarks.append(": ".join((standing, *(["; ".join(vip.why)] if vip.why else []))))
    if vip.held_back:
        remarks.append(
            f"held back by a failover: to preempt again: lvsguard failover {vip.name} --resume"
        )
    return list(map(printable, remarks))


def where(service: ServiceReply) -> str:
    """Its protocol and address."""
    return f"{service.protocol} {service.address}" if service.protocol else service.address


def quorum(service: ServiceReply) -> str:
    """Whether enough of it is live."""
    have, need = service.quorum.have, service.quorum.need
    state = "serves" if serves(service) else "QUORUM LOST" if service.present else ABSENT
    return f"live weight {have}, needs {need}: {state}"


def serves(service: ServiceReply) -> bool:
    """Whether the kernel has it, with enough of it live."""
    return service.present and service.quorum.have >= service.quorum.need


def title(service: ServiceReply) -> Text:
    """The line over its realservers."""
    return Text.assemble(
        (service.name, "bold"),
        f"  {where(service)}  {service.scheduler}/{service.forwarding}  ",
        (quorum(service), "green" if serves(service) else "bold red"),
    )


def _realservers(service: ServiceReply, now: float) -> RenderableType:
    grid = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", expand=False)
    rows = [_row(realserver, now) for realserver in service.realservers]
    widest = max(len(row[0]) for row in ((COLUMNS[0],), *rows))
    for name in COLUMNS:
        grid.add_column(
            name,
            justify="right" if name in _RIGHT else "left",
            width=min(widest, _IDENTITY_WIDTH) if name == "REALSERVER" else None,
            no_wrap=name not in ("REALSERVER", "WHY"),
            overflow="fold",
        )
    for realserver, row in zip(service.realservers, rows, strict=True):
        style = _style(realserver)
        cells = [Text(cell) for cell in row]
        cells[1].stylize(style)
        if realserver.admin is Admin.DISABLED:
            cells[0].stylize("dim")
        grid.add_row(*cells)
    return Padding(grid, (0, 0, 0, 2))


def _style(realserver: RealserverReply) -> str:
    if realserver.admin is not Admin.READY:
        return "yellow"
    return _VERDICT_STYLE[realserver.verdict]


def _row(realserver: RealserverReply, now: float) -> tuple[str, ...]:
    return (
        _identity(realserver),
        _state(realserver),
        _weight(realserver),
        str(realserver.connections.active),
        str(realserver.connections.inactive),
        ago(realserver.since, now),
        printable(realserver.reason),
    )


def _identity(realserver: RealserverReply) -> str:
    address = realserver.address
    where = f"[{address}]:{realserver.port}" if ":" in address else f"{address}:{realserver.port}"
    return where if realserver.name == address else f"{realserver.name} {where}"


def _state(realserver: RealserverReply) -> str:
    if realserver.admin is Admin.READY:
        return str(realserver.verdict)
    return f"{realserver.verdict}, {realserver.admin}"


def _weight(realserver: RealserverReply) -> str:
    if realserver.weight == realserver.configured_weight:
        return str(realserver.weight)
    held = "-" if realserver.weight is None else str(realserver.weight)
    return f"{held}/{realserver.configured_weight}"


def _foreign(foreign: ForeignReply) -> str:
    where = f"{foreign.protocol} {foreign.address}" if foreign.protocol else foreign.address
    return f"{where}  {foreign.scheduler}  {count(len(foreign.realservers), 'realserver')}"
