"""A digest of whom new connections are given to."""

from __future__ import annotations

from dataclasses import replace

from lvsguard.core.model import Forwarding, Persistence, Realserver, ServiceKey, VirtualService
from lvsguard.core.table_digest import ANEW_MAX, TableDigest
from tests.support.rig import RS1, RS2, WEB

OTHER = replace(WEB, port=443)
BOTH = VirtualService("wrr", realservers={RS1: Realserver(1), RS2: Realserver(5)})


def digest(*services: VirtualService, key: ServiceKey = WEB) -> str:
    return TableDigest().of(dict(zip((key, OTHER), services, strict=False)))


def test_it_tells_tables_apart() -> None:
    one = VirtualService("wrr", realservers={RS1: Realserver(1)})
    others = [
        digest(BOTH),
        digest(one),
        digest(BOTH, BOTH),
        digest(BOTH, one),
        digest(one, BOTH),
        digest(BOTH, key=replace(WEB, port=8080)),
        digest(replace(BOTH, scheduler="wlc")),
        digest(replace(BOTH, flags=frozenset({"flag-1"}))),
        digest(replace(BOTH, persistence=Persistence())),
        digest(replace(BOTH, one_packet=True)),
        digest(replace(BOTH, realservers={RS1: Realserver(1, Forwarding.NAT), RS2: Realserver(5)})),
    ]
    assert len(set(others)) == len(others)


def test_neither_weights_nor_what_gets_nothing_nor_any_order_is_in_it() -> None:
    for realservers in (
        {RS2: Realserver(7), RS1: Realserver(3)},
        {RS1: Realserver(1), RS2: Realserver(5), RS1._replace(port=99): Realserver(0)},
    ):
        assert digest(replace(BOTH, realservers=realservers)) == digest(BOTH)
    assert digest(replace(BOTH, realservers={RS1: Realserver(1), RS2: Realserver(0)})) == digest(
        VirtualService("wrr", realservers={RS1: Realserver(1)})
    )


def test_what_has_changed_is_looked_at_anew_and_what_is_gone_is_gone() -> None:
    table = TableDigest()
    first = table.of({WEB: BOTH, OTHER: BOTH})
    changed = replace(BOTH, scheduler="wlc")
    assert table.of({WEB: BOTH, OTHER: changed}) == digest(BOTH, changed) != first
    assert table.of({WEB: BOTH}) == digest(BOTH)
    assert table.of({WEB: BOTH, OTHER: BOTH}) == first
    assert table.of({}) == ""


def test_ten_thousand_services_take_ten_calls() -> None:
    table = TableDigest()
    many = {replace(WEB, port=port): BOTH for port in range(1, 1 + 10 * ANEW_MAX)}
    assert [table.of(many) for _ in range(9)] == [""] * 9
    whole = table.of(many)
    assert whole == table.of(many) != ""
    changed = replace(BOTH, scheduler="wlc")
    assert table.of(dict.fromkeys(many, changed)) == "", "a part of it says nothing"
