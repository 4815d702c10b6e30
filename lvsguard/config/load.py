"""From a file to a Config, or to every problem at once.

Nothing is asked of the kernel here: what this host's interfaces hold is an argument.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import stat
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from lvsguard.config.build import build
from lvsguard.config.channel_rules import read_credential
from lvsguard.config.cluster_rules import read_password
from lvsguard.config.hook_rules import read_hook_keys
from lvsguard.config.key_digests import key_digests
from lvsguard.config.locate import Lines
from lvsguard.config.problem import ConfigError, Problem, spell
from lvsguard.config.remote_rules import read_remote
from lvsguard.config.review import Interfaces
from lvsguard.config.rules import named_directors, review
from lvsguard.config.secret import without_secrets
from lvsguard.config.validate import VALUES, Fault, bounded, size, validate
from lvsguard.config.vrrp_keys import read_keys
from lvsguard.core.config import Config
from lvsguard.core.config_keys import SHARED

FILE_MAX: Final = 8 * 1024 * 1024
"""Bytes; ten thousand services with ten realservers each take about seven million."""
OWN: Final = (("director", "name"), ("admin", "socket"), ("state", "directory"))
"""Section and key of what is a director's own: its name, and where it has its things."""

_NAME: Final = re.compile(r"(?=.*[A-Za-z_-])[A-Za-z0-9._-]{1,63}")


def load(
    path: Path,
    *,
    director: str | None = None,
    interfaces: Interfaces | None = None,
    judged: bool = True,
    elsewhere: bool = False,
    bystander: bool = False,
) -> Config:
    """Read a config file. Raises ConfigError with every problem in it.

    ``director``: name of this director, over the file's and the host's. ``interfaces``: addresses
    of this host's interfaces by name, to judge the file by and to find the address that each check
    asks from; None judges the file without them, and so does ``judged`` where it is false, but
    checks still ask from what is there. ``elsewhere``: as for another host, so the key
    files that it names are not read, and their keys are missing in what comes back. ``bystander``:
    this host is no director (a realserver), so the file is read as its first director reads it.
    """
    name = str(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise _refuse(name, "is a directory; name the file in it")
        if not stat.S_ISREG(mode):
            raise _refuse(name, "is not a regular file; name a file")
        with path.open("rb") as file:
            data = file.read(FILE_MAX + 1)
    except FileNotFoundError:
        raise _refuse(name, "no such file; write one with: lvsguard init") from None
    except PermissionError:
        raise _refuse(name, "cannot be read; give the lvsguard user read access") from None
    except (OSError, ValueError) as error:
        raise _refuse(name, f"cannot be read: {getattr(error, 'strerror', error)}") from None
    return loads(
        data,
        file=name,
        director=director,
        interfaces=interfaces,
        judged=judged,
        elsewhere=elsewhere,
        bystander=bystander,
    )


def loads(
    data: str | bytes,
    *,
    file: str = "config.toml",
    director: str | None = None,
    interfaces: Interfaces | None = None,
    judged: bool = True,
    elsewhere: bool = False,
    bystander: bool = False,
) -> Config:
    """Read the text of a config. ``file`` is its name in messages. Otherwise as ``load``."""
    text = _text(data, file)
    values = _values(text, file)
    validated = validate(values)
    faults = list(validated.faults)
    if validated.document is not None:
        if bystander and director is None:
            director = next(iter(named_directors(validated.document)), None)
        name, trouble = _director(director, validated.document.director.name)
        if ("director", "name") not in validated.doubtful:
            faults += trouble
        host = interfaces if judged else None
        faults += review(validated.document, name, host, validated.doubtful)
        secrets: dict[Path, bytes] = {}
        if not elsewhere:
            for read in (
                read_keys,
                read_credential,
                read_remote,
                read_hook_keys,
                read_password,
            ):
                found, unread = read(validated.document)
                secrets |= found
                faults += unread
        if not faults:
            built = build(validated.document, name, _digest(_shared(values)), interfaces, secrets)
            built = replace(built, served=_digest(_served(values)))
            if built.peer is None and built.etcd is None:
                return built
            return replace(built, keys=key_digests(_shared(values)))
    raise ConfigError(_located(faults, text, file))


def _text(data: str | bytes, file: str) -> str:
    if len(data) > FILE_MAX:
        raise _refuse(file, f"is larger than {FILE_MAX // 1024**2} MiB; is it the right file?")
    if isinstance(data, str):
        return data
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise ConfigError([Problem(file, line, "", message)]) from None


_WHERE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def _values(text: str, file: str) -> dict[str, object]:
    line = 0
    try:
        values: dict[str, object] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        if found := _WHERE.search(message):
            line = int(found[1]) if found[1] else text.count("\n") + 1
            place = f" at column {found[2]}" if found[2] else " at the end of the file"
            message = message[: found.start()] + place
        message = f"not valid TOML: {message[:1].lower()}{message[1:]}"
    except RecursionError:
        message = "lists or tables are nested too deep; a config needs six levels"
    except ValueError:  # Python reads at most 4300 digits, and no key wants more than ten
        message = "a number has thousands of digits; no key takes one that large"
    else:
        if size(values) <= VALUES:
            return values
        message = f"holds more than {VALUES} values; is it the right file?"
    raise ConfigError([Problem(file, line, "", message)])


def _director(given: str | None, written: str | None) -> tuple[str, list[Fault]]:
    name = given or written or socket.gethostname()
    if _NAME.fullmatch(name):
        return name, []
    source = "the host name" if not given else "the name"
    message = (
        f'{source} "{name[:64]}" cannot name a director (letters, digits, ".", "_" and "-",'
        " at most 63 characters); set name"
    )
    return name, [Fault(("director", "name"), message)]


def _digest(values: Mapping[str, object]) -> str:
    """What this means, whatever its comments, its layout and the order of its keys.

    Without its secrets: the digest is shown, and a short password could be guessed from it.
    """
    canonical = json.dumps(
        without_secrets(values), sort_keys=True, separators=(",", ":"), default=str
    )
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def _shared(values: Mapping[str, object]) -> Mapping[str, object]:
    """The file without what is a director's own: two that differ in that alone mean the same."""
    shared = dict(values)
    for section, own in OWN:
        table = values.get(section)
        if isinstance(table, Mapping):
            shared[section] = {key: value for key, value in table.items() if key != own}
            if not shared[section]:
                del shared[section]
    return shared


def _served(values: Mapping[str, object]) -> Mapping[str, object]:
    """What of the file says what is served and how."""
    return {section: table for section, table in values.items() if section in SHARED}


def _located(faults: Sequence[Fault], text: str, file: str) -> list[Problem]:
    # tomllib counts lines so too: only "\n" ends one.
    lines = Lines(text)
    problems = [Problem(file, lines.of(f.path), spell(f.path), f.message) for f in bounded(faults)]
    return sorted(problems, key=lambda problem: problem.line)


def _refuse(file: str, message: str) -> ConfigError:
    return ConfigError([Problem(file, 0, "", message)])
