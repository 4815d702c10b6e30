"""Rules of checks: keys that fit the kind, times that fit each other, and somebody to ask."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from typing import Final

from lvsguard.config.check_schema import CanaryTable, CheckTable
from lvsguard.config.leaf import period, show
from lvsguard.config.problem import KeyPath
from lvsguard.config.review import Review
from lvsguard.config.schema import RealserverTable, ServiceTable
from lvsguard.config.service_key import forwarding_of, port_of
from lvsguard.config.validate import entries
from lvsguard.core.config import CanaryKind, CheckKind, Via
from lvsguard.core.model import Forwarding, IPAddress

_HTTP: Final = frozenset(
    {
        "path",
        "method",
        "host",
        "headers",
        "body",
        "expect_status",
        "expect_body",
        "expect_regex",
        "max_body",
    }
)
_TLS: Final = frozenset({"verify", "server_name", "ca_file"})
_TCP: Final = frozenset({"send", "expect"})
_ALL: Final = frozenset(CheckTable.model_fields)
KEYS: Final = {
    CheckKind.HTTP: _ALL - _TLS - _TCP,
    CheckKind.HTTPS: _ALL - _TCP,
    CheckKind.TCP: _ALL - _HTTP - _TLS,
    CheckKind.NONE: frozenset({"kind"}),
}
"""Which keys each kind of check takes."""
CANARIES: Final = {
    CanaryKind.TCP: frozenset({CheckKind.HTTP, CheckKind.HTTPS, CheckKind.TCP}),
    CanaryKind.TLS: frozenset({CheckKind.HTTPS}),
    CanaryKind.HTTP: frozenset({CheckKind.HTTP, CheckKind.HTTPS}),
}
"""Which kinds of check have what a kind of canary has to say."""


def check_checks(sheet: Review, here: KeyPath, service: ServiceTable) -> None:
    """Every rule on the checks of a service and of its realservers."""
    realservers = list(entries(service.realserver))
    inheriting = [realserver for _, realserver in realservers if realserver.check is None]
    _check_list(sheet, (*here, "check"), service.check, inheriting, service)
    for index, realserver in realservers:
        path = (*here, "realserver", index, "check")
        _check_list(sheet, path, realserver.check, [realserver], service)


def _check_list(
    sheet: Review,
    path: KeyPath,
    checks: CheckTable | list[CheckTable] | None,
    realservers: list[RealserverTable],
    service: ServiceTable,
) -> None:
    """One ``check`` key: a single check or a list, and the realservers that it is for."""
    if isinstance(checks, list) and not checks:
        sheet.say(path, 'no check in the list; leave check out or write { kind = "none" }')
    several = isinstance(checks, list) and len(checks) > 1
    seen: list[CheckTable] = []
    for where, check in listed(path, checks):
        if several and check.kind is CheckKind.NONE:
            sheet.say((*where, "kind"), "none cannot stand among other checks; leave it out")
        if check in seen:
            sheet.say(where, "the same check stands in this list already; leave it out")
        seen.append(check)
        _check_keys(sheet, where, check)
        _check_times(sheet, where, check)
        _check_canary(sheet, where, check)
        _check_expectation(sheet, where, check)
        _check_source(sheet, where, check, realservers)
        if sheet.interfaces is not None and check.ca_file is not None:
            _check_ca_file(sheet, (*where, "ca_file"), check.ca_file)
        _check_port(sheet, where, check, realservers, service)
        if check.via is Via.VIP:
            _check_via(sheet, where, realservers, service)


def _check_via(
    sheet: Review, where: KeyPath, realservers: list[RealserverTable], service: ServiceTable
) -> None:
    path = (*where, "via")
    if service.address is None:
        if service.fwmark is None:
            return  # its address is wrong, which is told there
        sheet.say(
            path,
            "a service with a firewall mark has no VIP to ask; leave via out, or give the check to"
            " a service with an address",
            (*where[:2], "fwmark"),
        )
        return
    for realserver in realservers:
        forwarding = forwarding_of(realserver, service)
        if forwarding not in {Forwarding.DR, Forwarding.TUN}:
            sheet.say(
                path,
                f"realserver {realserver.address} has forwarding {forwarding} and no VIP; leave via"
                " out",
                (*where[:2], "forwarding"),
            )
            break


def _check_port(
    sheet: Review,
    where: KeyPath,
    check: CheckTable,
    realservers: list[RealserverTable],
    service: ServiceTable,
) -> None:
    if check.kind is CheckKind.NONE or check.port is not None:
        return
    if any(port_of(realserver, service) == 0 for realserver in realservers):
        sheet.say(
            where,
            "the realserver has no port of its own to ask, because the service takes more than"
            " one; set port in the check",
            (*where, "port"),
            (*where[:2], "address"),
            (*where[:2], "fwmark"),
        )


def listed(
    path: KeyPath, checks: CheckTable | list[CheckTable] | None
) -> Iterator[tuple[KeyPath, CheckTable]]:
    """The checks of a ``check`` key, each with its path."""
    if isinstance(checks, CheckTable):
        yield path, checks
    elif checks:
        for index, check in enumerate(checks):
            yield (*path, index), check


def _check_keys(sheet: Review, where: KeyPath, check: CheckTable) -> None:
    for key in sorted(check.model_fields_set - KEYS[check.kind]):
        kinds = ", ".join(kind for kind, keys in KEYS.items() if key in keys)
        sheet.say(
            (*where, key), f"only for {kinds} checks; this one is {check.kind}", (*where, "kind")
        )


def _check_times(sheet: Review, where: KeyPath, check: CheckTable) -> None:
    interval = (*where, "interval")
    if check.timeout > check.interval:
        is_default = "" if "timeout" in check.model_fields_set else " (the default)"
        sheet.say(
            (*where, "timeout"),
            f"{period(check.timeout)}{is_default} is longer than interval,"
            f" {period(check.interval)}; a probe must end before the next one is due",
            interval,
        )
    if check.fast_interval is not None and check.fast_interval > check.interval:
        sheet.say(
            (*where, "fast_interval"),
            f"{period(check.fast_interval)} is longer than interval, {period(check.interval)};"
            " it is meant to be the shorter one",
            interval,
        )


def _check_canary(sheet: Review, where: KeyPath, check: CheckTable) -> None:
    canary = check.canary
    if check.kind is CheckKind.NONE or not isinstance(canary, CanaryTable) or canary.kind is None:
        return
    kinds = CANARIES[canary.kind]
    if check.kind not in kinds:
        fitting = " and ".join(sorted(kinds))
        sheet.say(
            (*where, "canary", "kind"),
            f"{canary.kind} is for {fitting} checks, which say what it needs; this one is"
            f" {check.kind}: leave kind out",
            (*where, "kind"),
        )


def _check_expectation(sheet: Review, where: KeyPath, check: CheckTable) -> None:
    if check.expect_regex is not None:
        try:
            re.compile(check.expect_regex)
        # Python warns of what a later version will read otherwise; with warnings as errors it
        # raises them.
        except (re.error, RecursionError, OverflowError, Warning) as error:
            sheet.say((*where, "expect_regex"), f"not a regular expression: {error}")
    for key in ("expect_body", "expect_regex"):
        if check.method == "HEAD" and getattr(check, key) is not None:
            sheet.say(
                (*where, key), 'a HEAD request gets no body; use method = "GET"', (*where, "method")
            )
    if not check.verify and check.ca_file is not None:
        sheet.say(
            (*where, "ca_file"),
            "verify = false looks at no authority; leave one of the two out",
            (*where, "verify"),
        )


def _check_source(
    sheet: Review, where: KeyPath, check: CheckTable, realservers: list[RealserverTable]
) -> None:
    source: IPAddress | None
    match check.source:
        case dict(by_director):
            source = by_director.get(sheet.director)
        case source:
            pass
    if source is None:
        return
    path = (*where, "source")
    for realserver in realservers:
        if realserver.address.version != source.version:
            sheet.say(
                path,
                f"{source} is IPv{source.version} and realserver {realserver.address} is"
                f" IPv{realserver.address.version}; name an address of the same family",
            )
            break
    if source in sheet.vips:
        sheet.say(
            path,
            f"{source} is a VIP, which the realservers hold too: their answer would stay with"
            " them; name an address of this director alone",
            ("vip",),
        )
    elif sheet.interfaces is not None:
        own = {one.ip for addresses in sheet.interfaces.values() for one in addresses}
        if source not in own:
            sheet.say(
                path, f"{source} is not an address of this host; leave source out or correct it"
            )


def _check_ca_file(sheet: Review, path: KeyPath, file: str) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=file)
    except ssl.SSLError:
        sheet.say(path, f"{show(file)} holds no PEM certificate; name a file of authorities")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        sheet.say(path, f"{show(file)} cannot be read: {reason}; name a file of authorities")
