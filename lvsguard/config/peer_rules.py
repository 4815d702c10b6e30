"""Rules of who an election speaks to and from which address."""

from __future__ import annotations

from lvsguard.config.problem import KeyPath
from lvsguard.config.review import Review
from lvsguard.config.schema import VipTable
from lvsguard.config.vrrp_schema import VrrpTable
from lvsguard.core.model import IPAddress


def families(vip: VipTable) -> list[int]:
    """The address families of a VIP; VRRP speaks of each on its own."""
    return sorted({prefixed.address.version for prefixed in vip.addresses})


def check_peers(sheet: Review, here: KeyPath, vip: VipTable, vrrp: VrrpTable) -> None:
    """Peers are other directors, and there is one for each family of the VIP."""
    path = (*here, "peers")
    addresses = ("vip", here[1], "addresses")
    if vrrp.peers is None:
        if vrrp.unicast_ttl is not None:
            sheet.say(
                (*here, "unicast_ttl"),
                "is for adverts of peers, and there are none; write peers or leave it out",
                path,
            )
        return
    if isinstance(vrrp.peers, dict):
        lists = [((*path, name), found) for name, found in vrrp.peers.items()]
        if len(lists) == 1:
            sheet.say(path, "names one director; name the others too, or leave it out (multicast)")
    else:
        lists = [(path, vrrp.peers)]
    for where, found in lists:
        for family in families(vip):
            count = sum(one.version == family for one in found)
            if count == 0:
                sheet.say(
                    where,
                    f"no IPv{family} address, and VRRP speaks of the VIP's IPv{family} addresses"
                    " over that; add one, or leave peers out (multicast)",
                    addresses,
                )
            elif count > 1 and isinstance(vrrp.peers, dict):
                sheet.say(
                    where,
                    f"{count} IPv{family} addresses of one director; name the one that it sends"
                    " from",
                    addresses,
                )
        for one in found:
            if one.version not in families(vip):
                sheet.say(
                    where,
                    f"{one} is IPv{one.version}, and the VIP has no such address; leave it out",
                    addresses,
                )
    _check_each_peer(sheet, path, vrrp)


def _check_each_peer(sheet: Review, path: KeyPath, vrrp: VrrpTable) -> None:
    table = isinstance(vrrp.peers, dict)
    seen: set[IPAddress] = set()
    items = vrrp.peers.items() if isinstance(vrrp.peers, dict) else [("", vrrp.peers or ())]
    for name, found in items:
        where = (*path, name) if table else path
        for one in found:
            if one in seen:
                sheet.say(where, f"{one} is there twice; name each peer once")
            seen.add(one)
            if one in sheet.vips:
                sheet.say(where, f"{one} is a VIP; name the director's own address", ("vip",))
            elif sheet.interfaces is not None:
                own = one in _own(sheet)
                if own and not table:
                    sheet.say(
                        where,
                        f"{one} is an address of this host; name the other directors only, or"
                        " write { director1 = ADDRESS, director2 = ADDRESS }",
                    )
                if table and name == sheet.director and not own:
                    sheet.say(where, f"{one} is not an address of this host; correct it")


def _own(sheet: Review) -> set[IPAddress]:
    return {one.ip for found in (sheet.interfaces or {}).values() for one in found}


def check_source(sheet: Review, here: KeyPath, vip: VipTable, vrrp: VrrpTable) -> None:
    """The source is an address of this director that does not move, at most one of a family."""
    if vrrp.source is None:
        return
    path = (*here, "source")
    table = isinstance(vrrp.source, dict)
    items = vrrp.source.items() if isinstance(vrrp.source, dict) else [("", vrrp.source)]
    for name, found in items:
        where = (*path, name) if table else path
        versions = [one.version for one in found]
        if not found or len(versions) > len(set(versions)):
            sheet.say(where, f"{len(found)} addresses; name one, or one of each family")
        for one in found:
            if families(vip) and one.version not in families(vip):
                sheet.say(
                    where,
                    f"{one} is IPv{one.version}, and the VIP has no such address; leave it out",
                    ("vip", here[1], "addresses"),
                )
            elif one in sheet.vips:
                sheet.say(
                    where,
                    f"{one} is a VIP, which moves; name an address of this director alone",
                    ("vip",),
                )
            elif one.version == 6 and vrrp.peers is None and not one.is_link_local:
                sheet.say(
                    where,
                    f"{one} is not link-local, as adverts to the IPv6 group have to be; write"
                    " fe80::..., or leave it out",
                    (*here, "peers"),
                )
            elif (
                sheet.interfaces is not None
                and name in ("", sheet.director)
                and one not in _own(sheet)
            ):
                sheet.say(
                    where, f"{one} is not an address of this host; correct it or leave it out"
                )
