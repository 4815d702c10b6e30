"""Rules across the file: directors, names, VIPs and the interfaces they stand on."""

from __future__ import annotations

from collections.abc import Iterator

from lvsguard.config.channel_rules import check_channel
from lvsguard.config.cluster_rules import check_cluster
from lvsguard.config.election_rules import check_elections
from lvsguard.config.hook_rules import check_hooks
from lvsguard.config.leaf import near, show
from lvsguard.config.problem import KeyPath, spell
from lvsguard.config.review import Interfaces, Review
from lvsguard.config.schema import Document, VipTable
from lvsguard.config.service_rules import check_services
from lvsguard.config.table import Table
from lvsguard.config.validate import Fault, entries
from lvsguard.core.model import IPAddress


def review(
    document: Document,
    director: str,
    interfaces: Interfaces | None,
    doubtful: frozenset[KeyPath],
) -> list[Fault]:
    """Every finding on a document. ``doubtful``: paths that were already reported."""
    sheet = Review(document, director, interfaces, doubtful)
    _check_directors(sheet)
    _check_vips(sheet)
    if interfaces is not None:
        _check_interfaces(sheet, interfaces)
    check_elections(sheet)
    check_channel(sheet)
    check_cluster(sheet)
    check_services(sheet)
    check_hooks(sheet)
    return sheet.faults


def named_directors(document: Document) -> tuple[str, ...]:
    """Directors that the file names in its tables; none in a file for one director."""
    return next((tuple(names) for _, names in _per_director(document, ())), ())


def _check_directors(sheet: Review) -> None:
    """Every per-director table names the same directors, this one among them."""
    first: KeyPath = ()
    known: set[str] = set()
    for path, named in _per_director(sheet.document, ()):
        if not first:
            first, known = path, set(named)
            if sheet.director not in known:
                names = ", ".join(sorted(known)) or "nobody"
                sheet.say(
                    path,
                    f'no value for this director, "{sheet.director}"; it names {names}:'
                    " add this director, or set its name ([director] name, or --director)",
                    ("director", "name"),
                )
            continue
        for name in sorted(known - set(named)):
            sheet.say(path, f'no value for director "{name}", which {spell(first)} names', first)
        for name in sorted(set(named) - known):
            guess = near(name, known - set(named))
            hint = f'; did you mean "{guess}"?' if guess else ""
            sheet.say(
                (*path, name),
                f'unknown director "{name}", {spell(first)} does not name it{hint}',
                first,
            )


def _per_director(table: Table, path: KeyPath) -> Iterator[tuple[KeyPath, list[str]]]:
    """Every value that is a table keyed by director, in the order of the models."""
    for key in type(table).model_fields:
        if key not in table.model_fields_set:
            continue  # no default is a table keyed by director
        value = getattr(table, key)
        if isinstance(value, Table):
            yield from _per_director(value, (*path, key))
        elif isinstance(value, dict):
            yield (*path, key), list(value)
        elif isinstance(value, list) and value and isinstance(value[0], Table):
            for index, entry in entries(value):
                yield from _per_director(entry, (*path, key, index))


def _check_vips(sheet: Review) -> None:
    names: dict[str, int] = {}
    owners: dict[IPAddress, KeyPath] = {}
    for index, vip in entries(sheet.document.vip):
        here: KeyPath = ("vip", index)
        if names.setdefault(vip.name, index) != index:
            sheet.say(
                (*here, "name"),
                f"{show(vip.name)} is already the name of vip[{names[vip.name]}]",
                ("vip", names[vip.name], "name"),
            )
        if not vip.addresses:
            sheet.say((*here, "addresses"), 'no address; write at least one: ["10.0.0.8/24"]')
        for place, prefixed in enumerate(vip.addresses):
            path = (*here, "addresses", place)
            owner = owners.setdefault(prefixed.address, path)
            if owner != path:
                sheet.say(path, f"{prefixed.address} is already in {spell(owner)}", owner)


def _check_interfaces(sheet: Review, interfaces: Interfaces) -> None:
    """VIPs stand on interfaces that exist, in networks that these have without them."""
    director = sheet.document.director
    missing: set[str] = set()
    for index, vip in entries(sheet.document.vip):
        own = vip.interface is not None
        interface = sheet.pick(director.interface if vip.interface is None else vip.interface)
        where: KeyPath = ("vip", index, "interface") if own else ("director", "interface")
        if interface is None:
            continue
        if interface not in interfaces:
            if interface not in missing:
                there = ", ".join(sorted(interfaces)) or "none at all"
                sheet.say(where, f"no interface {show(interface)} on this host; it has {there}")
            missing.add(interface)
            continue
        _check_networks(sheet, index, vip, interface, interfaces)


def _check_networks(
    sheet: Review, index: int, vip: VipTable, interface: str, interfaces: Interfaces
) -> None:
    if vip.routed:
        return
    for place, prefixed in enumerate(vip.addresses):
        # A VIP that already stands there must not vouch for itself.
        networks = [
            one.network
            for one in interfaces[interface]
            if one.version == prefixed.address.version and one.ip not in sheet.vips
        ]
        if any(prefixed.address in network for network in networks):
            continue
        has = ", ".join(map(str, networks)) or f"no IPv{prefixed.address.version} network"
        sheet.say(
            ("vip", index, "addresses", place),
            f"{prefixed.address} is in no network of {interface}, which has {has};"
            " correct the address or the interface, or set routed = true if routers send it here",
            ("vip", index, "interface"),
            ("vip", index, "routed"),
            ("director", "interface"),
        )
