"""drain, undrain, disable, enable, weight: the operator's overrides."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from lvsguard.cli.arguments import (
    Commands,
    add_command,
    add_json,
    add_socket,
    positive_duration,
)
from lvsguard.cli.exits import Exit
from lvsguard.cli.talk import daemon
from lvsguard.cli.text import complain, count, printable, say, span

if TYPE_CHECKING:
    from lvsguard.admin.protocol import ChangeReply

RESET = "reset"
_EXITS = (Exit.DONE, Exit.FAILED, Exit.USAGE, Exit.UNREACHABLE)
_KEPT = "It is kept on disk and outlives restarts and reboots."
_SHOWN = 5
"""Realservers that are named one by one in an answer."""


def add(commands: Commands) -> None:
    """Declare the commands."""
    drain = add_command(
        commands,
        "drain",
        set_drain,
        summary="send no new connections to a realserver",
        description="Send no new connections to a realserver; the established ones go on "
        f"(weight 0).\n{_KEPT}",
        examples=[
            ("lvsguard drain 10.0.0.42 --reason 'kernel update'", "in every service that has it"),
            ("lvsguard drain 10.0.0.42:80 --service web --for 2h", "one of them, for two hours"),
            ("lvsguard drain rs1", "by its name in the config"),
        ],
        exits=_EXITS,
    )
    _add_target(drain)
    _add_circumstances(drain)
    undrain = add_command(
        commands,
        "undrain",
        clear_drain,
        summary="end a drain",
        description="End a drain: the realserver gets new connections again, if its checks pass.",
        examples=[("lvsguard undrain 10.0.0.42", "end every drain of this address")],
        exits=_EXITS,
    )
    _add_target(undrain)
    disable = add_command(
        commands,
        "disable",
        set_disable,
        summary="take a realserver out of the table",
        description="Take a realserver out of the IPVS table at once; its established connections "
        f"break.\nTo let them finish, use drain. {_KEPT}",
        examples=[("lvsguard disable rs1 --reason 'disk broken'", "out of every service")],
        exits=_EXITS,
    )
    _add_target(disable)
    _add_circumstances(disable)
    enable = add_command(
        commands,
        "enable",
        clear_disable,
        summary="end a disable",
        description="End a disable: the realserver is put back, if its checks pass.",
        examples=[("lvsguard enable rs1", "back into every service")],
        exits=_EXITS,
    )
    _add_target(enable)
    weight = add_command(
        commands,
        "weight",
        set_weight,
        summary="give a realserver another weight",
        description="Give a realserver another weight than the configured one, or 'reset' to go "
        f"back to it.\n{_KEPT}",
        examples=[
            ("lvsguard weight 10.0.0.42 5", "weight 5"),
            (
                "lvsguard weight rs1 50% --for 30m",
                "half of the configured weight, for half an hour",
            ),
            ("lvsguard weight rs1 reset", "the configured weight again"),
        ],
        exits=_EXITS,
    )
    _add_target(weight)
    weight.add_argument(
        "weight", metavar="N|P%|reset", help="0 to 65535, 0%% to 100%% of the configured, or reset"
    )
    _add_circumstances(weight)


def _add_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target",
        metavar="TARGET",
        help="a realserver: address, address:port, [v6]:port, or its name in the config",
    )
    parser.add_argument("--service", metavar="NAME", help="only in this service (default: in all)")
    add_socket(parser)
    add_json(parser, "print the daemon's answer as JSON")


def _add_circumstances(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--reason", metavar="TEXT", default="", help="shown in status and kept in the history"
    )
    parser.add_argument(
        "--ticket", metavar="ID", default="", help="where it is told in full, such as OPS-1234"
    )
    parser.add_argument(
        "--for",
        dest="seconds",
        metavar="TIME",
        type=positive_duration,
        help="end it by itself after a time such as 90s, 30m, 2h (default: stays until ended)",
    )


def set_drain(args: argparse.Namespace) -> int:
    """``lvsguard drain``."""
    return _set(args, "drain", "drained")


def set_disable(args: argparse.Namespace) -> int:
    """``lvsguard disable``."""
    return _set(args, "disable", "disabled")


def set_weight(args: argparse.Namespace) -> int:
    """``lvsguard weight``."""
    if args.weight == RESET:
        return _clear(args, "weight", "has its configured weight again")
    return _set(args, "weight", f"weight {args.weight}")


def clear_drain(args: argparse.Namespace) -> int:
    """``lvsguard undrain``."""
    return _clear(args, "drain", "is not drained any more")


def clear_disable(args: argparse.Namespace) -> int:
    """``lvsguard enable``."""
    return _clear(args, "disable", "is enabled again")


def _set(args: argparse.Namespace, kind: str, done: str) -> int:
    from lvsguard.admin.protocol import SetOverride
    from lvsguard.core.override import OverrideKind

    with daemon(args) as client:
        reply = client.set_override(
            SetOverride(
                target=args.target,
                kind=OverrideKind(kind),
                service=args.service,
                weight=args.weight if kind == "weight" else None,
                reason=args.reason,
                expires_in=args.seconds,
                ticket=args.ticket,
            )
        )
    until = f" for {span(args.seconds)}" if args.seconds else ""
    return _tell(args, reply, f"{', '.join(reply.targets)}: {done}{until}")


def _clear(args: argparse.Namespace, kind: str, done: str) -> int:
    from lvsguard.admin.protocol import ClearOverride
    from lvsguard.core.override import OverrideKind

    with daemon(args) as client:
        reply = client.clear_override(
            ClearOverride(target=args.target, kind=OverrideKind(kind), service=args.service)
        )
    if reply.targets or args.json:
        return _tell(args, reply, f"{', '.join(reply.targets)} {done}")
    say(printable(f"{args.target}: there was no {kind} to end"))
    return Exit.DONE


def _tell(args: argparse.Namespace, reply: ChangeReply, line: str) -> int:
    if args.json:
        import msgspec

        sys.stdout.write(msgspec.json.format(msgspec.json.encode(reply)).decode() + "\n")
        return Exit.DONE
    say(printable(line))
    for one in reply.realservers[:_SHOWN]:
        where = f"[{one.address}]:{one.port}" if ":" in one.address else f"{one.address}:{one.port}"
        say(printable(f"  {where} in {one.service}"))
    if len(reply.realservers) > _SHOWN:
        say(f"  and {count(len(reply.realservers) - _SHOWN, 'more realserver')}")
    if not reply.durable:
        complain(f"in force, but not kept: {reply.message}")
    return Exit.DONE
