"""Rules of remote administration: its files are there, readable, and go together."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lvsguard.config.schema import Document
from lvsguard.config.secret import read_file
from lvsguard.config.validate import Fault
from lvsguard.credential import listener_context

OCTETS_MAX: Final = 256 * 1024
"""Of each file; authorities may be many."""


def read_remote(document: Document) -> tuple[dict[Path, bytes], list[Fault]]:
    """What the certificate's, the key's and the authorities' files hold, and what is wrong."""
    table = document.admin.remote
    if table is None:
        return {}, []
    found: dict[Path, bytes] = {}
    faults: list[Fault] = []
    for key, name in (
        ("certificate", table.certificate),
        ("key", table.key),
        ("client_ca", table.client_ca),
    ):
        path = Path(name)
        try:
            found[path] = read_file(path, OCTETS_MAX, public=key != "key")
        except FileNotFoundError:
            wrong = f"{path} is not there; put it there, or leave [admin.remote] out"
            faults.append(Fault(("admin", "remote", key), wrong))
        except ValueError as error:
            faults.append(Fault(("admin", "remote", key), str(error)))
    if not faults:
        pair = b"\n".join((found[Path(table.certificate)], found[Path(table.key)]))
        try:
            listener_context(pair, found[Path(table.client_ca)])
        except ValueError as error:
            key = "client_ca" if str(error).startswith("client_ca") else "certificate"
            faults.append(Fault(("admin", "remote", key), f"{error}; correct the files"))
    return found, faults
