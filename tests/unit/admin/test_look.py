"""GET /v1/realservers: which ones, and whether what is counted can be believed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lvsguard.admin.look import look
from lvsguard.core.model import Counters
from lvsguard.core.occupancy import Count
from tests.support.published import ELECTED, IN_STEP, OTHER, Desk, Picture, realserver, service
from tests.unit.admin.asking import ask

pytestmark = pytest.mark.usefixtures("server")

BUSY = Counters(in_packets=900, active=3, inactive=40, persistent=2)


async def test_a_target_is_found_in_all_its_services_or_in_one(
    desk: Desk, socket_path: Path
) -> None:
    desk.picture = Picture([service(realserver(), name=name) for name in ("web", "api")])
    both = (await ask(socket_path, "GET", "/v1/realservers?target=10.0.0.42")).json
    assert [one["name"] for one in both["services"]] == ["web", "api"]
    one = (await ask(socket_path, "GET", "/v1/realservers?target=10.0.0.42&service=api")).json
    assert [one["name"] for one in one["services"]] == ["api"]


async def test_a_service_alone_means_all_of_it(socket_path: Path) -> None:
    found = (await ask(socket_path, "GET", "/v1/realservers?service=web")).json
    assert [one["address"] for one in found["services"][0]["realservers"]] == [
        "10.0.0.42",
        "10.0.0.43",
    ]
    assert found["reads"] == 3000


async def test_what_is_left_is_what_its_service_waits_for(desk: Desk, socket_path: Path) -> None:
    picture = service(realserver(counters=BUSY))
    for counts, left in (((Count.ACTIVE,), 3), ((Count.ACTIVE, Count.INACTIVE), 43), ((), 0)):
        desk.picture = Picture([replace(picture, waits_for=counts)])
        found = (await ask(socket_path, "GET", "/v1/realservers?target=10.0.0.42")).json
        (told,) = found["services"][0]["realservers"]
        assert told["remaining"] == left
        assert told["connections"] == {
            "active": 3,
            "inactive": 40,
            "persistent": 2,
            "packets": 900,
            "total": 0,
        }


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 400, "bad-request"),
        ("?target=rs9", 404, "unknown-target"),
        ("?service=nosuch", 404, "unknown-service"),
        ("?target=10.0.0.42&service=nosuch", 404, "unknown-service"),
        ("?targets=10.0.0.42", 400, "bad-request"),
        ("?target=", 400, "bad-request"),
    ],
)
async def test_what_means_nothing_is_refused(
    socket_path: Path, query: str, status: int, code: str
) -> None:
    answer = await ask(socket_path, "GET", f"/v1/realservers{query}")
    assert (answer.status, answer.json["code"]) == (status, code)


@pytest.mark.parametrize(
    ("picture", "doubt"),
    [
        (Picture(groups=(ELECTED,)), "connections are not kept in step"),
        (
            Picture(groups=(ELECTED,), in_step=replace(IN_STEP, daemons=("master",))),
            "connections are not kept in step",
        ),
        (Picture(groups=(ELECTED,), in_step=IN_STEP), "does not hear from another one"),
        (
            Picture(
                groups=(ELECTED,), in_step=IN_STEP, others=(replace(OTHER, same_overrides=False),)
            ),
            "does not hear from another one",
        ),
        (Picture(groups=(ELECTED,), in_step=IN_STEP, others=(OTHER,)), ""),
    ],
)
async def test_a_backup_believes_only_what_it_is_told(picture: Picture, doubt: str) -> None:
    (found,) = (await look(picture, None, "web")).services
    assert not found.here
    assert doubt in found.doubt
    assert bool(doubt) == bool(found.doubt)


async def test_a_master_counts_by_itself() -> None:
    (found,) = (await look(Picture(), None, "web")).services
    assert (found.here, found.doubt) == (True, "")
