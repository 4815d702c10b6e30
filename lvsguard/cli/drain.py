"""drain and undrain: a realserver gets no new connections, and maybe is waited for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lvsguard.cli.arguments import Commands, add_command
from lvsguard.cli.exits import CommandError, Exit
from lvsguard.cli.override import (
    EXITS,
    KEPT,
    add_circumstances,
    add_targets,
    agree,
    cleared,
    say_change,
    say_cleared,
    say_json,
    set_overrides,
    wait_back,
)
from lvsguard.cli.progress import display
from lvsguard.cli.talk import daemon
from lvsguard.cli.text import complain, printable, say, span
from lvsguard.cli.waiting import STATUS, TIMEOUT_S, Outcome, Watch, add_wait, needs_wait
from lvsguard.cli.waiting import wait as wait_until

if TYPE_CHECKING:
    from lvsguard.admin.protocol import ChangeReply

HOLD, REMOVE = "hold", "remove"


def add(commands: Commands) -> None:
    """Declare the commands."""
    drain = add_command(
        commands,
        "drain",
        set_drain,
        summary="send no new connections to a realserver",
        description="Send no new connections to a realserver; the established ones go on "
        f"(weight 0).\n{KEPT} With --wait it returns when the realserver is empty: no connection "
        "is left that\nthe kernel knows to be open, and no packet comes for one that its client "
        "has closed.",
        examples=[
            ("lvsguard drain 10.0.0.42 --reason 'kernel update'", "in every service that has it"),
            ("lvsguard drain 10.0.0.42:80 --service web --for 2h", "one of them, for two hours"),
            ("lvsguard drain rs1 rs2 --wait --timeout 5m", "in a script: 0 empty, 4 not in time"),
            ("lvsguard drain --percent 20 --service web", "a fifth of a service"),
        ],
        exits=(*EXITS, Exit.PENDING),
    )
    add_targets(drain, needed=False)
    drain.add_argument(
        "--percent",
        metavar="P",
        type=_percent,
        help="instead of TARGET: so many percent of the service's realservers, those with the "
        "fewest connections; what is drained already counts",
    )
    drain.add_argument(
        "--force", action="store_true", help="with --percent: even below the service's quorum"
    )
    add_circumstances(drain)
    add_wait(drain, "it is empty; Ctrl-C leaves the drain on")
    drain.add_argument(
        "--strict",
        action="store_true",
        help="with --wait: until the kernel has forgotten connections that clients have closed, "
        "too (2 minutes after)",
    )
    drain.add_argument(
        "--then",
        choices=(HOLD, REMOVE),
        metavar=f"{HOLD}|{REMOVE}",
        help="with --wait: at its end, also at the deadline, hold it drained (default), or take it "
        "out of the table as disable does",
    )
    undrain = add_command(
        commands,
        "undrain",
        clear_drain,
        summary="end a drain",
        description="End a drain: the realserver gets new connections again, if its checks pass, "
        "and after\na slow start where the service has one. With --wait it returns when the "
        "realserver has its\nwhole weight again.",
        examples=[
            ("lvsguard undrain 10.0.0.42", "end every drain of this address"),
            ("lvsguard undrain rs1 --wait --timeout 1m", "in a script: 0 it serves, 4 not in time"),
        ],
        exits=(*EXITS, Exit.PENDING),
    )
    add_targets(undrain)
    add_wait(undrain, "it is up and has its whole weight")


def _percent(text: str) -> int:
    number = text.removesuffix("%")
    if not (
        number.isascii() and number.isdecimal() and len(number) <= 3 and 1 <= int(number) <= 100
    ):
        raise argparse.ArgumentTypeError(f"{text!r}: give a whole number from 1 to 100")
    return int(number)


def set_drain(args: argparse.Namespace) -> int:
    """``lvsguard drain``."""
    needs_wait(args, "timeout", "strict", "then")
    targets = _targets(args)
    if not targets:
        _say_share_is_out(args)
        return Exit.DONE
    until = f" for {span(args.seconds)}" if args.seconds else ""
    changes = set_overrides(args, "drain", targets)
    for change in changes:
        say_change(args, change, f"{', '.join(change.targets)}: drained{until}")
    if not args.wait:
        return say_json(args, changes)
    return _wait_empty(args, targets, changes)


def _say_share_is_out(args: argparse.Namespace) -> None:
    """There is nothing left to take."""
    text = f"{args.percent}% of service {args.service} are drained or disabled already"
    say_json(args, []) if args.json else say(printable(text))


def _targets(args: argparse.Namespace) -> list[str]:
    """What was typed, or a share of a service."""
    if args.percent is None:
        if not args.targets:
            raise CommandError(Exit.USAGE, "give a TARGET, or --percent and --service")
        if args.force:
            raise CommandError(Exit.USAGE, "--force goes with --percent")
        return list(args.targets)
    if args.targets or args.service is None:
        raise CommandError(Exit.USAGE, "--percent takes a --service, and no TARGET")
    from lvsguard.admin.realservers import RealserversRequest
    from lvsguard.admin.share import BelowQuorum, share
    from lvsguard.admin.waiting import Place

    with daemon(args) as client:
        (service,) = client.realservers(RealserversRequest(service=args.service)).services
    try:
        chosen = share(service, args.percent, force=args.force)
    except BelowQuorum as error:
        raise CommandError(Exit.FAILED, printable(str(error))) from error
    return [Place(service.name, one.address, one.port).target for one in chosen]


def _wait_empty(
    args: argparse.Namespace, targets: Sequence[str], changes: Sequence[ChangeReply]
) -> int:
    from lvsguard.admin.waiting import Emptying

    limit = args.timeout or TIMEOUT_S
    watch = Watch.over(args, changes)
    shown = display(limit, quiet=args.json)
    waited = wait_until(watch.look, Emptying(args.strict), limit, shown)
    removed = args.then == REMOVE and waited.outcome in (Outcome.DONE, Outcome.DEADLINE)
    if removed:
        _remove(args, targets, waited.seconds)
    if args.json:
        return say_json(args, changes, waited)
    told = " ".join(map(printable, targets))
    only = f" --service {args.service}" if args.service else ""
    ending = f"lvsguard {'enable' if removed else 'undrain'} {told}{only}"
    state = "taken out of the table" if removed else "the drain is on"
    if waited.outcome is Outcome.DONE:
        say(f"empty after {span(waited.seconds)}")
        if removed:
            say(f"{state}: `{ending}` puts it back")
        return Exit.DONE
    reason = _REASON[waited.outcome].format(span(waited.seconds))
    if waited.outcome is Outcome.LOST:
        complain(reason, *waited.lines)
    else:
        complain(f"{reason}: {state}", *waited.lines)
        complain(f"`{ending}` ends that")
    return STATUS[waited.outcome]


_REASON = {
    Outcome.DEADLINE: "not empty after {}",
    Outcome.INTERRUPTED: "interrupted after {}, before it was empty",
    Outcome.LOST: "given up after {}",
}


def _remove(args: argparse.Namespace, targets: Sequence[str], seconds: float) -> None:
    """Disable, and only then end the drain, so that it is never in between."""
    if args.seconds is not None:
        args.seconds = max(args.seconds - seconds, 1.0)
    set_overrides(args, "disable", targets)
    cleared(args, "drain", targets)


def clear_drain(args: argparse.Namespace) -> int:
    """``lvsguard undrain``."""
    needs_wait(args, "timeout")
    agree(args, args.targets)
    changes = cleared(args, "drain", args.targets)
    say_cleared(args, args.targets, changes, "drain", "is not drained any more")
    return wait_back(args, changes) if args.wait else say_json(args, changes)
