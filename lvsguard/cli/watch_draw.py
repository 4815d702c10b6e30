"""The screen of ``status --watch`` as exactly so many lines, none wider than the terminal.

What matters most has its place first: who has the VIPs and what is wrong; then drains; then as many
realservers as fit, around the chosen one; then the latest events and what can be pressed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from lvsguard.cli.render import role, role_style, summary, title, troubles, verdict
from lvsguard.cli.render_peer import brief
from lvsguard.cli.text import ago, count, printable, span
from lvsguard.cli.watch_footer import footer, wrapped
from lvsguard.cli.watch_screen import Look, Mode, Row, Screen

if TYPE_CHECKING:
    from lvsguard.admin.protocol import OverrideReply
    from lvsguard.admin.status_reply import PeerReply, ServiceReply, Status

WIDE = 110
"""From here on there is room for more columns."""
ROOMY = 23
"""Lines above the footer from which on there is one to spare."""
TROUBLES_MAX, VIPS_MAX, PEERS_MAX, DRAINS_MAX = 3, 4, 3, 4
LEAST_EVENTS = 3
LEAST_TABLE = 4
"""Lines of the table that events leave: its heading, and the chosen one with what is beside it."""
LOST_MAX = 4
SILENT = "● not connected", "bold red"
LATE_S = 3.0
"""An answer that takes longer is said to be owed."""
HELP = (
    "up, down, page up, page down, home, end    choose a realserver",
    "d                drain it in this service: no new connections, the others go on",
    "u                end the drains that hold it",
    "w, enter         why is it as it is",
    "/                show only what has these words: name, address, state, reason",
    "t                show only what needs a look",
    "escape           show all again",
    "q                quit",
)
_STATE_STYLE = {"up": "green", "down": "bold red", "unknown": "yellow"}


def draw(screen: Screen, width: int, height: int, now: float) -> Text:
    """The whole screen at ``now`` (wall clock)."""
    last = footer(screen, width, now)
    room = height - len(last)
    lines = list(islice(_lines(screen, width, room, now), room))
    lines += [Text("")] * (room - len(lines))
    return Text("\n").join(_fit(line, width) for line in (*lines, *last))


def _lines(screen: Screen, width: int, height: int, now: float) -> Iterator[Text]:
    lost = _lost(screen, width) if screen.lost else _late(screen, width, now)
    yield from lost
    if screen.mode is Mode.HELP:
        yield from (Text(line) for line in HELP)
        return
    if screen.mode is Mode.WHY:
        yield from _told(screen, width, height - len(lost))
        return
    if screen.look is None:
        if not lost:
            yield Text("asking the daemon ...", style="dim")
        return
    look = screen.look
    above = list(_above(screen, look, width, now, SILENT if lost else None))
    above += [_rule("services", width)] if height >= ROOMY else []
    below = list(_detail(screen, width))
    free = height - len(above) - len(below) - len(lost)
    table = list(_table(screen, width, now))
    wanted = len(look.events)
    least = min(LEAST_EVENTS, max(free - LEAST_TABLE - 1, 0))
    events = min(wanted, max(least, free - len(table) - 1))
    room = free - events - 1 if events else free
    yield from above
    yield from (shown := list(_window(table, room)))
    yield from [Text("")] * (room - len(shown))
    yield from below
    if events:
        yield _rule("events", width)
        yield from _events(look, events)


def _late(screen: Screen, width: int, now: float) -> list[Text]:
    if screen.look is None or screen.asked_at is None or now - screen.asked_at < LATE_S:
        return []
    late = span(now - screen.asked_at)
    return wrapped(f"no answer for {late}: what is below was so then", width, "bold red")


def _lost(screen: Screen, width: int) -> list[Text]:
    said = f"not connected since {_clock(screen.lost_at)}, trying again"
    said += ": what is below was so then" if screen.look is not None else ""
    why = (part for line in screen.lost for part in wrapped(f"  {line}", width, "red"))
    return [*wrapped(said, width, "bold red"), *islice(why, LOST_MAX)]


def _told(screen: Screen, width: int, height: int) -> Iterator[Text]:
    lines = [part for line in screen.told(width) for part in wrapped(line, width)]
    screen.settle_scroll(max(len(lines) - height, 0))
    yield from lines[screen.scroll :]


# -- what is always there ----------------------------------------------------------------------


def _above(
    screen: Screen, look: Look, width: int, now: float, instead: tuple[str, str] | None
) -> Iterator[Text]:
    """``instead``: of the verdict on what was told last, while nobody tells how it is."""
    status, health = look.status, look.health
    wrong = troubles(health)
    word, style = instead or verdict(status, wrong)
    head = Text.assemble((status.director, "bold"), f"  lvsguard {status.version}  ", (word, style))
    head.append(" " * max(width - head.cell_len - 8, 1) + _clock(now), "dim")
    yield head
    yield Text.assemble((summary(status), "dim"), (f"; {_traffic(screen, status)}", "dim"))
    yield from (Text(f"  {printable(line)}", "red") for line in islice(wrong, TROUBLES_MAX))
    for vip in status.vips[:VIPS_MAX]:
        yield Text.assemble(
            "VIP  ",
            (vip.name, "bold"),
            f"  {' '.join(vip.addresses)}  ",
            (role(vip, now), role_style(vip)),
        )
    yield from (_peer(peer, now) for peer in status.peers[:PEERS_MAX])
    drains = look.overrides
    if drains:
        yield _rule(count(len(drains), "override"), width)
        yield from (_override(one, now) for one in drains[:DRAINS_MAX])


def _traffic(screen: Screen, status: Status) -> str:
    rows = [Row(s, r) for s in status.services for r in s.realservers]
    active = sum(row.realserver.connections.active for row in rows)
    rates = [rate for row in rows if (rate := screen.rates.of(row.place)) is not None]
    return count(active, "connection") + (f", {_rate(sum(rates))} new/s" if rates else "")


def _peer(peer: PeerReply, now: float) -> Text:
    line = Text.assemble("PEER ", (printable(peer.name or peer.address), "bold"), "  ")
    if not peer.heard:
        said = f"NOT HEARD for {ago(peer.since, now)}: {peer.problem}"
        return line.append(printable(said), "bold red")
    first, rest, style = brief(peer, now)
    return line.append(printable(first), style).append(printable(f", {rest}"))


def _override(one: OverrideReply, now: float) -> Text:
    left = "until cleared"
    if one.expires is not None:
        left = f"{span(datetime.fromisoformat(one.expires).timestamp() - now)} left"
    what = f"{one.kind} {one.weight}" if one.weight else str(one.kind)
    return Text.assemble(
        f"  {printable(one.target)}  ",
        (what, "yellow"),
        f"  {left}  {printable(one.reason)}".rstrip(),
        (f"  by {printable(one.actor)}, {ago(one.since, now)} ago", "dim"),
    )


# -- services and realservers ------------------------------------------------------------------


def _table(screen: Screen, width: int, now: float) -> Iterator[tuple[Text, bool]]:
    """Lines, and of each whether it is the chosen one."""
    rows = screen.rows()
    name = max((cell_len(printable(row.title)) for row in rows), default=10)
    name = min(max(name, 10), 40 if width >= WIDE else 23)
    yield Text(_row("REALSERVER", _HEADS, "WHY", name, width), style="dim"), False
    last: ServiceReply | None = None
    for row in rows:
        if row.service is not last:
            last = row.service
            yield title(last), False
            yield from ((Text(f"  {printable(line)}", "bold red"), False) for line in last.why)
        yield _realserver(screen, row, name, width, now), row.place == screen.chosen
    if not rows and (screen.filter or screen.only):
        yield Text("  nothing is like that: escape shows all again", "yellow"), False


_HEADS = ("STATE", "WEIGHT", "ACTIVE", "IDLE", "NEW/S", "FOR")


def _row(title: str, cells: tuple[str, ...], why: str, name: int, width: int) -> str:
    state, weight, active, idle, rate, since = cells
    line = f"  {set_cell_size(title, name)} {state:<8} {weight:>6} {active:>6}"
    line += f" {idle:>6}" if width >= WIDE else ""
    return f"{line} {rate:>6} {since:>6}  {why}"


def _realserver(screen: Screen, row: Row, name: int, width: int, now: float) -> Text:
    one = row.realserver
    held = "-" if one.weight is None else str(one.weight)
    rate = screen.rates.of(row.place)
    cells = (
        str(row.state),
        held if one.weight == one.configured_weight else f"{held}/{one.configured_weight}",
        str(one.connections.active),
        str(one.connections.inactive),
        "-" if rate is None else _rate(rate),
        ago(one.since, now),
    )
    chosen = row.place == screen.chosen
    line = Text(_row(printable(row.title), cells, printable(one.reason), name, width))
    line.stylize(_STATE_STYLE.get(row.state, "yellow"), 3 + name, 3 + name + 8)
    if chosen:
        line = Text.assemble(">", line[1:])
        line.stylize("reverse", 0, 3 + name)
    return line


def _window(table: list[tuple[Text, bool]], height: int) -> Iterator[Text]:
    """As many lines as fit, the heading and the chosen one among them."""
    (heading, _), *rest = table
    yield heading
    room = max(height - 1, 1)
    at = next((n for n, (_, chosen) in enumerate(rest) if chosen), 0)
    # A line above and below the chosen one, so that one sees where it goes on.
    first = max(0, min(at - room // 2, len(rest) - room))
    shown = [line for line, _ in rest[first : first + room]]
    hidden = len(rest) - first - len(shown)
    if hidden > 0 and len(shown) > 2 and first + len(shown) - 1 > at:
        shown[-1] = Text(f"  ... {count(hidden + 1, 'more line')} below", "dim")
    yield from shown


def _detail(screen: Screen, width: int) -> Iterator[Text]:
    """The whole reason of the chosen one, which its line may have cut off."""
    row = screen.row
    if row is None:
        return
    said = f"{row.title} in {row.service.name}: {row.realserver.reason}"
    yield from islice(wrapped(said, width, "italic"), 2)


# -- below -------------------------------------------------------------------------------------


def _events(look: Look, most: int) -> Iterator[Text]:
    styles = {"warning": "yellow", "error": "red"}
    for event in reversed(list(look.events)[-most:]):
        at = datetime.fromisoformat(event.time).timestamp()
        text = Text.assemble((_clock(at), "dim"), "  ")
        yield text.append(printable(event.text), styles.get(event.level, ""))


def _rule(title: str, width: int) -> Text:
    return Text(f"-- {title} {'-' * max(width - len(title) - 4, 0)}", "dim")


def _fit(line: Text, width: int) -> Text:
    line.truncate(width, overflow="ellipsis")
    return line


def _rate(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 100 else f"{rate:.1f}"


def _clock(at: float) -> str:
    """A time of this day as the reader's watch shows it."""
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%H:%M:%S")
