"""status: VIPs, services and realservers as they are now."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from lvsguard.cli.arguments import Commands, add_command, add_json, add_socket, positive_duration
from lvsguard.cli.exits import CommandError, Exit
from lvsguard.cli.talk import daemon
from lvsguard.cli.text import complain, monochrome, say

if TYPE_CHECKING:
    from lvsguard.admin.status_reply import HealthReply, Status

_Found = TypeVar("_Found")


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "status",
        show,
        summary="show VIPs, services and realservers",
        description="Show who holds the VIPs, and for every realserver: is it in, since when, "
        "why.\nWEIGHT is what the kernel holds; 0/1 means 0 where 1 is configured, -/1 means that "
        "the\nrealserver is not in the kernel's table. On a terminal the table is coloured and "
        "fits its\nwidth; elsewhere it is plain, one line a realserver. NO_COLOR is honoured.\n"
        "--watch shows a screen with drains, the other directors and the latest events; its keys\n"
        "drain a realserver, end a drain, and tell why one is as it is. Where nothing can be\n"
        "drawn (TERM=dumb) it prints plain lines again and again. A daemon that is restarted\n"
        "meanwhile is waited for.",
        examples=[
            ("lvsguard status", "once"),
            ("lvsguard status --watch", "a screen to leave open; ? shows its keys"),
            (
                "lvsguard status --json | jq '.services[].realservers[] | select(.weight == 0)'",
                "for programs",
            ),
        ],
        exits=(Exit.DONE, Exit.FAILED, Exit.USAGE, Exit.UNREACHABLE),
    )
    parser.add_argument("-w", "--watch", action="store_true", help="show it again and again")
    parser.add_argument(
        "--interval",
        metavar="TIME",
        type=positive_duration,
        default=1.0,
        help="between two looks with --watch (default: 1s)",
    )
    add_socket(parser)
    add_json(parser, "print the status as JSON; with --watch one document a line")


def show(args: argparse.Namespace) -> int:
    """``lvsguard status``."""
    if args.json:
        return _json(args)
    if not sys.stdout.isatty():
        return _plain(args)
    if args.watch and os.environ.get("TERM") in (None, "", "dumb", "unknown"):
        return _plain(args)  # nothing can be drawn there, but lines can be printed
    return _screen(args) if args.watch else _table(args)


def _looks(args: argparse.Namespace, look: Callable[[], _Found]) -> Iterator[_Found]:
    """What a look finds; with --watch again and again, over restarts of the daemon."""
    yield look()
    lost = False
    while args.watch:
        sys.stdout.flush()
        time.sleep(args.interval)
        try:
            found = look()
        except CommandError as error:
            if error.exit_status is not Exit.UNREACHABLE:
                raise
            if not lost:
                complain(f"waiting for the daemon: {error.lines[0]}", *error.lines[1:])
            lost = True
            continue
        if lost:
            complain("the daemon answers again")
        lost = False
        yield found


def _json(args: argparse.Namespace) -> int:
    import msgspec

    def document() -> bytes:
        with daemon(args) as client:
            return client.status_json()

    for found in _looks(args, document):
        text = found if args.watch else msgspec.json.format(found)
        sys.stdout.write(text.decode() + "\n")
    return Exit.DONE


def _ask(args: argparse.Namespace) -> tuple[Status, HealthReply]:
    with daemon(args) as client:
        return client.status(), client.health()


def _plain(args: argparse.Namespace) -> int:
    from lvsguard.cli.render import plain

    for number, found in enumerate(_looks(args, lambda: _ask(args))):
        say(*([""] if number else []), *plain(*found, time.time()))
    return Exit.DONE


def _table(args: argparse.Namespace) -> int:
    from rich.console import Console

    from lvsguard.cli.render import table

    console = Console(highlight=False, no_color=monochrome() or None)
    console.print(table(*_ask(args), time.time()))
    return Exit.DONE


def _screen(args: argparse.Namespace) -> int:
    from lvsguard.cli.watch import watch

    with daemon(args) as client:
        watch(client, args.interval)
    return Exit.DONE
