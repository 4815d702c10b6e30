"""disable, enable, weight: the operator's overrides, and what they share with a drain."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lvsguard.cli.arguments import (
    Commands,
    add_command,
    add_json,
    add_socket,
    positive_duration,
)
from lvsguard.cli.change import add_mine, say_change, say_json, status_of_left, whose
from lvsguard.cli.exits import Exit
from lvsguard.cli.progress import display
from lvsguard.cli.standing import Standing
from lvsguard.cli.talk import daemon
from lvsguard.cli.text import complain, printable, say, span
from lvsguard.cli.waiting import (
    TIMEOUT_S,
    Outcome,
    Watch,
    add_wait,
    needs_wait,
    wait,
)

if TYPE_CHECKING:
    from lvsguard.admin.protocol import ChangeReply

RESET = "reset"
EXITS = (Exit.DONE, Exit.FAILED, Exit.USAGE, Exit.UNREACHABLE)
KEPT = "It is kept on disk and outlives restarts and reboots."


def add(commands: Commands) -> None:
    """Declare the commands."""
    disable = add_command(
        commands,
        "disable",
        set_disable,
        summary="take a realserver out of the table",
        description="Take a realserver out of the IPVS table at once; its established connections "
        f"break.\nTo let them finish, use drain. {KEPT}",
        examples=[("lvsguard disable rs1 --reason 'disk broken'", "out of every service")],
        exits=EXITS,
    )
    add_targets(disable)
    add_circumstances(disable)
    add_mine(disable)
    enable = add_command(
        commands,
        "enable",
        clear_disable,
        summary="end a disable",
        description="End a disable: the realserver is put back, if its checks pass.",
        examples=[
            ("lvsguard enable rs1", "back into every service"),
            ("lvsguard enable rs1 --wait", "and wait until it serves"),
        ],
        exits=(*EXITS, Exit.PENDING),
    )
    add_targets(enable)
    add_reason(enable)
    add_mine(enable)
    add_wait(enable, "it is up and has its whole weight")
    weight = add_command(
        commands,
        "weight",
        set_weight,
        summary="give a realserver another weight",
        description="Give a realserver another weight than the configured one, or 'reset' to go "
        f"back to it.\n{KEPT}",
        examples=[
            ("lvsguard weight 10.0.0.42 5", "weight 5"),
            (
                "lvsguard weight rs1 50% --for 30m",
                "half of the configured weight, for half an hour",
            ),
            ("lvsguard weight rs1 reset", "the configured weight again"),
        ],
        exits=EXITS,
    )
    _add_target(weight, nargs=None)
    _add_scope(weight)
    weight.add_argument(
        "weight", metavar="N|P%|reset", help="0 to 65535, 0%% to 100%% of the configured, or reset"
    )
    add_circumstances(weight)
    add_mine(weight)


def add_targets(parser: argparse.ArgumentParser, *, needed: bool = True) -> None:
    """``TARGET...``, and where."""
    _add_target(parser, nargs="+" if needed else "*")
    _add_scope(parser)


def _add_target(parser: argparse.ArgumentParser, nargs: str | None) -> None:
    parser.add_argument(
        "targets" if nargs else "target",
        metavar="TARGET",
        nargs=nargs,
        type=_target,
        help="a realserver: address, address:port, [v6]:port, or its name in the config",
    )


def _target(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty: is a variable of your script not set?")
    return text


def _add_scope(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--service", metavar="NAME", help="only in this service (default: in all)")
    add_socket(parser)
    add_json(parser, "print the daemon's answer as JSON")


def add_circumstances(parser: argparse.ArgumentParser) -> None:
    """``--reason``, ``--ticket`` and ``--for``."""
    add_reason(parser, "shown in status and kept in the history")
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


def add_reason(parser: argparse.ArgumentParser, where: str = "kept in the history") -> None:
    """``--reason``."""
    parser.add_argument("--reason", metavar="TEXT", default="", help=where)


def set_disable(args: argparse.Namespace) -> int:
    """``lvsguard disable``."""
    return _set(args, "disable", args.targets, "disabled")


def set_weight(args: argparse.Namespace) -> int:
    """``lvsguard weight``."""
    if args.weight != RESET:
        return _set(args, "weight", [args.target], f"weight {args.weight}")
    changes = cleared(args, "weight", [args.target], Standing(args), args.reason)
    say_cleared(args, [args.target], changes, "weight", "has its configured weight again")
    return said_cleared(args, changes)


def clear_disable(args: argparse.Namespace) -> int:
    """``lvsguard enable``."""
    needs_wait(args, "timeout")
    agree(args, args.targets)
    standing = Standing(args)
    with standing.telling():
        changes = cleared(args, "disable", args.targets, standing, args.reason)
        say_cleared(args, args.targets, changes, "disable", "is enabled again")
        return said_cleared(args, changes)


def _set(args: argparse.Namespace, kind: str, targets: Sequence[str], done: str) -> int:
    standing = Standing(args)
    with standing.telling():
        changes = set_overrides(args, kind, targets, standing)
    until = f" for {span(args.seconds)}" if args.seconds else ""
    for change in changes:
        say_change(args, change, f"{', '.join(change.targets)}: {done}{until}")
    return say_json(args, changes)


def say_cleared(
    args: argparse.Namespace,
    targets: Sequence[str],
    changes: Sequence[ChangeReply],
    kind: str,
    done: str,
) -> None:
    """What ending overrides did, in words, unless JSON is wanted."""
    for target, change in zip(targets, changes, strict=True):
        if change.targets:
            say_change(args, change, f"{', '.join(change.targets)} {done}")
        elif not args.json:
            held = _held(args, target, kind) if change.realservers else ""
            own = " of yours" if change.left and args.mine else ""
            say(printable(f"{target}: there was no {kind}{own} to end{held}"), *whose(change))


def _held(args: argparse.Namespace, target: str, kind: str) -> str:
    """What else keeps it from serving: a drain with ``--then remove`` is a disable at its end."""
    from lvsguard.admin.realservers import RealserversRequest
    from lvsguard.core.override import Admin

    ending = {"drain": (Admin.DISABLED, "enable"), "disable": (Admin.DRAIN, "undrain")}.get(kind)
    if ending is None:
        return ""
    with daemon(args) as client:
        reply = client.realservers(RealserversRequest(target=target, service=args.service))
    found = (one for service in reply.services for one in service.realservers)
    reasons = [one.reason for one in found if one.admin is ending[0]]
    only = f" --service {args.service}" if args.service else ""
    command = f"`lvsguard {ending[1]} {target}{only}` ends that"
    return f"; it is {reasons[0]}: {command}" if reasons else ""


# -- what is asked of the daemon -------------------------------------------------------------------


def agree(args: argparse.Namespace, targets: Sequence[str]) -> None:
    """Of several targets each must mean something, before anything is done with one."""
    from lvsguard.admin.realservers import RealserversRequest

    with daemon(args) as client:
        for target in targets if len(targets) > 1 else ():
            client.realservers(RealserversRequest(target=target, service=args.service))


def set_overrides(
    args: argparse.Namespace, kind: str, targets: Sequence[str], standing: Standing
) -> list[ChangeReply]:
    """Put an override in force on each."""
    from lvsguard.admin.protocol import SetOverride
    from lvsguard.core.override import OverrideKind

    agree(args, targets)
    changes = []
    with daemon(args) as client:
        for target in targets:
            request = SetOverride(
                target=target,
                kind=OverrideKind(kind),
                service=args.service,
                weight=args.weight if kind == "weight" else None,
                reason=args.reason,
                expires_in=args.seconds,
                ticket=args.ticket,
                mine=args.mine,
            )
            with standing.setting(kind, target):
                changes.append(client.set_override(request))
    return changes


def cleared(
    args: argparse.Namespace,
    kind: str,
    targets: Sequence[str],
    standing: Standing,
    reason: str = "",
) -> list[ChangeReply]:
    """End an override of each."""
    from lvsguard.admin.protocol import ClearOverride
    from lvsguard.core.override import OverrideKind

    changes = []
    with daemon(args) as client:
        for target in targets:
            request = ClearOverride(
                target=target,
                kind=OverrideKind(kind),
                service=args.service,
                reason=reason,
                mine="1" if args.mine else "0",
            )
            with standing.ending_of(kind, target):
                changes.append(client.clear_override(request))
            if changes[-1].left:
                standing.still(kind, target)
    return changes


def said_cleared(args: argparse.Namespace, changes: Sequence[ChangeReply]) -> int:
    """What is to be done once overrides have ended; the exit status."""
    left = status_of_left(args, changes)
    if getattr(args, "wait", False) and left == Exit.DONE:
        return _wait_back(args, changes)
    say_json(args, changes)
    return left


def _wait_back(args: argparse.Namespace, changes: Sequence[ChangeReply]) -> int:
    """Wait until all that the changes concern serve with their whole weight."""
    from lvsguard.admin.waiting import Returning

    limit = args.timeout or TIMEOUT_S
    watch = Watch.over(args, changes)
    judge = Returning(watch.places)
    waited = wait(watch.look, judge, limit, display(limit, quiet=args.json))
    if args.json:
        return say_json(args, changes, waited)
    took = span(waited.seconds)
    if waited.outcome is Outcome.DONE:
        say(f"back after {took}")
    else:
        complain(f"not back after {took}", *waited.lines)
    return waited.status
