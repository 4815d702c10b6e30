"""The keys that a document names by their files, read once for all that use them."""

from __future__ import annotations

from pathlib import Path

from lvsguard.config.problem import KeyPath
from lvsguard.config.schema import Document
from lvsguard.config.secret import read_key
from lvsguard.config.validate import Fault, entries


def read_keys(document: Document) -> tuple[dict[Path, bytes], list[Fault]]:
    """What each key file holds, and what is wrong with those that hold no key."""
    keys: dict[Path, bytes] = {}
    wrong: dict[Path, str] = {}
    faults = []
    for index, vip in entries(document.vip):
        if vip.vrrp is None or vip.vrrp.auth is None:
            continue
        path: KeyPath = ("vip", index, "vrrp", "auth", "keys")
        for key in vip.vrrp.auth.keys:
            if key.file is None:
                continue
            if key.file not in keys and key.file not in wrong:
                try:
                    keys[key.file] = read_key(key.file)
                except ValueError as error:
                    wrong[key.file] = str(error)
            if key.file in wrong:
                faults.append(Fault(path, f"key {key.number}: {wrong[key.file]}"))
    return keys, faults
