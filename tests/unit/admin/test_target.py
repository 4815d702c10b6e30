"""What TARGET means."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from lvsguard.admin.target import TargetError, clearable, parse_endpoint, resolve
from lvsguard.core.model import Protocol, ServiceKey
from lvsguard.core.override import Override, OverrideKind, Target
from tests.support.published import NOON, VIP, Picture, realserver, service

A, B = ip_address("10.0.0.42"), ip_address("10.0.0.43")
TLS = ServiceKey.at(Protocol.TCP, VIP.address, 443)


def picture() -> Picture:
    """Two services; rs1 is everywhere, rs2 has another name in the second."""
    return Picture(
        [
            service(realserver(name="rs1"), realserver("10.0.0.43", name="rs2")),
            service(
                realserver(port=443, name="rs1"),
                realserver("10.0.0.43", 443, name="two"),
                realserver("2001:db8::44", 443),
                name="tls",
                key=TLS,
            ),
        ]
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.42", (A, None)),
        ("10.0.0.42:80", (A, 80)),
        ("2001:db8::44", (ip_address("2001:db8::44"), None)),
        ("[2001:db8::44]", (ip_address("2001:db8::44"), None)),
        ("[2001:db8::44]:443", (ip_address("2001:db8::44"), 443)),
        ("10.0.0.42:0", None),
        ("10.0.0.42:65536", None),
        ("10.0.0.42:٨٠", None),
        ("10.0.0.42:", None),
        ("[10.0.0", None),
        ("rs1", None),
        ("", None),
    ],
)
def test_endpoints_are_told_from_names(text: str, expected: object) -> None:
    assert parse_endpoint(text) == expected


@pytest.mark.parametrize(
    ("text", "in_service", "targets", "count"),
    [
        ("10.0.0.42", None, [Target(A)], 2),
        ("10.0.0.42", "tls", [Target(A, None, "tls")], 1),
        ("10.0.0.42:443", None, [Target(A, 443)], 1),
        ("rs1", None, [Target(A)], 2),
        ("rs1", "web", [Target(A, None, "web")], 1),
        ("rs2", None, [Target(B, 80)], 1),
        ("[2001:db8::44]:443", None, [Target(ip_address("2001:db8::44"), 443)], 1),
    ],
)
async def test_a_target_covers_exactly_what_it_names(
    text: str, in_service: str | None, targets: list[Target], count: int
) -> None:
    found = await resolve(text, in_service, picture())
    assert list(found.targets) == targets
    assert len(found.realservers) == count


@pytest.mark.parametrize(
    ("text", "in_service", "code", "known"),
    [
        ("10.0.0.42:8080", None, "unknown-target", "rs1 10.0.0.42:80 in web"),
        ("rs2", "tls", "unknown-target", "two 10.0.0.43:443 in tls"),
        ("rs1", "db", "unknown-service", "tls"),
    ],
)
async def test_what_means_nothing_is_refused_with_what_there_is(
    text: str, in_service: str | None, code: str, known: str
) -> None:
    with pytest.raises(TargetError) as caught:
        await resolve(text, in_service, picture())
    assert caught.value.code == code
    assert known in caught.value.known


async def test_a_name_of_several_hosts_is_refused() -> None:
    ambiguous = Picture(
        [
            service(realserver(name="rs1")),
            service(realserver("10.0.0.99", name="rs1"), name="db", key=TLS),
        ]
    )
    with pytest.raises(TargetError, match="say which with --service"):
        await resolve("rs1", None, ambiguous)
    assert (await resolve("rs1", "db", ambiguous)).targets == (
        Target(ip_address("10.0.0.99"), None, "db"),
    )


async def test_a_long_list_of_what_there_is_is_cut() -> None:
    many = Picture([service(*(realserver(f"10.1.0.{n}") for n in range(100)))])
    with pytest.raises(TargetError) as caught:
        await resolve("rs1", None, many)
    assert len(caught.value.known) == 21
    assert caught.value.known[-1] == "..."


def test_clearing_takes_what_is_within_and_tells_what_is_wider() -> None:
    def held(target: Target, kind: OverrideKind = OverrideKind.DRAIN) -> Override:
        return Override(target, kind, "alice", NOON)

    whole, port, both = Target(A), Target(A, 80), Target(A, 80, "web")
    overrides = [held(whole), held(port), held(both), held(port, OverrideKind.DISABLE)]
    overrides += [held(Target(B)), held(Target(A, 443))]
    within, wider = clearable(port, OverrideKind.DRAIN, overrides)
    assert within == [port, both]
    assert [o.target for o in wider] == [whole]
    within, wider = clearable(whole, OverrideKind.DRAIN, overrides)
    assert within == [whole, port, both, Target(A, 443)]
    assert wider == []
