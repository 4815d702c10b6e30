"""The status page's stream: all of it first, then what changes; bounded, whoever reads."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from ipaddress import ip_address
from typing import Any, cast

import pytest

from lvsguard.core.event import Level
from lvsguard.core.health import Verdict
from lvsguard.core.model import Counters, Protocol, ServiceKey
from lvsguard.core.override import Override, OverrideKind, Target
from lvsguard.core.snapshot import ForeignStatus, Role
from lvsguard.core.table_digest import OTHER_TABLE
from lvsguard.core.tally import BUCKETS, Tally
from lvsguard.serving import SLICE_SECONDS
from lvsguard.telemetry.board import (
    BEHIND_MAX,
    EVENTS,
    MESSAGE_BYTES,
    Batch,
    Board,
    Follower,
    Full,
)
from lvsguard.telemetry.board_head import FOREIGN_MAX, head
from lvsguard.telemetry.board_rows import Rate, public
from tests.support import rig
from tests.support.loop_turns import turns
from tests.support.published import (
    NOON,
    OTHER,
    UNFIT,
    WELL,
    Picture,
    realserver,
    seed_services,
    service,
)

Told = list[tuple[str, Any]]


def read(batch: Iterable[bytes]) -> Told:
    """Messages as a browser takes them apart."""
    told = []
    for piece in batch:
        name, data, *rest = piece.decode().split("\n")
        assert rest == ["", ""], "a message is two lines and an empty one"
        assert name.startswith("event: ")
        assert data.startswith("data: ")
        told.append((name[7:], json.loads(data[6:])))
    return told


def named(told: Told, name: str) -> list[Any]:
    """Everything of one name, put together."""
    return [item for kind, data in told if kind == name for item in data]


@asynccontextmanager
async def running(board: Board) -> AsyncIterator[Board]:
    task = asyncio.create_task(board.run())
    try:
        yield board
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def following(follower: Follower) -> Told:
    async with asyncio.timeout(5):
        return read(await anext(follower))


async def changes(follower: Follower) -> Told:
    """What comes next, beats alone passed over."""
    while True:
        told = await following(follower)
        if [kind for kind, _ in told] != ["beat"]:
            return told


def quick(picture: Picture) -> Board:
    return Board(picture, seconds=0.001)


async def test_who_comes_is_told_all_of_it_in_an_order_that_can_be_shown() -> None:
    board = quick(Picture(others=(OTHER,)))
    board.event(NOON, "started", Level.INFO, "started 0.1.0")
    async with running(board):
        told = await following(board.follow())
    assert [kind for kind, _ in told] == [
        "hello",
        "head",
        "services",
        "rows",
        "live",
        "events",
        "beat",
    ]
    head = dict(told)["head"]
    assert (head["director"], head["troubles"]) == ("director1", [])
    assert [vip["role"] for vip in head["vips"]] == [Role.MASTER]
    assert [(peer["name"], peer["same_health"]) for peer in head["peers"]] == [("director2", True)]
    assert [one["name"] for one in named(told, "services")] == ["web"]
    up, down = named(told, "rows")
    assert (up["verdict"], up["weight"], up["address"]) == ("up", 1, "10.0.0.42:80")
    assert (down["name"], down["reason"]) == ("rs2", "L4CON connection refused")
    assert named(told, "live") == [[0, 12, 30, None, 1.2], [1, 0, 7, None, 1.2]]
    assert [one["text"] for one in named(told, "events")] == ["started 0.1.0"]


def test_why_another_director_is_not_fit_is_told_and_whether_etcd_answers() -> None:
    shown = head(Picture(others=(OTHER, UNFIT), by_etcd=False))
    fit, unfit = cast("list[dict[str, Any]]", shown["peers"])
    assert fit["unfit"] == []
    assert [one["text"] for one in unfit["unfit"]] == [str(reason) for reason in UNFIT.unfit]
    assert [one["why"] for one in unfit["unfit"]] == [reason.why for reason in UNFIT.unfit]
    assert unfit["config_differs"] == list(UNFIT.config_differs)
    assert shown["etcd"] is False
    assert head(Picture())["etcd"] is None


def test_another_ipvs_table_is_told_in_the_words_of_the_status() -> None:
    shown = head(Picture(others=(OTHER, replace(OTHER, other_table=True))))
    same, other = cast("list[dict[str, Any]]", shown["peers"])
    assert (same["other_table"], other["other_table"]) == ("", OTHER_TABLE)


def test_foreign_services_are_told_the_first_by_name_and_how_many_there_are() -> None:
    key = ServiceKey.at(Protocol.UDP, ip_address("10.0.0.9"), 53)
    stranger = ForeignStatus(key, "wlc", {seed_services()[0].realservers[0].key: 1})
    shown = head(Picture(strangers=(stranger,) * (FOREIGN_MAX + 1)))
    foreign = cast("list[dict[str, Any]]", shown["foreign"])
    assert foreign[0] == {"service": "udp 10.0.0.9:53", "scheduler": "wlc", "realservers": 1}
    assert (len(foreign), shown["foreign_count"]) == (FOREIGN_MAX, FOREIGN_MAX + 1)


async def test_then_only_what_changed_is_told() -> None:
    picture = Picture()
    board = quick(picture)
    async with running(board):
        follower = board.follow()
        await following(follower)
        assert [kind for kind, _ in await following(follower)] == ["beat"]
        well, ill = picture.shown[0].realservers
        picture.shown = [service(well, replace(ill, verdict=Verdict.UP, weight=1, reason="L7OK"))]
        told = await changes(follower)
    assert [kind for kind, _ in told] == ["services", "rows", "beat"]  # its quorum, and itself
    assert [(row["id"], row["verdict"]) for row in named(told, "rows")] == [(1, "up")]


async def test_an_event_is_told_at_once() -> None:
    board = Board(Picture(), seconds=30.0)
    async with running(board):
        follower = board.follow()
        await following(follower)
        board.event(NOON, "health", Level.INFO, "realserver 10.0.0.42:80 is down")
        told = await following(follower)
    assert [kind for kind, _ in told] == ["events", "beat"]


async def test_whoever_comes_later_gets_all_and_the_others_do_not_again() -> None:
    board = quick(Picture())
    async with running(board):
        first = board.follow()
        await following(first)
        second = board.follow()
        assert (await following(second))[0][0] == "hello"
        assert all(kind == "beat" for kind, _ in await following(first))


async def test_another_config_begins_anew_for_everybody() -> None:
    picture = Picture()
    board = quick(picture)
    async with running(board):
        follower = board.follow()
        await following(follower)
        picture.config_digest = "ba9876543210"
        picture.shown = [service(realserver("10.0.0.49"))]
        told = await changes(follower)
    assert told[0][0] == "hello"
    assert [row["address"] for row in named(told, "rows")] == ["10.0.0.49:80"]


async def test_drains_come_with_the_time_that_they_end() -> None:
    picture = Picture()
    drain = Override(
        Target(ip_address("10.0.0.42")), OverrideKind.DRAIN, "alice", NOON, "disk", None, NOON + 60
    )
    picture.kept[drain.key] = drain
    board = quick(picture)
    async with running(board):
        told = dict(await following(board.follow()))
    (held,) = told["head"]["overrides"]
    assert (held["target"], held["actor"], held["reason"]) == ("10.0.0.42", "alice", "disk")
    assert held["expires"] - held["since"] == 60
    assert told["rows"][0]["admin"] == "drain"


async def test_what_is_wrong_is_told() -> None:
    picture = Picture(
        pulse=replace(WELL, programmed=False, probers=0), reload_ok=False, config_path="/c.toml"
    )
    board = quick(picture)
    async with running(board):
        troubles = dict(await following(board.follow()))["head"]["troubles"]
    assert len(troubles) == 3
    assert "0 of 1 probers alive" in troubles[1]
    assert troubles[2] == "the last reload was refused: lvsguard check -c /c.toml tells why"


async def test_a_service_that_the_kernel_lacks_is_told_as_such() -> None:
    picture = Picture()
    board = quick(picture)
    async with running(board):
        follower = board.follow()
        assert named(await following(follower), "services")[0]["present"] is True
        picture.shown = [replace(one, present=False) for one in seed_services()]
        assert named(await changes(follower), "services")[0]["present"] is False


async def test_rates_are_those_between_two_reads_of_the_kernel() -> None:
    def at(second: int, total: int) -> None:
        counted = replace(well, counters=Counters(connections=total))
        picture.shown = [replace(service(counted), counters=Counters(connections=total))]
        picture.pulse = replace(WELL, reads=3000 + second, last_read=float(second))

    well, _ = seed_services()[0].realservers
    picture = Picture()
    board = quick(picture)
    at(0, 100)
    async with running(board):
        follower = board.follow()
        assert named(await following(follower), "live")[0][3] is None
        at(2, 150)
        told = await changes(follower)
        assert named(told, "live")[0][3] == 25.0
        assert named(told, "services")[0]["rate"] == 25.0
        at(3, 10)  # the entry was made anew
        assert named(await changes(follower), "live")[0][3] == 0.0


async def test_a_quick_pass_between_two_reads_makes_no_rate_higher() -> None:
    """It moves the time of the last pass, and reads nothing."""
    well, _ = seed_services()[0].realservers
    picture = Picture([service(replace(well, counters=Counters(connections=100)))])
    picture.pulse = replace(WELL, reads=1, last_read=10.0, last_pass=NOON + 0.5)
    board = quick(picture)
    async with running(board):
        follower = board.follow()
        await following(follower)
        picture.shown = [service(replace(well, counters=Counters(connections=200)))]
        picture.pulse = replace(WELL, reads=2, last_read=11.0, last_pass=NOON + 1.0)
        assert named(await changes(follower), "live")[0][3] == 100.0


async def test_an_entry_that_was_out_is_not_taken_for_new_connections() -> None:
    """The kernel keeps its totals meanwhile."""

    def at(second: int, total: int, weight: int | None) -> None:
        one = replace(well, counters=Counters(connections=total), weight=weight, weight_read=weight)
        picture.shown = [service(one)]
        picture.pulse = replace(WELL, reads=3000 + second, last_read=float(second))

    well, _ = seed_services()[0].realservers
    picture = Picture()
    board = quick(picture)
    at(0, 1_000_000, 1)
    seen = []
    async with running(board):
        follower = board.follow()
        await following(follower)
        for look in ((1, 1_000_010, 1), (2, 0, None), (3, 1_000_020, 1), (4, 1_000_050, 1)):
            at(*look)
            seen.append([live[3] for live in named(await changes(follower), "live")])
    assert seen == [[10.0], [None], [], [30.0]]  # the third: its weight changed, and no number


async def test_the_rate_of_a_service_begins_with_what_was_read_of_it() -> None:
    """A director that has just started knows no totals yet, and the kernel has them of weeks."""

    def at(second: int, total: int) -> None:
        one = service(realserver())
        picture.shown = [replace(one, counters=Counters(connections=total), read=second > 0)]
        picture.pulse = replace(WELL, reads=second, last_read=1e5 + second if second else 0.0)

    picture = Picture()
    board = quick(picture)
    at(0, 0)
    async with running(board):
        follower = board.follow()
        assert named(await following(follower), "services")[0]["rate"] is None
        at(1, 1_000_000_000)
        assert named(await changes(follower), "services") == []
        at(2, 1_000_000_007)
        assert named(await changes(follower), "services")[0]["rate"] == 7.0


def test_a_rate_of_a_long_pause_is_not_known() -> None:
    rate = Rate()
    rate.take(Counters(connections=5), 1.0)
    rate.take(Counters(connections=9), None)
    assert rate.value is None


async def test_latency_is_what_the_probers_counted_last() -> None:
    config = rig.config()
    first, second = (r.checks[0] for r in config.services[0].realservers)
    picture = Picture(config_digest=config.digest)
    board = quick(picture)
    board.configure(config)
    empty = (0,) * (len(BUCKETS) + 1)
    async with running(board):
        follower = board.follow()
        await following(follower)
        board.tally([Tally(first, {"L7OK": 4}, 0.02, empty, NOON)])
        assert named(await changes(follower), "live") == [[0, 12, 30, None, 5.0]]
        board.tally([Tally(second, {"L7OK": 1, "L7STS": 1}, 0.5, empty, NOON)])
        assert named(await changes(follower), "live") == [[1, 0, 7, None, 250.0]]


async def test_places_are_few_and_free_again_when_a_page_is_closed() -> None:
    board = Board(Picture(), places=2)
    first, _ = board.follow(), board.follow()
    with pytest.raises(Full):
        board.follow()
    first.close()
    board.follow()
    assert board.followers == 2


async def test_who_does_not_keep_up_is_dropped_and_holds_nobody_up() -> None:
    board = quick(Picture())
    stuck = board.follow()
    for _ in range(BEHIND_MAX):
        stuck.push((b"",))
    assert not stuck.dropped
    stuck.push((b"",))
    assert stuck.dropped
    assert board.followers == 0
    with pytest.raises(StopAsyncIteration):
        await anext(stuck)


async def test_nobody_looks_and_nothing_is_done() -> None:
    board = quick(Picture())
    async with running(board):
        await following(follower := board.follow())
        follower.close()
        await asyncio.sleep(0.3)  # what was begun ends
        seen = board.sweeps
        await asyncio.sleep(0.3)
        assert board.sweeps == seen


async def test_a_page_that_ends_badly_is_no_end_of_the_board(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(Picture):
        broken = True

        def vips(self) -> Any:  # noqa: ANN401 (it never returns anything)
            if self.broken:
                raise RuntimeError("a bug")
            return super().vips()

    picture = Broken()
    board = quick(picture)
    async with running(board):
        with pytest.raises(StopAsyncIteration):
            await following(board.follow())
        assert "please report it" in caplog.text
        picture.broken = False
        assert (await following(board.follow()))[0][0] == "hello"


async def test_events_are_the_last_ones_and_older_ones_come_first() -> None:
    board = quick(Picture())
    for number in range(EVENTS):
        board.event(NOON + number, "health", Level.INFO, f"new {number}")
    board.recall([(NOON - 9, "health", Level.INFO, f"old {number}") for number in range(5)])
    async with running(board):
        texts = [one["text"] for one in named(await following(board.follow()), "events")]
    assert texts == [f"new {number}" for number in range(EVENTS)]
    board = quick(Picture())
    board.event(NOON, "health", Level.INFO, "new")
    board.recall([(NOON - 9, "health", Level.INFO, f"old {number}") for number in range(60)])
    async with running(board):
        texts = [one["text"] for one in named(await following(board.follow()), "events")]
    assert len(texts) == EVENTS
    assert texts[-2:] == ["old 59", "new"]


HOSTILE = '</script><img src=x onerror="alert(1)">\r\ndata: {}\n\nevent: hello\u2028'


async def test_a_hostile_text_stays_one_line_of_json() -> None:
    picture = Picture(shown=[service(realserver(verdict=Verdict.DOWN, weight=0, reason=HOSTILE))])
    board = quick(picture)
    board.event(NOON, "health", Level.INFO, HOSTILE)
    async with running(board):
        told = await following(board.follow())
    assert [kind for kind, _ in told].count("hello") == 1
    assert named(told, "rows")[0]["reason"] == HOSTILE
    assert named(told, "events")[0]["text"] == HOSTILE


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("302 to /login?token=abc, expected 200", "302 to /login?… expected 200"),
        ("GET http://h/a/b?x=1&y=2 failed", "GET http://h/a/b?… failed"),
        ("is it up? yes", "is it up? yes"),
        ("why/what?", "why/what?"),
    ],
)
def test_queries_of_paths_are_not_told(text: str, shown: str) -> None:
    assert public(text) == shown


@pytest.mark.slow
class TestTenThousand:
    """Realservers, in a thousand services."""

    @pytest.fixture
    def picture(self) -> Iterator[Picture]:
        services = []
        for n in range(1000):
            key = ServiceKey.at(Protocol.TCP, ip_address(f"10.1.{n // 250}.{n % 250 + 1}"), 80)
            members = [realserver(f"10.2.{n // 250}.{m + 1}") for m in range(10)]
            services.append(service(*members, name=f"s{n}", key=key))
        gc.collect()
        gc.freeze()  # as the daemon does; a full collection is not what is measured
        yield Picture(shown=services)
        gc.unfreeze()

    async def test_all_of_it_comes_in_messages_of_a_bounded_size(self, picture: Picture) -> None:
        board = quick(picture)
        async with running(board):
            batch: Batch = ()
            async with asyncio.timeout(30):
                batch = await anext(board.follow())
        told = read(batch)
        assert len(named(told, "rows")) == len(named(told, "live")) == 10_000
        assert max(map(len, batch)) < MESSAGE_BYTES + 4096

    async def test_the_loop_is_never_held_up_and_all_followers_share_one_sweep(
        self, picture: Picture
    ) -> None:
        board = quick(picture)
        followers = [board.follow() for _ in range(8)]
        async with turns() as felt, running(board):
            async with asyncio.timeout(60):
                batches = [await anext(follower) for follower in followers]
        assert board.sweeps == 1
        assert len({id(piece) for batch in batches for piece in batch}) == len(batches[0])
        # In this thread's own time: what else the machine does is nobody's doing here.
        assert felt.longest_s < 10 * SLICE_SECONDS
