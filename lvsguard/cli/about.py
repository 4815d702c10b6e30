"""version and completion: the program itself."""

from __future__ import annotations

import argparse
import json
import sys

from lvsguard import __version__
from lvsguard.cli.arguments import Commands, add_command, add_json, add_socket
from lvsguard.cli.exits import CommandError, Exit
from lvsguard.cli.talk import daemon
from lvsguard.cli.text import complain, say

_FILES = {"bash": "_shtab_compgen_files", "zsh": "_files"}
"""What shtab puts in for arguments that are files."""


def add(commands: Commands) -> None:
    """Declare the commands."""
    parser = add_command(
        commands,
        "version",
        version,
        summary="show the versions of this program and of the running daemon",
        description="Show the versions of this program and of the running daemon, if there is one.",
        examples=[("lvsguard version --json", "for programs")],
        exits=(Exit.DONE,),
    )
    add_socket(parser)
    add_json(parser)
    parser = add_command(
        commands,
        "completion",
        completion,
        summary="print the completion script of a shell",
        description="Print the completion script of a shell.",
        examples=[
            (
                "lvsguard completion bash > /etc/bash_completion.d/lvsguard",
                "for every user of bash",
            ),
            ("lvsguard completion zsh > ~/.zfunc/_lvsguard", "for a user of zsh"),
        ],
        exits=(Exit.DONE, Exit.USAGE),
    )
    parser.add_argument("shell", choices=("bash", "zsh"), help="the shell")


def version(args: argparse.Namespace) -> int:
    """``lvsguard version``."""
    import platform

    running: str | None
    try:
        with daemon(args) as client:
            running = client.version().version
    except CommandError:
        running = None
    if args.json:
        versions = {"version": __version__, "daemon": running, "python": platform.python_version()}
        sys.stdout.write(json.dumps(versions) + "\n")
        return Exit.DONE
    say(f"lvsguard {__version__} (Python {platform.python_version()})")
    if running == __version__:
        say(f"the running daemon is {running} too")
    elif running is not None:
        complain(f"the running daemon is {running}: restart it (systemctl restart lvsguard)")
    return Exit.DONE


def completion(args: argparse.Namespace) -> int:
    """``lvsguard completion``."""
    import shtab

    from lvsguard.cli.main import build_parser

    parser = build_parser()
    _complete_files(parser)
    sys.stdout.write(shtab.complete(parser, args.shell).rstrip() + "\n")
    return Exit.DONE


def _complete_files(parser: argparse.ArgumentParser) -> None:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                _complete_files(sub)
        elif action.metavar in ("FILE", "PATH"):
            action.complete = _FILES  # type: ignore[attr-defined]
