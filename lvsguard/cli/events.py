"""events: what happened."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from lvsguard.cli.arguments import Commands, add_command, add_json, add_socket, duration
from lvsguard.cli.exits import Exit
from lvsguard.cli.talk import daemon
from lvsguard.cli.text import coloured, paint, printable

if TYPE_CHECKING:
    from lvsguard.admin.protocol import EventReply

DAY = 86400.0
RECENT = 600.0
"""Seconds of history that --follow begins with."""
LIMIT = 1000
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
    if text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) <= 10_000:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r}: give 1 to 10000")


def show(args: argparse.Namespace) -> int:
    """``lvsguard events``."""
    begin = args.since
    if begin is None:
        begin = 0.0 if args.trace else time.time() - (RECENT if args.follow else DAY)
    wanted = {
        "kind": ",".join(args.kind),
        "target": args.target,
        "id": args.trace,
        "until": "" if args.until is None else f"{args.until:.3f}",
    }
    colours = coloured()
    with daemon(args) as client:
        for event in client.events(max(begin, 0.0), limit=args.limit, follow=args.follow, **wanted):
            sys.stdout.write((_json(event) if args.json else line(event, colours)) + "\n")
            if args.follow:
                sys.stdout.flush()
    return Exit.DONE


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
