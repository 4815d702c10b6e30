"""Values that nobody may read in a message, a repr or a digest; and the files that keys lie in.

A message about one says what is wrong with it, never what it is. A file is read once, for the
daemon and for a check on its host alike; its contents are judged like a key in the config.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lvsguard.config.leaf import Leaf, show

PASSWORD_MAX: Final = 8
"""Octets of a password of VRRP version 2 (RFC 2338 section 5.3.6)."""
KEY_OCTETS: Final = range(32, 65)
"""Of an authentication key (draft-cassen-vrrp-auth-hmac)."""
KEYS_MAX: Final = 255
FILE_OCTETS: Final = 1024
"""Read of a key file at most; the longest key has 128 digits."""
SECRETS: Final = frozenset({"password", "auth", "keys"})
"""Keys of the file whose values are never repeated, not even where they are of the wrong type."""
HOW_KEY: Final = '64 to 128 hex digits (openssl rand -hex 32), or "file:/path" of a file with them'

_FILE: Final = "file:"
_ID: Final = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})+", re.ASCII)
_FOR_OTHERS: Final = stat.S_IRWXO | stat.S_IWGRP
_CHANGED_BY_OTHERS: Final = stat.S_IWOTH | stat.S_IWGRP


@dataclass(frozen=True, slots=True)
class Key:
    """An authentication key as the config has it: its octets, or the file that they lie in."""

    number: int
    octets: bytes | None = field(default=None, repr=False)
    file: Path | None = None


def _password(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError(f"not a password: a string of 1 to {PASSWORD_MAX} octets is wanted")
    octets = value.encode()
    if not 1 <= len(octets) <= PASSWORD_MAX:
        raise ValueError(f"a password has 1 to {PASSWORD_MAX} octets; this one has {len(octets)}")
    if 0 in octets:
        raise ValueError("a password cannot hold a zero octet; write letters and digits")
    return octets


PASSWORD: Final = Leaf(
    _password,
    f"a string of 1 to {PASSWORD_MAX} octets",
    {"type": "string", "minLength": 1, "maxLength": PASSWORD_MAX},
)


def _octets(text: str) -> bytes:
    """A key from its digits. Raises ValueError without them."""
    if not _HEX.fullmatch(text):
        raise ValueError(f"is not in hex; write {HOW_KEY}")
    octets = bytes.fromhex(text)
    if len(octets) not in KEY_OCTETS:
        raise ValueError(f"has {len(octets)} octets; 32 to 64 are wanted: write {HOW_KEY}")
    return octets


def _key(name: str, value: object) -> Key:
    if not _ID.fullmatch(name) or int(name) > KEYS_MAX:
        # A key and its id may have been swapped, so only what is too short for one is repeated.
        told = f" {show(name)}" if len(name) < 5 else ""
        raise ValueError(f"key id{told} is not 1 to {KEYS_MAX}; write {{ 1 = KEY }}")
    if not isinstance(value, str):
        raise ValueError(f"key {name} is not a string; write {HOW_KEY}")
    if value.startswith(_FILE):
        path = value.removeprefix(_FILE)
        if not path.startswith("/") or "\0" in path or len(path) > 4095:
            raise ValueError(f'key {name} names no absolute path; write "file:/path"')
        return Key(int(name), file=Path(path))
    try:
        return Key(int(name), _octets(value))
    except ValueError as error:
        raise ValueError(f"key {name} {error}") from None


def _keys(value: object) -> tuple[Key, ...]:
    if not isinstance(value, dict):
        raise ValueError(f"not a table of keys by their ids; write {{ 1 = KEY }}, KEY: {HOW_KEY}")
    if not value:
        raise ValueError(f"no key; write {{ 1 = KEY }}, KEY: {HOW_KEY}")
    found, wrong = [], []
    for name, content in value.items():
        try:
            found.append(_key(name, content))
        except ValueError as error:
            wrong.append(str(error))
    if wrong:
        more = f"; and {len(wrong) - 4} more" if len(wrong) > 4 else ""
        raise ValueError("; ".join(wrong[:4]) + more)
    return tuple(found)


KEYS: Final = Leaf(
    _keys,
    "a table of keys by their ids, 1 to 255",
    {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "patternProperties": {
            "^([1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5])$": {
                "type": "string",
                "pattern": "^([0-9A-Fa-f]{2}){32,64}$|^file:/",
            }
        },
    },
)


def read_key(path: Path) -> bytes:
    """The key in a file: hex digits, and blanks around them.

    Raises ValueError that says what is wrong with the file, and nothing of what is in it.
    """
    name = show(str(path))
    try:
        data = read_file(path, FILE_OCTETS)
    except FileNotFoundError:
        raise ValueError(f"{name} is not there; write it, or correct the path") from None
    try:
        return _octets(data.decode("ascii").strip())
    except UnicodeDecodeError:
        raise ValueError(f"the key in {name} is not in hex; openssl rand -hex 32") from None
    except ValueError as error:
        raise ValueError(f"the key in {name} {error}") from None


def read_file(path: Path, most: int, *, public: bool = False) -> bytes:
    """The octets of a file that only its owner can change and, unless it is ``public``, others
    cannot read.

    Raises FileNotFoundError, and ValueError that says what else is wrong with it.
    """
    name = show(str(path))
    try:
        return _read(path, most, _CHANGED_BY_OTHERS if public else _FOR_OTHERS)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(
            f"{name} cannot be read: {error.strerror}; give the lvsguard user read access"
        ) from None
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None


def _read(path: Path, most: int, forbidden: int) -> bytes:
    # Non-blocking: a FIFO without a writer would wait for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise ValueError("is not a regular file; name the file of a key")
        if mode & forbidden:
            raise ValueError(
                f"has mode {stat.S_IMODE(mode):04o}, so others may read or change it;"
                " chmod 640 (or 600) it, and make a new key if it was read"
            )
        data = os.read(descriptor, most + 1)
    finally:
        os.close(descriptor)
    if len(data) > most:
        raise ValueError(f"is longer than {most} octets; is it the right file?")
    return data


def without_secrets(values: object) -> object:
    """Parsed TOML without what must not be told: a digest of the rest gives nothing away.

    Only VIPs hold secrets; a header or a service of such a name keeps its value.
    """
    if not isinstance(values, Mapping) or not isinstance(values.get("vip"), list):
        return values
    return {**values, "vip": [_blank(vip) for vip in values["vip"]]}


def _blank(value: object) -> object:
    if not isinstance(value, Mapping):
        return value
    return {
        key: None if key in {"password", "keys"} else _blank(inner) for key, inner in value.items()
    }
