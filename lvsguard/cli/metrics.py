"""metrics: what /metrics tells, on the terminal or as a file for node_exporter."""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from lvsguard.cli.arguments import Commands, add_command, add_config, config_path
from lvsguard.cli.exits import CommandError, Exit

LISTEN: Final = "127.0.0.1:9852"
"""Where telemetry is served when the configuration does not say."""
SECONDS: Final = 20.0
"""How long an answer may be silent."""
READ_SIZE: Final = 1 << 16
_OWN: Final = re.compile(rb"(?:# (?:HELP|TYPE) )?process_")


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "metrics",
        show,
        summary="print the metrics, or write them for node_exporter",
        description="Print what the daemon's /metrics tells, from where [telemetry] listen of the "
        "configuration has it. With --textfile write it to a file for node_exporter's textfile "
        "collector: at once or not at all, and without process_*, which node_exporter has of its "
        "own. When the daemon does not answer the file stays as it was; its age tells.",
        examples=[
            ("lvsguard metrics | grep realserver_up", "look something up"),
            (
                "lvsguard metrics --textfile /var/lib/prometheus/node-exporter/lvsguard.prom",
                "from a timer, each 15 s",
            ),
        ],
        exits=(Exit.DONE, Exit.FAILED, Exit.USAGE, Exit.UNREACHABLE),
    )
    parser.add_argument(
        "--listen",
        metavar="ADDRESS:PORT",
        help="where the daemon serves telemetry, in place of the configuration's word",
    )
    parser.add_argument(
        "--textfile", metavar="FILE", type=Path, help="write to this file; its folder is there"
    )
    add_config(parser)


def show(args: argparse.Namespace) -> int:
    """``lvsguard metrics``."""
    host, port = _place(args.listen or _configured(config_path(args)))
    pieces = _fetch(host, port)
    if args.textfile is None:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return Exit.DONE
    _write(args.textfile, pieces)
    return Exit.DONE


def _configured(path: Path) -> str:
    """``[telemetry] listen``, without judging the rest of the file: the daemon has read it."""
    try:
        document = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return LISTEN
    except (OSError, ValueError) as error:
        raise CommandError(
            Exit.USAGE, f"{path}: {error}: run lvsguard check, or give --listen"
        ) from error
    table = document.get("telemetry", {})
    listen = table.get("listen", LISTEN) if isinstance(table, dict) else LISTEN
    if isinstance(listen, dict):  # a value for each director
        listen = listen.get(_director(document))
    if listen is False:
        raise CommandError(Exit.FAILED, f"{path}: [telemetry] listen is off: set an address there")
    if not isinstance(listen, str):
        raise CommandError(
            Exit.USAGE, f"{path}: [telemetry] listen does not name this director: give --listen"
        )
    return listen


def _director(document: dict[str, object]) -> str:
    from socket import gethostname

    table = document.get("director")
    name = table.get("name") if isinstance(table, dict) else None
    return name if isinstance(name, str) else gethostname()


def _place(listen: str) -> tuple[str, int]:
    """Where to connect to: a daemon that listens everywhere is asked on loopback."""
    found = re.fullmatch(r"\[?([0-9A-Fa-f.:]+?)\]?:(\d{1,5})", listen)
    if found is None or not 0 < int(found[2]) < 65536:
        raise CommandError(Exit.USAGE, f"{listen}: give an address and a port such as {LISTEN}")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(found[1], found[1])
    return host, int(found[2])


def _fetch(host: str, port: int) -> Iterator[bytes]:
    from http.client import HTTPConnection, HTTPException

    connection = HTTPConnection(host, port, timeout=SECONDS)
    try:
        connection.request("GET", "/metrics", headers={"Connection": "close"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise CommandError(
                Exit.FAILED, f"{host} port {port} answers {answer.status}: try again in a moment"
            )
        while piece := answer.read(READ_SIZE):
            yield piece
    except (OSError, HTTPException) as error:
        raise CommandError(
            Exit.UNREACHABLE,
            f"no metrics from {host} port {port}: {error}: does lvsguard run here, and does "
            "[telemetry] listen name this place?",
        ) from error
    finally:
        connection.close()


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    """Write beside it, then put it in its place: whoever reads sees the old or the new one."""
    beside = path.with_name(f".{path.name}.new")
    try:
        with beside.open("wb") as file:
            file.writelines(_foreign(pieces))
        beside.chmod(0o644)
        beside.replace(path)
    except OSError as error:
        raise CommandError(
            Exit.FAILED, f"cannot write {path}: {error.strerror}: see that its folder is there"
        ) from error
    finally:
        beside.unlink(missing_ok=True)


def _foreign(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The lines but those that node_exporter has itself."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).splitlines(keepends=True)
        if rest.endswith(b"\n"):
            lines.append(rest)
            rest = b""
        yield from (line for line in lines if not _OWN.match(line))
    if rest and not _OWN.match(rest):
        yield rest
