"""The lines of the status on another director."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from lvsguard.admin import protocol
from lvsguard.admin.status import health, peer
from lvsguard.cli.render import plain
from lvsguard.core.peer import VipPart
from lvsguard.core.snapshot import PeerStatus
from tests.support.published import NOON, Picture
from tests.support.published import OTHER as WELL

GONE = replace(
    WELL,
    heard=False,
    last=NOON - 60,
    version="",
    config="",
    same_config=None,
    programmed=None,
    same_overrides=None,
    vips=(),
    problem="connection refused",
)


def shown(*others: PeerStatus) -> list[str]:
    """What is printed of them."""
    document = protocol.Status(
        director="director1",
        version="0.1.0",
        config_hash="0",
        vips=[],
        peers=[peer(one) for one in others],
        services=[],
        foreign=[],
    )
    read = msgspec.json.decode(msgspec.json.encode(document), type=protocol.Status)
    return list(plain(read, health(Picture()), NOON))[2:]


HEAD = "PEER  director2  10.0.0.40  heard for 1h00m, backup of web"


@pytest.mark.parametrize(
    ("status", "lines"),
    [
        (WELL, [f"{HEAD}, same config, same overrides, sees the same health"]),
        (
            replace(WELL, same_config=False, config="fedcba987654"),
            [
                f"{HEAD}, same overrides, sees the same health",
                "  its config is another one, fedcba987654: make the files the same and reload",
            ],
        ),
        (
            replace(WELL, differs=("web: 1 of 2 healthy there, 2 here",)),
            [
                f"{HEAD}, same config, same overrides",
                "  sees another health: web: 1 of 2 healthy there, 2 here",
            ],
        ),
        (
            replace(WELL, vips=(VipPart("web", "backup", False),), programmed=False),
            [
                f"{HEAD}, same config, same overrides, sees the same health",
                "  it stands back: VIP web (lvsguard status there tells why)",
                "  its kernel does not hold all that it should (lvsguard status there tells why)",
            ],
        ),
        (
            replace(WELL, same_overrides=False),
            [
                f"{HEAD}, same config, sees the same health",
                "  it does not know the same overrides yet",
            ],
        ),
        (
            replace(WELL, same_overrides=False, refused="its clock is ahead"),
            [
                f"{HEAD}, same config, sees the same health",
                "  its overrides were not taken: its clock is ahead",
            ],
        ),
        (GONE, ["PEER  director2  10.0.0.40  NOT HEARD for 1m00s: connection refused"]),
        (
            replace(GONE, last=0.0, problem="it has not connected"),
            ["PEER  director2  10.0.0.40  never heard: it has not connected"],
        ),
    ],
    ids=["well", "config", "health", "unfit", "overrides", "refused", "gone", "never"],
)
def test_it_tells_of_the_other_director(status: PeerStatus, lines: list[str]) -> None:
    assert shown(status) == lines


def test_many_differences_are_summed_up() -> None:
    many = tuple(f"s{n}: 1 of 2 healthy there, 2 here" for n in range(50))
    lines = shown(replace(WELL, differs=many))
    assert len(lines) == 7
    assert lines[-1] == "  and of 45 more services"


def test_a_director_of_an_older_version_tells_of_no_other() -> None:
    document = (
        b'{"director":"d","version":"0","config_hash":"0","vips":[],"services":[],"foreign":[]}'
    )
    assert msgspec.json.decode(document, type=protocol.Status).peers == []
