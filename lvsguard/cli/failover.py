"""failover: hand VIPs over to another director."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from lvsguard.cli.arguments import Commands, add_command, add_json, add_socket
from lvsguard.cli.exits import Exit
from lvsguard.cli.talk import daemon
from lvsguard.cli.text import complain, printable, say

if TYPE_CHECKING:
    from lvsguard.admin.failover import FailedOver


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "failover",
        failover,
        summary="hand VIPs over to another director",
        description="Hand VIPs over to another director, and tell who has taken them. This "
        "director\nkeeps them, and forwards, until its successor is heard; if nobody comes it goes "
        "on\nas master, and that is a failure. Afterwards it leaves the successor alone, whatever\n"
        "its own priority and through reboots, until --resume or until that one leaves. VIP\n"
        "groups of one sync group go together. Run it on the master; what is asked for is\n"
        "kept in the history. With a [peer] table it refuses while the director that would\n"
        "take over is not fit for it (other keys in its config, checks that fail from there,\n"
        "...), and says why; lvsguard status shows the same at any time.",
        examples=[
            ("lvsguard failover", "all VIP groups that this director is master of"),
            ("lvsguard failover web", "one of them, by its name in the config"),
            ("lvsguard failover --force", "whether the other director is fit for it or not"),
            ("lvsguard failover --resume", "afterwards: preempt again, as configured"),
        ],
        exits=(Exit.DONE, Exit.FAILED, Exit.USAGE, Exit.UNREACHABLE),
    )
    parser.add_argument(
        "vip",
        metavar="VIP",
        nargs="?",
        help="a VIP group's name (default: all that this director is master of; with --resume all "
        "that are held back)",
    )
    parser.add_argument(
        "--resume", action="store_true", help="end a failover: this director may preempt again"
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="hand over, too, when the other director is not fit to take over or is not heard",
    )
    add_socket(parser)
    add_json(parser, "print the daemon's answer as JSON")


def failover(args: argparse.Namespace) -> int:
    """``lvsguard failover``."""
    from lvsguard.admin.failover import FailoverRequest, Outcome

    with daemon(args) as client:
        reply = client.failover(FailoverRequest(vip=args.vip, resume=args.resume, force=args.force))
    if args.json:
        import msgspec

        sys.stdout.write(msgspec.json.format(msgspec.json.encode(reply)).decode() + "\n")
    elif not reply.vips:
        say("no VIP was held back: there is nothing to resume")
    else:
        for one in reply.vips:
            (say if one.outcome is Outcome.DONE else complain)(printable(_line(one)))
    well = all(one.outcome is Outcome.DONE for one in reply.vips)
    return Exit.DONE if well else Exit.FAILED


def _line(one: FailedOver) -> str:
    return f"VIP {one.vip}: after {one.seconds:.2f} s: {one.text}"
