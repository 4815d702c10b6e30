"""init: a first configuration from a few questions or flags."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import NamedTuple

from lvsguard.cli.arguments import CONFIG, Commands, add_command
from lvsguard.cli.exits import CommandError, Exit
from lvsguard.cli.text import complain, say

STDOUT = Path("-")
ROUTES = Path("/proc/net/route")


class Question(NamedTuple):
    """Something that has to be known: its flag, how it is asked, and what an answer must be."""

    flag: str
    text: str
    check: Callable[[str], str]
    """Returns the answer in order; raises ValueError with what is allowed."""
    default: str = ""
    guess: bool = False
    """The default is read off this host, and only good enough to be offered."""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "init",
        init,
        summary="write a first configuration",
        description="Write a first configuration, commented. What the flags do not say is asked "
        "on a terminal.\nNothing else is changed, and a file that exists is kept.",
        examples=[
            ("lvsguard init", "ask, and write the file that the daemon uses"),
            (
                "lvsguard init --interface eth0 --vip 10.0.0.8/24 --realserver 10.0.0.42 \\\n"
                "      --realserver 10.0.0.43 -o -",
                "ask nothing, print it",
            ),
        ],
        exits=(Exit.DONE, Exit.FAILED, Exit.USAGE),
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        default=CONFIG,
        help="file to write, - for standard output (default: %(default)s)",
    )
    parser.add_argument("--force", action="store_true", help="overwrite a file that exists")
    parser.add_argument(
        "--director", metavar="NAME", default="", help="name of this director (default: host name)"
    )
    parser.add_argument("--interface", metavar="NAME", help="interface that carries the VIP")
    parser.add_argument("--vip", metavar="ADDRESS/PREFIX", help="such as 10.0.0.8/24")
    parser.add_argument("--port", metavar="PORT", help="port of the service (default: 80)")
    parser.add_argument(
        "--realserver", metavar="ADDRESS", action="append", help="a realserver; may be repeated"
    )
    parser.add_argument(
        "--check",
        choices=("http", "https", "tcp", "none"),
        default="http",
        help="how realservers are checked (default: %(default)s)",
    )
    parser.add_argument(
        "--path", metavar="PATH", default="/", help="what an HTTP check asks for (default: /)"
    )
    parser.add_argument(
        "--scheduler", metavar="NAME", default="rr", help="IPVS scheduler (default: %(default)s)"
    )
    parser.add_argument(
        "--service", metavar="NAME", default="web", help="name of the service (default: web)"
    )


def init(args: argparse.Namespace) -> int:
    """``lvsguard init``."""
    from lvsguard.config.scaffold import Answers, scaffold
    from lvsguard.core.config import CheckKind

    if args.output != STDOUT and args.output.exists() and not args.force:
        raise CommandError(
            Exit.FAILED, f"{args.output} exists: overwrite it with --force, or name another with -o"
        )
    answers = _answers(args)
    text = scaffold(
        Answers(
            director=args.director,
            interface=answers["interface"],
            vip=answers["vip"],
            port=int(answers["port"]),
            realservers=answers["realserver"].split(),
            check=CheckKind(args.check),
            path=args.path,
            scheduler=args.scheduler,
            service=args.service,
        )
    )
    _review(text, args.output)
    if args.output == STDOUT:
        sys.stdout.write(text)
        return Exit.DONE
    _write(args.output, text)
    vip = answers["vip"].partition("/")[0]
    config = "" if args.output == CONFIG else f" -c {args.output}"
    say(
        f"{args.output} is written. Next:",
        f"  lvsguard plan{config}",
        "      what it would do here (as root)",
        "  systemctl enable --now lvsguard",
        f"      or lvsguard run{config}",
        f"  lvsguard realserver up --vip {vip}",
        "      on each realserver",
    )
    return Exit.DONE


def _answers(args: argparse.Namespace) -> dict[str, str]:
    """Everything that has to be known, from the flags or asked for."""
    given = {
        "interface": args.interface,
        "vip": args.vip,
        "realserver": None if args.realserver is None else " ".join(args.realserver),
        "port": args.port,
    }
    # Who has said everything that has no default is not asked for what has one.
    asking = _on_terminal() and None in (given["interface"], given["vip"], given["realserver"])
    answers: dict[str, str] = {}
    missing = []
    for question in _questions():
        said = given[question.flag]
        if said is not None:
            try:
                answers[question.flag] = question.check(said)
            except ValueError as error:
                raise CommandError(Exit.USAGE, f"--{question.flag}: {error}") from None
        elif asking:
            answers[question.flag] = _ask(question)
        elif question.default and not question.guess:
            answers[question.flag] = question.default
        else:
            missing.append(f"--{question.flag}")
    if missing:
        raise CommandError(Exit.USAGE, f"give {', '.join(missing)}, or run this on a terminal")
    return answers


def _on_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _ask(question: Question) -> str:
    offer = f" [{question.default}]" if question.default else ""
    while True:
        # The prompt goes to standard error, so that -o - gives the file alone.
        sys.stderr.write(f"{question.text}{offer}: ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            raise CommandError(Exit.FAILED, "no answer, nothing was written")
        try:
            return question.check(line.strip() or question.default)
        except ValueError as error:
            complain(str(error))


def _questions() -> tuple[Question, ...]:
    return (
        Question(
            "interface", "Interface that carries the VIP", _interface, _default_interface(), True
        ),
        Question("vip", "VIP with its prefix length, such as 10.0.0.8/24", _vip),
        Question("port", "Port of the service", _port, "80"),
        Question("realserver", "Addresses of the realservers, with spaces between", _realservers),
    )


def _interface(text: str) -> str:
    if 0 < len(text) < 16 and not any(c.isspace() or c == "/" for c in text):
        return text
    raise ValueError(f"{text!r} is no name of an interface: give one such as eth0")


def _vip(text: str) -> str:
    try:
        interface = ip_interface(text)
    except ValueError:
        interface = None
    if interface is None or "/" not in text:
        raise ValueError(f"{text!r}: give an address with its prefix length, such as 10.0.0.8/24")
    return str(interface)


def _port(text: str) -> str:
    if text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) < 65536:
        return text
    raise ValueError(f"{text!r}: give a port from 1 to 65535")


def _realservers(text: str) -> str:
    words = text.replace(",", " ").split()
    if not words:
        raise ValueError("name at least one realserver")
    for word in words:
        try:
            ip_address(word)
        except ValueError:
            raise ValueError(f"{word!r} is no IP address") from None
    return " ".join(words)


def _default_interface() -> str:
    """The one that carries the default route (proc_net_route: destination 0)."""
    try:
        lines = ROUTES.read_text().splitlines()[1:]
    except OSError:
        return ""
    return next((f[0] for f in map(str.split, lines) if len(f) > 1 and f[1] == "00000000"), "")


def _review(text: str, output: Path) -> None:
    from lvsguard.config.load import loads
    from lvsguard.config.problem import ConfigError

    try:
        loads(text, file=str(output))
    except ConfigError as error:
        problems = [f"{problem.key}: {problem.message}" for problem in error.problems]
        raise CommandError(Exit.USAGE, "these answers do not fit together:", *problems) from error


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    except OSError as error:
        raise CommandError(
            Exit.FAILED, f"{path}: {error.strerror}: run this as root, or name another with -o"
        ) from error
