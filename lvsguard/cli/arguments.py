"""What the commands' arguments share: options, kinds of values, and the shape of help texts.

Imported for ``--help`` too, so nothing heavy may be imported here.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from lvsguard.cli.exits import MEANING, Exit

if TYPE_CHECKING:
    from lvsguard.admin.address import Address

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
Command = Callable[[argparse.Namespace], int]

CONFIG = Path("/etc/lvsguard/config.toml")
SOCKET = Path("/run/lvsguard/lvsguard.sock")
CONFIG_VARIABLE = "LVSGUARD_CONFIG"
SOCKET_VARIABLE = "LVSGUARD_SOCKET"
DIRECTOR_VARIABLE = "LVSGUARD_DIRECTOR"
CERT_VARIABLE, KEY_VARIABLE, CA_VARIABLE = "LVSGUARD_CERT", "LVSGUARD_KEY", "LVSGUARD_CA"

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhdw])", re.ASCII)
HELP_WIDTH = 96
EXAMPLES = "examples:"
"""How every epilog begins."""


class HelpFormatter(argparse.HelpFormatter):
    """Fills descriptions, keeps epilogs as they are, and sets options in two columns."""

    def __init__(self, prog: str) -> None:
        width = min(shutil.get_terminal_size().columns - 2, HELP_WIDTH)
        super().__init__(prog, max_help_position=26, width=width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith(EXAMPLES):
            return text
        return super()._fill_text(text, width, indent)

    def add_argument(self, action: argparse.Action) -> None:
        """Leave room for names of commands: argparse forgets that they are indented."""
        super().add_argument(action)
        if isinstance(action, argparse._SubParsersAction):
            self._action_max_length += self._indent_increment


def add_command(
    commands: Commands,
    name: str,
    run: Command,
    *,
    summary: str,
    description: str,
    examples: Sequence[tuple[str, str]],
    exits: Sequence[Exit],
) -> argparse.ArgumentParser:
    """Declare a command; its help ends with examples and exit statuses."""
    parser = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=epilog(examples, exits),
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    return parser


def epilog(examples: Sequence[tuple[str, str]], exits: Sequence[Exit]) -> str:
    """Examples with what they do, then the exit statuses."""
    lines = [EXAMPLES]
    for command, meaning in examples:
        lines += [f"  {command}", f"      {meaning}"]
    lines += ["", "exit status:"]
    lines += [f"  {status.value}  {MEANING[status]}" for status in exits]
    return "\n".join(lines)


def add_config(parser: argparse.ArgumentParser, what: str = "configuration file") -> None:
    """``-c FILE``."""
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        type=Path,
        default=None,
        help=f"{what} (default: ${CONFIG_VARIABLE}, else {CONFIG})",
    )


def add_socket(parser: argparse.ArgumentParser) -> None:
    """``--socket PATH``, and what asks a director from afar."""
    parser.add_argument(
        "--socket",
        metavar="PATH",
        type=Path,
        default=None,
        help=f"admin socket of the daemon (default: ${SOCKET_VARIABLE}, else {SOCKET})",
    )
    parser.add_argument(
        "--director",
        metavar="URL",
        default=None,
        help="ask the daemon of another host, https://HOST[:PORT]; wants a certificate (default:"
        f" ${DIRECTOR_VARIABLE}, else the socket)",
    )
    for option, variable, what in (
        ("--cert", CERT_VARIABLE, "your certificate, in PEM"),
        ("--key", KEY_VARIABLE, "its key, if not in the same file"),
        ("--ca", CA_VARIABLE, "who signed the director's certificate"),
    ):
        parser.add_argument(
            option,
            metavar="FILE",
            type=Path,
            default=None,
            help=f"with --director: {what} (default: ${variable})",
        )


def add_json(parser: argparse.ArgumentParser, what: str = "print JSON") -> None:
    """``--json``."""
    parser.add_argument("--json", action="store_true", help=what)


def config_path(args: argparse.Namespace) -> Path:
    """Which configuration file is meant."""
    given: Path | None = args.config
    return given or Path(os.environ.get(CONFIG_VARIABLE) or CONFIG)


def director(args: argparse.Namespace) -> Address:
    """Which daemon is meant. Raises BadAddress."""
    from lvsguard.admin.address import Identity, parse_address

    if args.socket is not None and args.director is None:
        socket: Path = args.socket
        return socket
    url = args.director or os.environ.get(DIRECTOR_VARIABLE)
    if not url:
        return Path(os.environ.get(SOCKET_VARIABLE) or SOCKET)
    cert = _named(args.cert, CERT_VARIABLE)
    authority = _named(args.ca, CA_VARIABLE)
    if cert is None or authority is None:
        return parse_address(url)
    return parse_address(url, Identity(cert, _named(args.key, KEY_VARIABLE), authority))


def _named(given: Path | None, variable: str) -> Path | None:
    value = os.environ.get(variable)
    return given or (Path(value) if value else None)


def duration(text: str) -> float:
    """Seconds: ``90``, ``90s``, ``5m``, ``1h30m``, ``2d``."""
    if re.fullmatch(r"\d{1,9}(\.\d{1,3})?", text, re.ASCII):
        return float(text)
    parts = _DURATION.findall(text) if len(text) <= 32 else []
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise argparse.ArgumentTypeError(f"{text!r}: give a time such as 90s, 5m, 1h30m or 2d")
    return sum(float(n) * _UNITS[unit] for n, unit in parts)


def positive_duration(text: str) -> float:
    """As ``duration``, above 0 and up to a year."""
    seconds = duration(text)
    if not 0 < seconds <= 366 * 86400:
        raise argparse.ArgumentTypeError(f"{text!r}: give a time between 1s and 366d")
    return seconds
