"""events: what happened."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from lvsguard.cli.arguments import Commands, add_command, add_json, add_socket, duration
from lvsguard.cli.exits import CommandError, Exit
from lvsguard.cli.talk import daemon
from lvsguard.cli.text import coloured, complain, paint, printable

if TYPE_CHECKING:
    from lvsguard.admin.protocol import EventReply

DAY = 86400.0
RECENT = 600.0
"""Seconds of history that --follow begins with."""
LIMIT = 1000
MOST = 10_000
"""That the daemon tells at once."""
CLOCKS_S = 5.0
"""By which the director's clock may be ahead of this one."""
_COLOURS = {"error": "red", "warning": "yellow"}


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "events",
        show,
        summary="show what happened",
        description="Show what happened: verdicts, repairs, overrides, reloads, troubles. "
        "Times are UTC.",
        examples=[
            ("lvsguard events", "the last day"),
            ("lvsguard events --since 1h --json", "the last hour, one JSON object a line"),
            ("lvsguard events --follow", "the last ten minutes, and then what happens"),
            ("lvsguard events --target rs1 --kind health,applied", "of one realserver"),
            ("lvsguard events --id 3f29c01ab7", "one verdict, from its probe to the kernel"),
        ],
        exits=(Exit.DONE, Exit.FAILED, Exit.USAGE, Exit.UNREACHABLE),
    )
    parser.add_argument(
        "--since",
        metavar="TIME",
        type=since,
        help="from so long ago (90s, 1h, 2d), or from an RFC 3339 time (default: 1d; 10m with "
        "--follow)",
    )
    parser.add_argument(
        "--until", metavar="TIME", type=since, help="up to then, in the same forms (default: now)"
    )
    parser.add_argument(
        "--target",
        metavar="TARGET",
        default="",
        help="about this alone: a realserver, service, VIP or director, by name or address",
    )
    parser.add_argument(
        "--kind",
        metavar="KIND",
        action="append",
        default=[],
        help="of this kind alone, such as health; several with commas, or given again",
    )
    parser.add_argument(
        "--id",
        dest="trace",
        metavar="ID",
        default="",
        help="what carries this id alone: a verdict or an override, and what followed from it",
    )
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what happens")
    parser.add_argument(
        "-n",
        "--limit",
        metavar="N",
        type=_limit,
        default=LIMIT,
        help="the newest N of the history (default: %(default)s, at most 10000)",
    )
    add_socket(parser)
    add_json(parser, "one JSON object a line")


def since(text: str) -> float:
    """Wall-clock seconds: so long ago, or an RFC 3339 time (UTC when it names no zone)."""
    from datetime import UTC, datetime

    try:
        return time.time() - duration(text)
    except argparse.ArgumentTypeError:
        try:
            stamp = datetime.fromisoformat(text)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"{text!r}: give a time such as 90s, 1h, 2d, or 2026-11-23T10:00:00Z"
            ) from None
    return (stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp()


def _limit(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) <= MOST:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r}: give 1 to 10000")


def show(args: argparse.Namespace) -> int:
    """``lvsguard events``."""
    now = time.time()
    begin = _begin(args, now)
    wanted = {
        "kind": ",".join(args.kind),
        "target": args.target,
        "id": args.trace,
        "until": "" if args.until is None else f"{args.until:.3f}",
    }
    colours = coloured()
    with daemon(args) as client:
        if args.follow:
            events = client.events(begin, limit=args.limit, follow=True, **wanted)
            return _follow(args, events, now, colours)
        # One more tells whether there are more, and is not shown.
        found = list(client.events(begin, limit=min(args.limit + 1, MOST), **wanted))
    for event in found[-args.limit :]:
        _write(args, event, colours)
    if len(found) > args.limit:
        complain(f"older ones are left out: give a --limit above {args.limit}, or a later --since")
    elif len(found) == MOST:
        complain(f"older ones may be left out: give an --until before {found[0].time} for those")
    return Exit.DONE


def _begin(args: argparse.Namespace, now: float) -> float:
    """Since when. Raises CommandError for times between which nothing can be."""
    begin: float | None = args.since
    default = ""
    if begin is None:
        begin = 0.0 if args.trace else now - (RECENT if args.follow else DAY)
        default = "" if args.trace else f" ({'10m' if args.follow else '1d'} by default)"
    if args.until is not None and args.until < 0:
        raise CommandError(Exit.USAGE, "--until is before 1970: give a time such as 90s, 1h, 2d")
    if args.follow and args.until is not None and args.until <= now:
        message = "--until is past, so there is nothing to follow: leave --follow out"
        raise CommandError(Exit.USAGE, message)
    if args.until is not None and begin > args.until:
        message = f"--since{default} is later than --until: give an earlier --since"
        raise CommandError(Exit.USAGE, message)
    return max(begin, 0.0)


def _follow(
    args: argparse.Namespace, events: Iterable[EventReply], now: float, colours: bool
) -> int:
    """Show them until the time that was given, or until the daemon stops."""
    from datetime import datetime

    for number, event in enumerate(events, 1):
        _write(args, event, colours)
        sys.stdout.flush()
        if number == args.limit and datetime.fromisoformat(event.time).timestamp() < now:
            complain(f"older ones may be left out: give a --limit above {args.limit}")
    if args.until is not None and time.time() > args.until - CLOCKS_S:
        return Exit.DONE
    raise CommandError(
        Exit.UNREACHABLE,
        "the daemon has stopped, nothing is followed any more: systemctl status lvsguard on its"
        " host; where it was restarted, give the command again",
    )


def _write(args: argparse.Namespace, event: EventReply, colours: bool) -> None:
    sys.stdout.write((_json(event) if args.json else line(event, colours)) + "\n")


def line(event: EventReply, colours: bool) -> str:
    """One event for people."""
    level = paint(f"{event.level:7}", _COLOURS.get(event.level, "dim"), colours)
    kind = paint(f"{event.kind:16}", "bold", colours)
    trace = event.data.get("trace")
    shown = paint(f"  [{printable(str(trace))}]", "dim", colours) if trace else ""
    return f"{event.time}  {level}  {kind}  {printable(event.text)}{shown}"


def _json(event: EventReply) -> str:
    import msgspec

    return msgspec.json.encode(event).decode()
