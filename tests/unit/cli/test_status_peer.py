"""The lines of the status on another director."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from lvsguard.admin import status_reply
from lvsguard.admin.status import health, peer
from lvsguard.cli.render import plain
from lvsguard.core.fitness import Reason, Why
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
    document = status_reply.Status(
        director="director1",
        version="0.1.0",
        config_hash="0",
        vips=[],
        peers=[peer(one) for one in others],
        services=[],
        foreign=[],
    )
    read = msgspec.json.decode(msgspec.json.encode(document), type=status_reply.Status)
    return list(plain(read, health(Picture()), NOON))[2:]


HEAD = "PEER  director2  10.0.0.40  heard for 1h00m, backup of web"
FIT, UNFIT = "fit to take over", "NOT FIT to take over"
FEWER = "web: 1 of 2 healthy there, 2 here (rs2 down there)"


@pytest.mark.parametrize(
    ("status", "lines"),
    [
        (WELL, [f"{HEAD}, same config, same overrides, sees the same health, {FIT}"]),
        (
            replace(
                WELL,
                same_config=False,
                config="fedcba987654",
                config_differs=("service.web.scheduler",),
                unfit=(Reason(Why.CONFIG, "its config differs in service.web.scheduler: mend it"),),
            ),
            [
                f"{HEAD}, same overrides, sees the same health, {UNFIT}",
                "  its config differs in service.web.scheduler: mend it",
            ],
        ),
        (
            replace(
                WELL, same_config=False, config="fedcba987654", config_differs=("admin.socket",)
            ),
            [
                f"{HEAD}, same overrides, sees the same health, {FIT}",
                "  its config is another one, fedcba987654, of no matter here: admin.socket",
            ],
        ),
        (
            replace(WELL, same_config=False, config="fedcba987654"),
            [
                f"{HEAD}, same overrides, sees the same health, {FIT}",
                "  its config is another one, fedcba987654, of no matter here: the order of its"
                " keys",
            ],
        ),
        (
            replace(WELL, differs=(FEWER,), unfit=(Reason(Why.CHECKS, f"checks fail ({FEWER})"),)),
            [
                f"{HEAD}, same config, same overrides, {UNFIT}",
                f"  checks fail ({FEWER})",
            ],
        ),
        (
            replace(WELL, other_table=True),
            [
                f"{HEAD}, same config, same overrides, sees the same health, {FIT}",
                "  its IPVS table is another one, though config, health and overrides are the same:"
                " compare ipvsadm -Sn there and here, then lvsguard why SERVICE on both",
            ],
        ),
        (
            replace(WELL, differs=("web: 2 of 2 healthy there, 1 here",)),
            [
                f"{HEAD}, same config, same overrides, {FIT}",
                "  sees another health: web: 2 of 2 healthy there, 1 here",
            ],
        ),
        (
            replace(
                WELL,
                vips=(VipPart("web", "master", True),),
                unfit=(Reason(Why.CLOCK, "its clock is 75.200 s ahead"),),
            ),
            [
                "PEER  director2  10.0.0.40  heard for 1h00m, master of web, same config, same"
                " overrides, sees the same health, NOT WELL",
                "  its clock is 75.200 s ahead",
            ],
        ),
        (
            replace(WELL, vips=(VipPart("web", "master", True),)),
            [
                "PEER  director2  10.0.0.40  heard for 1h00m, master of web, same config, same"
                " overrides, sees the same health",
            ],
        ),
        (GONE, ["PEER  director2  10.0.0.40  NOT HEARD for 1m00s: connection refused"]),
        (
            replace(GONE, last=0.0, problem="it has not connected"),
            ["PEER  director2  10.0.0.40  never heard: it has not connected"],
        ),
    ],
    ids=[
        "well",
        "config",
        "host",
        "order",
        "checks",
        "table",
        "more",
        "ill",
        "leads",
        "gone",
        "never",
    ],
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
    assert msgspec.json.decode(document, type=status_reply.Status).peers == []
