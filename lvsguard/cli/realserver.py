"""realserver up, down, check: this host as a realserver."""

from __future__ import annotations

import argparse
import json
import sys
from ipaddress import ip_address
from typing import TYPE_CHECKING

from lvsguard.cli.arguments import (
    Commands,
    HelpFormatter,
    add_command,
    add_config,
    add_json,
    config_path,
)
from lvsguard.cli.configfile import loaded
from lvsguard.cli.exits import CommandError, Exit
from lvsguard.cli.text import coloured, count, paint, printable, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lvsguard.core.config import Config
    from lvsguard.core.model import IPAddress
    from lvsguard.realserver.check import CheckItem
    from lvsguard.realserver.model import Change, RealserverSetup

LINK = "ipvs0"
_COLOURS = {"ok": "green", "warning": "yellow", "wrong": "red"}
_WHICH = """\
Which VIPs: those given with --vip; else, from the configuration file, those of the services
that have this host among their realservers."""


def add(commands: Commands) -> None:
    """Declare the commands."""
    parser = commands.add_parser(
        "realserver",
        help="set up this host as a realserver, undo it, check it",
        description="This host as a realserver: it holds the VIPs, and keeps quiet about them.",
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    raising = add_command(
        actions,
        "up",
        up,
        summary="hold the VIPs without answering ARP for them",
        description="Hold the VIPs on a link of this host without answering ARP for them. Safe to\n"
        f"repeat; what was there before is remembered for 'down'. Needs root.\n{_WHICH}",
        examples=[
            ("lvsguard realserver up", "from the configuration file"),
            ("lvsguard realserver up --vip 10.0.0.8", "without one"),
            (
                "lvsguard realserver up --vip 10.0.0.8 --rip 10.0.0.42 --arp arptables",
                "where the kernel settings may not be touched",
            ),
        ],
        exits=(Exit.DONE, Exit.FAILED, Exit.USAGE),
    )
    _add_setup(raising)
    lowering = add_command(
        actions,
        "down",
        down,
        summary="undo what 'up' did",
        description="Undo what 'up' did and restore exactly what was there before. Needs root.",
        examples=[
            ("lvsguard realserver down", "on every link"),
            ("lvsguard realserver down --link ipvs0", "on one"),
        ],
        exits=(Exit.DONE, Exit.FAILED, Exit.USAGE),
    )
    lowering.add_argument("--link", metavar="NAME", help="only this link (default: all)")
    add_json(lowering)
    checking = add_command(
        actions,
        "check",
        check,
        summary="tell what is right and wrong on this host",
        description="Tell item by item what is right and wrong on this host, and what to do; change"
        f"\nnothing.\n{_WHICH}",
        examples=[
            ("lvsguard realserver check --json", "for monitoring: exit 1 when something is wrong")
        ],
        exits=(Exit.DONE, Exit.FAILED, Exit.USAGE),
    )
    _add_setup(checking)


def _add_setup(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument(
        "--vip",
        metavar="ADDRESS",
        type=_address,
        action="append",
        default=[],
        help="a VIP; may be repeated",
    )
    parser.add_argument(
        "--rip",
        metavar="ADDRESS",
        type=_address,
        help="this host's own address, needed with --arp arptables and nftables",
    )
    parser.add_argument(
        "--link",
        metavar="NAME",
        default=LINK,
        help="link that holds the VIPs, made if it is not there (default: %(default)s)",
    )
    parser.add_argument(
        "--arp",
        choices=("sysctl", "arptables", "nftables", "none"),
        default="sysctl",
        help="what keeps this host from answering ARP (default: %(default)s)",
    )
    add_json(parser)


def _address(text: str) -> IPAddress:
    try:
        return ip_address(text.partition("/")[0])
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no IP address") from None


def up(args: argparse.Namespace) -> int:
    """``lvsguard realserver up``."""
    import asyncio

    from lvsguard.kernel.port import KernelError
    from lvsguard.realserver.session import Host
    from lvsguard.realserver.setup import up as set_up

    setup = _setup(args)
    try:
        changes = asyncio.run(set_up(setup, Host()))
    except KernelError as error:
        raise CommandError(Exit.FAILED, str(error)) from error
    vips = ", ".join(str(vip) for vip in setup.vips)
    return _changed(args, changes, f"{vips} on {setup.link}: nothing had to be changed")


def down(args: argparse.Namespace) -> int:
    """``lvsguard realserver down``."""
    import asyncio

    from lvsguard.kernel.port import KernelError
    from lvsguard.realserver.session import Host
    from lvsguard.realserver.setup import down as take_down

    try:
        changes = asyncio.run(take_down(Host(), args.link))
    except KernelError as error:
        raise CommandError(Exit.FAILED, str(error)) from error
    return _changed(args, changes, "nothing to undo: 'lvsguard realserver up' left nothing here")


def check(args: argparse.Namespace) -> int:
    """``lvsguard realserver check``."""
    import asyncio
    from dataclasses import asdict

    from lvsguard.kernel.port import KernelError
    from lvsguard.kernel.sysctl import Sysctl
    from lvsguard.realserver.check import check as look
    from lvsguard.realserver.check import passed

    try:
        items = asyncio.run(look(_setup(args), Sysctl()))
    except KernelError as error:
        raise CommandError(Exit.FAILED, str(error)) from error
    if args.json:
        document = {"ok": passed(items), "items": [asdict(item) for item in items]}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        say(*lines(items, coloured()))
    return Exit.DONE if passed(items) else Exit.FAILED


def lines(items: Sequence[CheckItem], colours: bool) -> list[str]:
    """A check's items for people: what is wrong with its remedy below it."""
    told: list[str] = []
    width = max((len(f"{item.name} {item.subject}") for item in items), default=0)
    for item in items:
        outcome = paint(f"{item.outcome:7}", _COLOURS[item.outcome], colours)
        what = f"{item.name} {item.subject}".ljust(width)
        told.append(f"{outcome}  {what}  {printable(item.seen)}")
        if item.remedy:
            told.append(f"         -> {printable(item.remedy)}")
    return told


def _changed(args: argparse.Namespace, changes: Sequence[Change], nothing: str) -> int:
    if args.json:
        from dataclasses import asdict

        document = {"changes": [asdict(change) for change in changes]}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    elif changes:
        say(*(printable(str(change)) for change in changes))
    else:
        say(nothing)
    return Exit.DONE


def _setup(args: argparse.Namespace) -> RealserverSetup:
    from lvsguard.realserver.model import ArpMode, RealserverSetup, SetupError

    vips, rip = tuple(args.vip), args.rip
    if not vips:
        vips, rip = _configured(loaded(config_path(args), bystander=True), rip)
    try:
        return RealserverSetup(vips=vips, rip=rip, link=args.link, mode=ArpMode(args.arp))
    except SetupError as error:
        sums = count(len(error.problems), "problem")
        raise CommandError(
            Exit.USAGE, f"this cannot be set up ({sums}):", *error.problems
        ) from error


def _configured(
    config: Config, rip: IPAddress | None
) -> tuple[tuple[IPAddress, ...], IPAddress | None]:
    """VIPs of the services that have this host as a realserver, and its address there."""
    own = {
        realserver.key.address
        for service in config.services
        for realserver in service.realservers
        if (realserver.key.address == rip if rip else _is_local(realserver.key.address))
    }
    if not own:
        raise CommandError(
            Exit.USAGE,
            "this host is none of the configured realservers: name its address with --rip, "
            "or the VIPs with --vip",
        )
    vips: dict[IPAddress, None] = {}
    for service in config.services:
        if not own.isdisjoint(realserver.key.address for realserver in service.realservers):
            if service.key.address is None:
                vips.update(dict.fromkeys(vip.address for vip in config.addresses))
            else:
                vips[service.key.address] = None
    return tuple(vips), rip or min(own, key=lambda address: (address.version, int(address)))


def _is_local(address: IPAddress) -> bool:
    """Whether this host has the address: only then a socket can be bound to it."""
    import socket

    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True
