"""peer-key: the credential that directors show each other."""

from __future__ import annotations

import argparse
import os
import pwd
import sys
from pathlib import Path

from lvsguard.cli.arguments import Commands, add_command
from lvsguard.cli.exits import CommandError, Exit
from lvsguard.cli.text import say

CREDENTIAL = Path("/etc/lvsguard/peer.pem")
STDOUT = Path("-")
USER = "lvsguard"
"""Whom the daemon runs as under its unit; it must read the file."""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "peer-key",
        peer_key,
        summary="make the credential that directors show each other",
        description="Make the certificate and key that directors show each other on the peer "
        "channel\n([peer] credential), with openssl. Make it once, on one director, and copy the "
        "file to\nthe others by a way that nobody can read: whoever has it counts as a director. "
        "The\nfile is for its owner alone (0600), the user lvsguard where there is one.",
        examples=[
            ("lvsguard peer-key", f"write {CREDENTIAL}"),
            ("lvsguard peer-key -o - | ssh director2 'umask 77; cat > peer.pem'", "elsewhere"),
        ],
        exits=(Exit.DONE, Exit.FAILED, Exit.USAGE),
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        default=CREDENTIAL,
        help="file to write, - for standard output (default: %(default)s)",
    )
    parser.add_argument("--force", action="store_true", help="replace a file that exists")


def peer_key(args: argparse.Namespace) -> int:
    """``lvsguard peer-key``."""
    from lvsguard.credential import Credential, create

    output: Path = args.output
    if output != STDOUT and output.exists() and not args.force:
        raise CommandError(
            Exit.FAILED,
            f"{output} exists: copy that to the other directors, or replace it with --force (on all"
            " of them)",
        )
    try:
        pem = create()
    except OSError as error:
        raise CommandError(Exit.FAILED, str(error)) from error
    if output == STDOUT:
        sys.stdout.write(pem.decode())
        return Exit.DONE
    _write(output, pem)
    say(
        f"{output} is written ({Credential(pem).fingerprint}). Next: copy it to the other directors"
        " (scp -p), and name it in [peer] credential"
    )
    return Exit.DONE


def _write(path: Path, pem: bytes) -> None:
    """In one step, and never readable for others on the way."""
    draft = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, made for nobody else
            file.write(pem)
            _give_away(descriptor)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise CommandError(
            Exit.FAILED, f"{path}: {error.strerror}: run this as root, or name another with -o"
        ) from error


def _give_away(descriptor: int) -> None:
    """To the daemon's user, where this is root and there is such a user."""
    if os.geteuid() != 0:
        return
    try:
        daemon = pwd.getpwnam(USER)
    except KeyError:
        return
    os.fchown(descriptor, daemon.pw_uid, daemon.pw_gid)
