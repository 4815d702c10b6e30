"""Which counts a drain waits for, by service and kernel settings."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from lvsguard.core.config import IpvsSettings, ServiceConfig
from lvsguard.core.model import Counters, Family, Persistence, Protocol, ServiceKey
from lvsguard.core.occupancy import Count, remaining, waits_for

USUAL = IpvsSettings({"expire_nodest_conn": "1"})
VIP = ip_address("10.0.0.8")
TCP = ServiceConfig("web", ServiceKey.at(Protocol.TCP, VIP, 80), ())
UDP = replace(TCP, key=ServiceKey.at(Protocol.UDP, VIP, 53))
MARK = replace(TCP, key=ServiceKey(Family.INET, None, None, 0, 7))
ACTIVE, BOTH = (Count.ACTIVE,), (Count.ACTIVE, Count.INACTIVE)


@pytest.mark.parametrize(
    ("service", "counts"),
    [
        (TCP, ACTIVE),
        (replace(TCP, key=ServiceKey.at(Protocol.SCTP, VIP, 80)), ACTIVE),
        (UDP, BOTH),
        (replace(UDP, one_packet=True), ()),
        (MARK, BOTH),
        (replace(TCP, persistence=Persistence()), ACTIVE),
    ],
)
def test_it_follows_from_the_protocol(service: ServiceConfig, counts: tuple[Count, ...]) -> None:
    assert waits_for(service, USUAL) == counts


@pytest.mark.parametrize(
    ("sysctls", "counts"),
    [
        ({"expire_nodest_conn": "1"}, ACTIVE),
        ({"expire_nodest_conn": "1", "conn_reuse_mode": "0"}, BOTH),
        ({"expire_nodest_conn": "1", "conn_reuse_mode": "1"}, ACTIVE),
        ({"expire_nodest_conn": "0"}, BOTH),
        ({}, BOTH),
        ({"conn_reuse_mode": "1"}, BOTH),
        ({"conn_reuse_mode": "2"}, ACTIVE),
        ({"conn_reuse_mode": "3"}, ACTIVE),
    ],
)
def test_closed_connections_count_where_a_used_port_follows_them(
    sysctls: dict[str, str], counts: tuple[Count, ...]
) -> None:
    assert waits_for(TCP, IpvsSettings(sysctls)) == counts


@pytest.mark.parametrize(("expires", "counts"), [("1", ()), ("0", (Count.PERSISTENT,))])
def test_templates_count_where_they_lead_to_weight_0(
    expires: str, counts: tuple[Count, ...]
) -> None:
    settings = IpvsSettings({"expire_nodest_conn": "1", "expire_quiescent_template": expires})
    persistent = replace(TCP, persistence=Persistence())
    assert waits_for(persistent, settings) == (Count.ACTIVE, *counts)
    assert waits_for(TCP, settings) == ACTIVE


def test_what_is_left_is_the_sum() -> None:
    counters = Counters(active=3, inactive=20, persistent=100)
    assert [remaining(counts, counters) for counts in ((), ACTIVE, BOTH, tuple(Count))] == [
        0,
        3,
        23,
        123,
    ]
