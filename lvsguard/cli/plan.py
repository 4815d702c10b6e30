"""plan: what the configuration would change in the kernel, nothing of it done."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lvsguard.cli.arguments import Commands, add_command, add_config, add_socket, config_path
from lvsguard.cli.configfile import loaded, read_text
from lvsguard.cli.exits import CommandError, Exit
from lvsguard.cli.talk import daemon
from lvsguard.cli.text import coloured, paint, printable, say

if TYPE_CHECKING:
    from lvsguard.admin.protocol import StepReply

_SIGNS = {"add": ("+", "green"), "change": ("~", "yellow"), "remove": ("-", "red")}
CHANGES_WIDTH = 40
"""Longer changes push their reason to the right."""
NOTHING = "Nothing to do: the kernel is as it should be."


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "plan",
        plan,
        summary="show what the configuration would change in the kernel",
        description="Show what the configuration would change in the kernel, and change nothing.\n"
        "A running daemon is asked, since it knows verdicts and overrides; without one, or with\n"
        "--offline, the kernel is read directly (needs root), and realservers that are in its\n"
        "table keep their weights.",
        examples=[
            ("lvsguard plan", "what a reload would do now"),
            ("lvsguard plan -c new.toml --exit-code", "in a script: 0 nothing, 4 something to do"),
            ("lvsguard plan --format ipvsadm", "as the commands that do the same by hand"),
        ],
        exits=(Exit.DONE, Exit.FAILED, Exit.USAGE, Exit.UNREACHABLE, Exit.PENDING),
    )
    add_config(parser)
    parser.add_argument(
        "--format",
        choices=("text", "ipvsadm", "json"),
        default="text",
        help="text for people, the equal ipvsadm and ip commands, or JSON (default: %(default)s)",
    )
    parser.add_argument(
        "--exit-code",
        action="store_true",
        help="exit with 4 when there is something to do (0: nothing)",
    )
    parser.add_argument("--offline", action="store_true", help="do not ask a running daemon")
    add_socket(parser)


def plan(args: argparse.Namespace) -> int:
    """``lvsguard plan``."""
    steps = _offline(args) if args.offline else _online(args)
    if args.format == "json":
        sys.stdout.write(as_json(steps) + "\n")
    elif args.format == "ipvsadm":
        say(*(step.command for step in steps))
    else:
        say(*text(steps, coloured()))
    return Exit.PENDING if steps and args.exit_code else Exit.DONE


def _online(args: argparse.Namespace) -> Sequence[StepReply]:
    from lvsguard.admin.client import Unreachable

    config = None if args.config is None else read_text(config_path(args))
    with daemon(args) as client:
        try:
            return client.plan(config).steps
        except Unreachable as error:
            if args.socket is not None or not error.nobody:
                raise
    return _offline(args)


def _offline(args: argparse.Namespace) -> Sequence[StepReply]:
    import asyncio

    from lvsguard.admin.steps import tell
    from lvsguard.daemon import offline_steps
    from lvsguard.kernel.port import KernelError

    config = loaded(config_path(args))
    names = {service.key: service.name for service in config.services}
    try:
        steps = asyncio.run(offline_steps(config))
    except KernelError as error:
        raise CommandError(Exit.FAILED, f"the kernel cannot be read: {error}") from error
    return [tell(step, names, {}) for step in steps]


def as_json(steps: Sequence[StepReply]) -> str:
    """Steps and their sum."""
    import msgspec

    return msgspec.json.format(
        msgspec.json.encode({"steps": steps, "summary": summary(steps)})
    ).decode()


def summary(steps: Sequence[StepReply]) -> dict[str, int]:
    """How many steps add, change and remove."""
    counted = Counter(step.action for step in steps)
    return {action: counted[action] for action in _SIGNS}


def text(steps: Sequence[StepReply], colours: bool) -> list[str]:
    """The plan for people: by service, with signs, and why."""
    if not steps:
        return [NOTHING]
    groups: dict[str, list[StepReply]] = {}
    for step in steps:
        groups.setdefault(step.group, []).append(step)
    lines: list[str] = []
    for group, members in groups.items():
        name = members[0].name
        title = f"{name} ({group})" if name else group
        lines += [paint(printable(title), "bold", colours)]
        what = max(len(f"{step.object} {step.subject}") for step in members)
        changes = min(max(len(", ".join(step.changes)) for step in members), CHANGES_WIDTH)
        lines += [_line(step, what, changes, colours) for step in members]
        lines += [""]
    sums = summary(steps)
    lines += [
        f"Plan: {sums['add']} to add, {sums['change']} to change, {sums['remove']} to remove."
    ]
    return lines


def _line(step: StepReply, what_width: int, changes_width: int, colours: bool) -> str:
    sign, colour = _SIGNS[step.action]
    what = f"{step.object} {step.subject}".ljust(what_width)
    changes = ", ".join(step.changes).ljust(changes_width)
    why = paint(f"# {printable(step.why)}", "dim", colours)
    return f"  {paint(sign, colour, colours)} {what}  {changes}{'  ' if changes else ''}{why}"
