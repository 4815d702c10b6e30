"""run: the daemon itself."""

from __future__ import annotations

import argparse
from pathlib import Path

from lvsguard.cli.arguments import Commands, add_command, add_config, config_path
from lvsguard.cli.exits import Exit


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "run",
        run,
        summary="run the director",
        description="Run the director in the foreground: program IPVS, hold the VIPs, probe the\n"
        "realservers, repair what somebody else changes. What is in the kernel already is\n"
        "adopted, and stays when this ends, so a restart interrupts nothing.\n"
        "SIGHUP reads the configuration again; SIGTERM and SIGINT stop.",
        examples=[
            ("lvsguard run -c /etc/lvsguard/config.toml", "as the systemd unit does"),
            ("lvsguard run --release", "take out of the kernel what is owned, at the end"),
        ],
        exits=(Exit.DONE, Exit.FAILED, Exit.USAGE),
    )
    add_config(parser)
    parser.add_argument(
        "--release",
        action="store_true",
        help="at the end remove owned services and VIPs from the kernel (as on_stop = remove)",
    )
    parser.add_argument(
        "--socket",
        metavar="PATH",
        type=Path,
        default=None,
        help="admin socket to make (default: that of the configuration)",
    )
    parser.add_argument(
        "--log-format",
        choices=("auto", "console", "journal", "json"),
        default="auto",
        help="how log lines look; auto: journal under systemd, else console (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """``lvsguard run``."""
    import asyncio

    from lvsguard.daemon import Options
    from lvsguard.daemon import run as run_daemon
    from lvsguard.daemon.log import LogFormat

    options = Options(
        config=config_path(args),
        log_format=LogFormat(args.log_format),
        release=args.release,
        socket=args.socket,
    )
    return asyncio.run(run_daemon(options))
