"""The command line: which commands there are, and how one is run."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from errno import EDQUOT, EFBIG, EIO, ENOSPC

from lvsguard import __version__
from lvsguard.cli import (
    about,
    config,
    drain,
    events,
    failover,
    metrics,
    override,
    peerkey,
    plan,
    realserver,
    run,
    scaffold,
    status,
    why,
)
from lvsguard.cli.arguments import HelpFormatter, epilog
from lvsguard.cli.exits import CommandError, Exit, interrupted
from lvsguard.cli.text import complain

_FULL = frozenset({ENOSPC, EDQUOT, EIO, EFBIG})

DESCRIPTION = """\
Runs Linux Virtual Server in direct-routing mode: holds the VIPs, programs IPVS, probes the
realservers, repairs what somebody else changes, and tells why."""


def build_parser() -> argparse.ArgumentParser:
    """The whole command line. Help, completion, man pages and reference are made from it."""
    parser = argparse.ArgumentParser(
        prog="lvsguard",
        description=DESCRIPTION,
        epilog=epilog(
            [
                ("lvsguard init", "write a configuration"),
                ("lvsguard check && lvsguard plan", "what would it do?"),
                ("lvsguard status --watch", "what is it doing?"),
                ("lvsguard COMMAND --help", "more about a command"),
            ],
            list(Exit),
        ),
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"lvsguard {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    operating = (run, config, plan, status, why, drain, override, failover, events, metrics)
    for group in (*operating, scaffold, peerkey, realserver, about):
        group.add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; returns its exit status. Bad usage raises SystemExit(2), as argparse."""
    args = build_parser().parse_args(argv)
    try:
        status = int(args.run(args))
        sys.stdout.flush()
    except CommandError as error:
        complain(*error.lines)
        return error.exit_status
    except KeyboardInterrupt as error:
        # Watching and following have no other end.
        endless = getattr(args, "watch", False) or getattr(args, "follow", False)
        return Exit.DONE if endless else interrupted(error)
    except BrokenPipeError:
        # The reader (head, less) has had enough.
        _write_no_more()
        return Exit.FAILED
    except OSError as error:
        if error.errno not in _FULL:
            raise
        _write_no_more()
        complain(f"the output cannot be written ({error.strerror}): give it another place")
        return Exit.FAILED
    return status


def _write_no_more() -> None:
    """Python flushes once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
