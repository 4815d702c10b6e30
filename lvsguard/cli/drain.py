"""drain and undrain: a realserver gets no new connections, and maybe is waited for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lvsguard.cli.arguments import Commands, add_command
from lvsguard.cli.change import add_mine, say_change, say_json, whose
from lvsguard.cli.exits import CommandError, Exit
from lvsguard.cli.override import (
    EXITS,
    KEPT,
    add_circumstances,
    add_reason,
    add_targets,
    agree,
    cleared,
    said_cleared,
    say_cleared,
    set_overrides,
)
from lvsguard.cli.progress import display
from lvsguard.cli.standing import Standing, still_drained
from lvsguard.cli.talk import daemon
from lvsguard.cli.text import complain, printable, say, span
from lvsguard.cli.waiting import TIMEOUT_S, Outcome, Waited, Watch, add_wait, needs_wait
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
        "fewest connections; what is drained already counts, and --wait waits for it, too",
    )
    drain.add_argument(
        "--force", action="store_true", help="with --percent: even below the service's quorum"
    )
    add_circumstances(drain)
    add_mine(drain)
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
            ("lvsguard undrain rs1 --reason 'update is done'", "and say why"),
            ("lvsguard undrain rs1 --wait --timeout 1m", "in a script: 0 it serves, 4 not in time"),
        ],
        exits=(*EXITS, Exit.PENDING),
    )
    add_targets(undrain)
    add_reason(undrain)
    add_mine(undrain)
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
    _outlast(args)
    _agree(args)
    until = f" for {span(args.seconds)}" if args.seconds else ""
    standing = Standing(args)
    with standing.telling():
        begun = _begun(args, standing)
        for change in begun.changes:
            say_change(args, change, f"{', '.join(change.targets)}: drained{until}")
        if not begun.changes and not args.json:
            share = f"{args.percent}% of service {args.service}"
            say(printable(f"{share} are drained or disabled already"))
        if not args.wait:
            return say_json(args, begun.changes)
        return _wait_empty(args, begun, standing)


def _outlast(args: argparse.Namespace) -> None:
    """A drain that ends by itself must not do so while it is waited for."""
    limit = args.timeout or TIMEOUT_S
    if args.wait and args.seconds is not None and args.seconds <= limit:
        default = "" if args.timeout else " (the default)"
        raise CommandError(
            Exit.USAGE,
            f"--for {span(args.seconds)} ends the drain before --timeout {span(limit)}{default} is"
            " over: give a longer --for or a shorter --timeout",
        )


def _agree(args: argparse.Namespace) -> None:
    """Targets, or a share of a service."""
    if args.percent is not None and (args.targets or args.service is None):
        raise CommandError(Exit.USAGE, "--percent takes a --service, and no TARGET")
    if args.percent is None and not args.targets:
        raise CommandError(Exit.USAGE, "give a TARGET, or --percent and --service")
    if args.percent is None and args.force:
        raise CommandError(Exit.USAGE, "--force goes with --percent")
    if args.percent is not None and args.mine:
        raise CommandError(
            Exit.USAGE, "--mine goes with a TARGET: a share takes nobody who is drained already"
        )


@dataclass(frozen=True, slots=True)
class _Begun:
    """Drains that are in force."""

    targets: Sequence[str]
    """Whom this command has drained, as commands take them."""
    changes: Sequence[ChangeReply]
    """One for each of them."""
    before: ChangeReply | None = None
    """Of a share: who was out already."""

    @property
    def watched(self) -> Sequence[ChangeReply]:
        """Whom a wait is about."""
        return self.changes if self.before is None else (*self.changes, self.before)


def _begun(args: argparse.Namespace, standing: Standing) -> _Begun:
    """Drain what was typed, or have the daemon choose a share."""
    if args.percent is None:
        targets: Sequence[str] = args.targets
        return _Begun(targets, set_overrides(args, "drain", targets, standing))
    from msgspec.structs import replace

    from lvsguard.admin.protocol import DrainShare
    from lvsguard.admin.waiting import Place

    request = DrainShare(
        service=args.service,
        percent=args.percent,
        force=args.force,
        reason=args.reason,
        expires_in=args.seconds,
        ticket=args.ticket,
    )
    with daemon(args) as client, standing.sharing(args.service):
        reply = client.drain_share(request)
    targets = [Place(one.service, one.address, one.port).target for one in reply.realservers]
    standing.held["drain"] = [*targets]
    for line in reply.unasked:
        complain(printable(f"{line}: a share that is drained there at this moment is not counted"))
    changes = [
        replace(reply, targets=[target], realservers=[one])
        for target, one in zip(reply.targets, reply.realservers, strict=True)
    ]
    return _Begun(targets, changes, replace(reply, targets=[], realservers=reply.already))


def _wait_empty(args: argparse.Namespace, begun: _Begun, standing: Standing) -> int:
    from lvsguard.admin.waiting import Emptying

    limit = args.timeout or TIMEOUT_S
    watch = Watch.over(args, begun.watched)
    judge = Emptying(args.strict, watch.places)
    waited = wait_until(watch.look, judge, limit, display(limit, quiet=args.json))
    over = waited.outcome in (Outcome.DONE, Outcome.DEADLINE)
    # Who was out before was taken out by somebody else, perhaps: that is left as it is.
    removed = args.then == REMOVE and over and bool(begun.targets)
    changes = [*begun.changes]
    if removed:
        changes += _remove(args, begun.targets, waited.seconds, standing)
    if waited.outcome is Outcome.DONE and not args.json:
        say(f"empty after {span(waited.seconds)}")
        if removed:
            say(f"taken out of the table: {_ending(args, begun.targets, removed)} puts it back")
    elif waited.outcome is not Outcome.DONE:
        _tell_left(args, begun, waited, standing)
    if args.json:
        say_json(args, changes, waited)
    return waited.status


def _tell_left(args: argparse.Namespace, begun: _Begun, waited: Waited, standing: Standing) -> None:
    """It is not empty: why, what is in force, and how that is ended. With JSON, too, for whoever
    reads the log of a script."""
    reason = _REASON[waited.outcome].format(span(waited.seconds))
    if waited.outcome is Outcome.LOST and waited.progress is not None:
        complain(reason, *waited.lines)
        for line in still_drained(standing, begun.targets, begun.changes, waited.progress):
            complain(line)
    elif waited.outcome is Outcome.UNREACHABLE:
        complain(reason, *waited.lines)
        complain(*(f"still {line}" for line in standing.lines()))
    elif not args.json:
        removed = "disable" in standing.held
        state = "taken out of the table" if removed else "the drain is on"
        complain(f"{reason}: {state}", *waited.lines)
        if begun.targets:
            complain(f"{_ending(args, begun.targets, removed)} ends that")
        else:
            complain("it was on before this command: `lvsguard status` says by whom")


def _ending(args: argparse.Namespace, targets: Sequence[str], removed: bool) -> str:
    told = " ".join(map(printable, targets))
    only = f" --service {args.service}" if args.service else ""
    return f"`lvsguard {'enable' if removed else 'undrain'} {told}{only}`"


_REASON = {
    Outcome.DEADLINE: "not empty after {}",
    Outcome.INTERRUPTED: "interrupted after {}, before it was empty",
    Outcome.LOST: "given up after {}",
    Outcome.UNREACHABLE: "given up after {}",
}


def _remove(
    args: argparse.Namespace, targets: Sequence[str], seconds: float, standing: Standing
) -> Sequence[ChangeReply]:
    """Disable, and only then end the drain, so that it is never in between; what that did to
    overrides that were there."""
    from msgspec.structs import replace

    if args.seconds is not None:
        args.seconds = max(args.seconds - seconds, 1.0)
    changes = set_overrides(args, "disable", targets, standing)
    changes += cleared(args, "drain", targets, standing)
    changes = [replace(change, targets=[], realservers=[]) for change in changes]
    if not args.json:
        say(*(line for change in changes for line in whose(change)))
    return changes


def clear_drain(args: argparse.Namespace) -> int:
    """``lvsguard undrain``."""
    needs_wait(args, "timeout")
    agree(args, args.targets)
    standing = Standing(args)
    with standing.telling():
        changes = cleared(args, "drain", args.targets, standing, args.reason)
        say_cleared(args, args.targets, changes, "drain", "is not drained any more")
        return said_cleared(args, changes)
