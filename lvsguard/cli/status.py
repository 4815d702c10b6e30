"""status: VIPs, services and realservers as they are now."""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import TYPE_CHECKING

from lvsguard.cli.arguments import Commands, add_command, add_json, add_socket, positive_duration
from lvsguard.cli.exits import Exit
from lvsguard.cli.talk import daemon
from lvsguard.cli.text import say

if TYPE_CHECKING:
    from lvsguard.admin.status_reply import HealthReply, Status


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
        "drawn (TERM=dumb) it prints plain lines again and again.",
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


def _json(args: argparse.Namespace) -> int:
    import msgspec

    while True:
        with daemon(args) as client:
            document = client.status_json()
        if not args.watch:
            sys.stdout.write(msgspec.json.format(document).decode() + "\n")
            return Exit.DONE
        sys.stdout.write(document.decode() + "\n")
        sys.stdout.flush()
        time.sleep(args.interval)


def _ask(args: argparse.Namespace) -> tuple[Status, HealthReply]:
    with daemon(args) as client:
        return client.status(), client.health()


def _plain(args: argparse.Namespace) -> int:
    from lvsguard.cli.render import plain

    while True:
        say(*plain(*_ask(args), time.time()))
        if not args.watch:
            return Exit.DONE
        sys.stdout.flush()
        time.sleep(args.interval)
        say("")


def _table(args: argparse.Namespace) -> int:
    from rich.console import Console

    from lvsguard.cli.render import table

    console = Console(highlight=False)
    console.print(table(*_ask(args), time.time()))
    return Exit.DONE


def _screen(args: argparse.Namespace) -> int:
    from lvsguard.cli.watch import watch

    with daemon(args) as client:
        watch(client, args.interval)
    return Exit.DONE
