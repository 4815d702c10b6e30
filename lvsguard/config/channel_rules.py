"""Rules of the channel between directors: each has an address of its own, and both a credential."""

from __future__ import annotations

from pathlib import Path

from lvsguard.config.problem import KeyPath
from lvsguard.config.review import Review
from lvsguard.config.schema import Document
from lvsguard.config.secret import read_file
from lvsguard.config.validate import Fault
from lvsguard.core.model import IPAddress
from lvsguard.credential import OCTETS_MAX, Credential


def check_channel(sheet: Review) -> None:
    """Every rule on the peer table."""
    peer = sheet.document.peer
    if peer is None:
        return
    here: KeyPath = ("peer", "addresses")
    if not isinstance(peer.addresses, dict):
        sheet.say(
            here,
            "one address says not whose it is; write { director1 = ADDRESS, director2 = ADDRESS }",
        )
        return
    if len(peer.addresses) < 2:
        sheet.say(here, "names one director; name the others too, or leave [peer] out")
    families = {one.version for one in peer.addresses.values()}
    if len(families) > 1:
        sheet.say(here, "IPv4 and IPv6 addresses, which do not reach each other; take one family")
    seen: dict[IPAddress, str] = {}
    for name, address in peer.addresses.items():
        _check_address(sheet, (*here, name), name, address)
        if seen.setdefault(address, name) != name:
            sheet.say((*here, name), f"{address} is that of {seen[address]}; correct one of them")


def _check_address(sheet: Review, where: KeyPath, name: str, address: IPAddress) -> None:
    if address in sheet.vips:
        sheet.say(where, f"{address} is a VIP; name the director's own address", ("vip",))
    elif address.is_link_local:
        sheet.say(where, f"{address} is link-local; name an address that needs no interface")
    elif name == sheet.director and sheet.interfaces is not None:
        own = {one.ip for found in sheet.interfaces.values() for one in found}
        if address not in own:
            sheet.say(where, f"{address} is not an address of this host; correct it")


def read_credential(document: Document) -> tuple[dict[Path, bytes], list[Fault]]:
    """What the credential's file holds, and what is wrong with it."""
    if document.peer is None:
        return {}, []
    path = Path(document.peer.credential)
    try:
        pem = read_file(path, OCTETS_MAX)
    except FileNotFoundError:
        wrong = f"{path} is not there; make it on one director (lvsguard peer-key {path}), copy it"
        return {}, [Fault(("peer", "credential"), wrong)]
    except ValueError as error:
        return {}, [Fault(("peer", "credential"), str(error))]
    try:
        Credential(pem)
    except ValueError as error:
        return {}, [Fault(("peer", "credential"), f"{path} {error}")]
    return {path: pem}, []
