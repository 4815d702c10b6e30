"""How asking a director fails, in words that tell what to do. Shared by all clients."""

from __future__ import annotations

import grp
import os
import pwd
import ssl
from pathlib import Path

import msgspec

from lvsguard import __version__
from lvsguard.admin import protocol
from lvsguard.admin.address import Address

VERSION_HEADER = "Lvsguard-Version"
"""In every answer: which lvsguard gave it."""
_STRANGE = frozenset({"not-found", "bad-method", "bad-request"})
"""Refusals that a difference of versions can bring about."""


class Unreachable(Exception):
    """No daemon answers there, or none that may be asked."""

    def __init__(self, message: str, *, nobody: bool = False) -> None:
        super().__init__(message)
        self.nobody = nobody
        """Nobody listens there, so no daemon runs (rather than one that may not be asked)."""


class Refused(Exception):
    """The daemon answered that it will not, or cannot."""

    def __init__(self, failure: protocol.Failure) -> None:
        super().__init__(failure.error)
        self.failure = failure


def refused(text: bytes, status: int, theirs: str | None) -> Refused:
    """What an answer that is not 2xx says. ``theirs``: version of who gave it."""
    try:
        failure = msgspec.json.decode(text, type=protocol.Failure)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        said = text[:200].decode(errors="replace").strip()
        return Refused(protocol.Failure(code="failed", error=f"HTTP status {status}: {said}"))
    if failure.code in _STRANGE and (mixed := _mixed(theirs)):
        failure = msgspec.structs.replace(failure, error=f"{failure.error} ({mixed})")
    return Refused(failure)


def unreadable(where: Address, error: Exception, theirs: str | None) -> Unreachable:
    """An answer that is not understood."""
    mixed = _mixed(theirs) or "compare lvsguard version"
    return Unreachable(f"{where}: an answer that this program cannot read ({error}): {mixed}")


def silent(where: Address) -> Unreachable:
    """No answer in time."""
    return Unreachable(f"{where}: no answer: look at the daemon (systemctl status lvsguard)")


def broken_off(where: Address, error: Exception) -> Unreachable:
    """An answer without its end."""
    return Unreachable(f"{where}: the answer broke off: {error}")


def strange(where: Address, error: Exception) -> Unreachable:
    """Something else listens there."""
    return Unreachable(f"{where}: something answers that is no lvsguard: {error!r}")


def no_connection(where: Address, error: OSError) -> Unreachable:
    """The connection was not made."""
    gone = isinstance(error, FileNotFoundError | ConnectionRefusedError)
    nobody = gone and isinstance(where, Path)
    text = _local(where, error) if isinstance(where, Path) else _remote(str(where), error)
    return Unreachable(text, nobody=nobody)


def turned_away(where: Address, error: Exception) -> Unreachable | None:
    """What a director makes of the caller's certificate: in TLS 1.3 it comes after the handshake,
    as an alert or as the end of the connection."""
    if isinstance(where, Path):
        return None
    cause = error.__cause__ if isinstance(error.__cause__, ssl.SSLError) else error
    if isinstance(cause, ssl.SSLError):
        return Unreachable(_remote(str(where), cause))
    if isinstance(cause, OSError) and not isinstance(cause, ConnectionError):
        return None
    return Unreachable(
        f"{where}: it hung up: its log says why (lvsguard events there); does an authority in its"
        " [admin.remote] client_ca sign your certificate?"
    )


def _mixed(theirs: str | None) -> str:
    if theirs == __version__:
        return ""
    other = f"is {theirs}" if theirs else "is older"
    return (
        f"this is lvsguard {__version__} and the daemon {other}: use the version of the daemon,"
        " or upgrade and restart it"
    )


def _local(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return (
            f"no lvsguard listens on {path}: start it (systemctl start lvsguard), "
            "or name its socket with --socket"
        )
    if isinstance(error, ConnectionRefusedError):
        return f"lvsguard is not running any more ({path} is left over): systemctl start lvsguard"
    if isinstance(error, PermissionError):
        return _forbidden(path)
    return f"{path}: {error.strerror or error}: name lvsguard's socket with --socket"


def _forbidden(path: Path) -> str:
    """Which group is missing, and how to come into it."""
    group, user = _group(path), _user()
    try:
        members = grp.getgrnam(group).gr_mem
    except KeyError:
        members = []
    if user in members:
        return (
            f"you may not use {path}: {user} is in its group {group}, but this login is older:"
            f" log in again, or begin with: newgrp {group}"
        )
    return (
        f"you may not use {path}: {user} is not in its group {group}: run this with sudo, or join"
        f" it (usermod -aG {group} {user}, then log in again)"
    )


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid {os.geteuid()}"


def _group(path: Path) -> str:
    try:
        return grp.getgrgid(path.stat().st_gid).gr_name
    except (OSError, KeyError):
        return "lvsguard"


def _remote(where: str, error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"{where}: its certificate is not accepted ({error.verify_message}): name the"
            " authority that signed it with --ca, and the director as the certificate has it"
        )
    if isinstance(error, ssl.SSLError):
        return (
            f"{where}: TLS failed ({error.reason or error}): it takes TLS 1.3 and a certificate of"
            " an authority in its [admin.remote] client_ca; give yours with --cert and --key"
        )
    if isinstance(error, ConnectionRefusedError):
        return f"{where}: nobody listens there: look at [admin.remote] listen of the director"
    return f"{where}: {error.strerror or error}: look at the address and the way to it"
