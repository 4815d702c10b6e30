"""What a change of overrides did, in words and as JSON: to which realservers, and to whose
overrides that were there before."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from lvsguard.cli.exits import Exit
from lvsguard.cli.text import ago, complain, count, printable, say, span

if TYPE_CHECKING:
    from lvsguard.admin.protocol import ChangeReply, OverrideReply
    from lvsguard.cli.waiting import Waited

_SHOWN = 5
"""Realservers that are named one by one in an answer."""


def add_mine(parser: argparse.ArgumentParser) -> None:
    """``--mine``."""
    parser.add_argument(
        "--mine",
        action="store_true",
        help="for scripts: leave what somebody else has set as it is, and exit with 1 then",
    )


def whose(change: ChangeReply) -> Iterator[str]:
    """What a change did to overrides that were there before, a line each."""
    now = time.time()
    for done, overrides in (
        ("replaced", change.replaced),
        ("ended", change.ended),
        ("left", change.left),
    ):
        for one in overrides:
            yield printable(f"  {done}: {told(one, now)}")


def told(override: OverrideReply, now: float) -> str:
    """An override with who set it, how long ago, for how much longer, and why; on one line."""
    words = brief(override)
    if override.since is not None:
        words += f", {ago(override.since, now)} ago"
    if override.expires is not None:
        words += f", {span(datetime.fromisoformat(override.expires).timestamp() - now)} to go"
    why = f": {override.reason}" if override.reason else ", without a reason"
    return f"{words}{why}{f' [{override.ticket}]' if override.ticket else ''}"


def brief(override: OverrideReply) -> str:
    """An override and who set it."""
    what = f"weight {override.weight}" if override.weight is not None else str(override.kind)
    return f"{what} of {override.target} by {override.actor}"


def status_of_left(args: argparse.Namespace, changes: Sequence[ChangeReply]) -> int:
    """The exit status, for what ``--mine`` has left."""
    others = [one for change in changes for one in change.left]
    if not args.mine or not others:
        return Exit.DONE
    complain(
        *(printable(f"left: {brief(one)}") for one in others),
        "ask whoever that is before you end it, by its own target and without --mine",
    )
    return Exit.FAILED


def say_change(args: argparse.Namespace, change: ChangeReply, line: str) -> None:
    """What a change did, in words, unless JSON is wanted."""
    if args.json:
        return
    say(printable(line))
    for one in change.realservers[:_SHOWN]:
        where = f"[{one.address}]:{one.port}" if ":" in one.address else f"{one.address}:{one.port}"
        say(printable(f"  {where} in {one.service}"))
    if len(change.realservers) > _SHOWN:
        say(f"  and {count(len(change.realservers) - _SHOWN, 'more realserver')}")
    say(*whose(change))
    if not change.durable:
        complain(f"in force, but not kept: {change.message}")


def say_json(
    args: argparse.Namespace, changes: Sequence[ChangeReply], waited: Waited | None = None
) -> int:
    """All changes as one answer of the daemon, with what came of a wait; the exit status."""
    if args.json:
        import msgspec

        from lvsguard.admin.protocol import ChangeReply

        whole = ChangeReply(
            targets=[target for change in changes for target in change.targets],
            realservers=[one for change in changes for one in change.realservers],
            durable=all(change.durable for change in changes),
            message=next((change.message for change in changes if not change.durable), ""),
            replaced=[one for change in changes for one in change.replaced],
            ended=[one for change in changes for one in change.ended],
            left=[one for change in changes for one in change.left],
        )
        document = msgspec.to_builtins(whole)
        if waited is not None:
            document["wait"] = waited.document
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(document)).decode() + "\n")
    return Exit.DONE if waited is None else waited.status
