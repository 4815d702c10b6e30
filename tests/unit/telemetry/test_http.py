"""/metrics, /healthz, /readyz over real sockets."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace

import pytest

from lvsguard.core.election_status import AWAY_SECONDS
from lvsguard.core.health import Verdict
from lvsguard.core.snapshot import Role
from lvsguard.serving import Bounds
from lvsguard.telemetry.board import FOLLOWERS, Board
from lvsguard.telemetry.exposition import Form
from lvsguard.telemetry.health import alive, ready
from lvsguard.telemetry.http import EXPOSITIONS, TelemetryServer
from lvsguard.telemetry.metrics import Metrics
from lvsguard.telemetry.page import HEADERS, PATHS, StatusPage
from tests.support.published import (
    ELECTED,
    ELECTION,
    NOON,
    OTHER,
    WELL,
    Picture,
    realserver,
    service,
)
from tests.unit.admin.asking import Answer, parse

HOST = "127.0.0.1"
A_BROWSERS = 6
"""Connections that a browser has to one address at most."""


@pytest.fixture
def picture() -> Picture:
    return Picture(pulse=replace(WELL, last_pass=time.time()))


@pytest.fixture
async def server(picture: Picture) -> AsyncIterator[TelemetryServer]:
    bounds = Bounds(connections=4, lifetime=1.0, header=0.2)
    async with serving(TelemetryServer(picture, Metrics(), HOST, 0, bounds=bounds)) as server:
        yield server


@asynccontextmanager
async def serving(server: TelemetryServer) -> AsyncIterator[TelemetryServer]:
    task = asyncio.create_task(server.run())
    await server.listening.wait()
    yield server
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def send(server: TelemetryServer, raw: bytes) -> bytes:
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection(HOST, server.port)
        writer.write(raw)
        try:
            return await reader.read()
        finally:
            writer.close()


async def get(server: TelemetryServer, path: str, method: str = "GET") -> Answer:
    return parse(await send(server, f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()))


async def test_metrics_come_as_the_text_format(server: TelemetryServer) -> None:
    answer = await get(server, "/metrics")
    assert answer.status == 200
    assert f"Content-Type: {Form.TEXT}" in answer.head
    assert b"\nlvsguard_programmed 1\n" in answer.body
    assert b"process_resident_memory_bytes" in answer.body


async def test_openmetrics_comes_to_whom_asks_for_it(server: TelemetryServer) -> None:
    ask = "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: text/plain;q=0.5\r\n"
    ask += "Accept: application/openmetrics-text; version=1.0.0\r\n\r\n"
    answer = parse(await send(server, ask.encode()))
    assert f"Content-Type: {Form.OPENMETRICS}" in answer.head
    assert "Vary: Accept" in answer.head
    assert b"\n# TYPE lvsguard_passes counter\n" in answer.body
    assert answer.body.endswith(b"\n# EOF\n")


async def test_health_is_200_while_all_is_well(server: TelemetryServer) -> None:
    answer = await get(server, "/healthz")
    assert (answer.status, answer.json) == (200, {"ok": True, "reasons": []})
    answer = await get(server, "/readyz")
    assert (answer.status, answer.json) == (200, {"ok": True, "reasons": []})


def test_a_prober_that_is_being_replaced_is_no_reason_yet(picture: Picture) -> None:
    picture.pulse = replace(WELL, last_pass=NOON, probers=0, probers_there=NOON - AWAY_SECONDS)
    assert alive(picture, None, NOON).ok
    assert alive(picture, None, NOON + 1).reasons == (
        "0 of 1 probers alive since 6 s: verdicts stand, see the log",
    )


async def test_health_is_503_with_reasons_when_not(
    server: TelemetryServer, picture: Picture
) -> None:
    picture.pulse = replace(
        WELL, last_pass=time.time() - 60, probers=0, probers_there=time.time() - 9
    )
    answer = await get(server, "/healthz")
    assert answer.status == 503
    stuck, dead = answer.json["reasons"]
    assert "the controller stands still: no pass has ended since" in stuck
    assert "0 of 1 probers alive" in dead
    lacking = ("ip_vs is not loaded",)
    picture.pulse = replace(WELL, last_pass=time.time(), programmed=False, trouble=lacking)
    picture.shown = [service(realserver(verdict=Verdict.DOWN, weight=0))]
    answer = await get(server, "/readyz")
    assert answer.status == 503
    assert answer.json["reasons"] == [
        "the kernel is not as wanted",
        "ip_vs is not loaded",
        "service web: live weight 0, needs 1",
    ]


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "DELETE"])
async def test_only_get_is_allowed(server: TelemetryServer, method: str) -> None:
    answer = await get(server, "/metrics", method)
    assert answer.status == 405
    assert "Allow: GET" in answer.head


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_load_balancers_may_ask_for_the_head_alone(
    server: TelemetryServer, picture: Picture, path: str
) -> None:
    answer = await get(server, path, "HEAD")
    assert (answer.status, answer.body) == (200, b"")
    picture.pulse = replace(WELL, last_pass=time.time() - 60, programmed=False)
    answer = await get(server, path, "HEAD")
    assert (answer.status, answer.body) == (503, b"")
    assert (await get(server, path, "POST")).status == 405


async def test_peers_are_asked_for_apart(server: TelemetryServer, picture: Picture) -> None:
    picture.others = (replace(OTHER, heard=False, problem="connection refused"),)
    assert (await get(server, "/readyz")).status == 200
    answer = await get(server, "/readyz?peers")
    assert answer.status == 503
    assert answer.json["reasons"] == ["director director2 is not heard: connection refused"]
    picture.others = (OTHER,)
    assert (await get(server, "/readyz?peers")).status == 200


async def test_peers_that_meet_at_an_etcd_that_is_lost_are_not_heard(
    server: TelemetryServer, picture: Picture
) -> None:
    """Nobody falls silent then: what is known of them is what was told last."""
    picture.others, picture.by_etcd = (OTHER,), False
    answer = await get(server, "/readyz?peers")
    assert answer.status == 503
    (reason,) = answer.json["reasons"]
    assert reason.startswith("etcd, where directors meet, cannot be asked")
    assert (await get(server, "/readyz")).status == 200
    picture.by_etcd = True
    assert (await get(server, "/readyz?peers")).status == 200


async def test_there_is_nothing_else(server: TelemetryServer) -> None:
    answer = await get(server, "/etc/passwd")
    assert answer.status == 404
    assert "/metrics /healthz /readyz" in json.dumps(answer.json)


@pytest.mark.parametrize("raw", [b"", b"\x16\x03\x01\x00", b"GET / HTTP/9\r\n\r\n", b"A" * 20000])
async def test_garbage_is_cut_off_or_refused(server: TelemetryServer, raw: bytes) -> None:
    with suppress(ConnectionResetError):
        answer = await send(server, raw)
        assert answer == b"" or parse(answer).status == 400
    assert (await get(server, "/healthz")).status == 200


async def test_too_many_connections_are_sent_away(server: TelemetryServer) -> None:
    waiting = [await asyncio.open_connection(HOST, server.port) for _ in range(4)]
    assert (await get(server, "/healthz")).status == 503
    for _, writer in waiting:
        writer.close()
        await writer.wait_closed()


@pytest.mark.slow
async def test_a_port_that_is_taken_is_told_and_had_later(
    picture: Picture, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        server = TelemetryServer(picture, Metrics(), HOST, taken.getsockname()[1])
        with caplog.at_level(logging.WARNING):
            task = asyncio.create_task(server.run())
            for _ in range(500):
                if caplog.text:
                    break
                await asyncio.sleep(0.01)
            assert "free it, or set another [telemetry] listen" in caplog.text
            assert not server.listening.is_set()
            taken.close()
            async with asyncio.timeout(5):
                await server.listening.wait()
    assert (await get(server, "/healthz")).status == 200
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.mark.slow
async def test_readers_that_stay_away_do_not_keep_prometheus_out(picture: Picture) -> None:
    """As ``curl | less`` does: few expositions are made at once, and Prometheus waits for 10 s."""
    members = (realserver(f"10.1.{n // 250}.{n % 250}") for n in range(20_000))
    picture.shown = [service(*members)]
    bounds = Bounds(connections=8, lifetime=60.0, write=0.3)
    async with serving(TelemetryServer(picture, Metrics(), HOST, 0, bounds=bounds)) as server:
        away = [socket.create_connection((HOST, server.port)) for _ in range(EXPOSITIONS)]
        for one in away:
            one.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.sleep(0.1)
        answer = await get(server, "/metrics")
        assert answer.status == 200
        assert answer.body.count(b"lvsguard_realserver_up{") >= 20_000
        for one in away:
            one.close()


class TestJudgement:
    def test_the_daemon_is_alive_until_its_first_pass_is_overdue(self) -> None:
        picture = Picture(pulse=replace(WELL, last_pass=0.0), started=NOON)
        assert alive(picture, None, NOON + 5).ok
        late = alive(picture, None, NOON + 11)
        (reason,) = late.reasons
        assert "no pass has ended since the start at 12:00:00 UTC, so" in reason

    async def test_a_kernel_that_nobody_has_looked_at_for_long_is_not_known_to_be_as_wanted(
        self,
    ) -> None:
        picture = Picture([service(realserver())], pulse=replace(WELL, last_pass=NOON))
        assert (await ready(picture, None, NOON + 10)).ok
        (reason,) = (await ready(picture, None, NOON + 11)).reasons
        assert "no pass has ended since 12:00:00 UTC, so" in reason

    async def test_what_the_status_says_of_it_is_not_said_twice(self) -> None:
        (reason,) = alive(Picture(pulse=replace(WELL, last_pass=NOON)), None, NOON + 11).reasons
        pulse = replace(WELL, last_pass=NOON, programmed=False, trouble=(reason,))
        picture = Picture([service(realserver())], pulse=pulse)
        told = (await ready(picture, None, NOON + 11)).reasons
        assert told == (reason, "the kernel is not as wanted")

    async def test_reasons_are_bounded(self) -> None:
        lost = service(realserver(verdict=Verdict.DOWN, weight=0))
        picture = Picture([replace(lost, name=f"s{n}") for n in range(200)])
        judgement = await ready(picture, None, NOON)
        assert len(judgement.reasons) == 51
        assert judgement.reasons[-1] == "and 150 more"


class TestJudgementOfElections:
    async def test_a_backup_that_is_well_is_ready(self) -> None:
        picture = Picture([service(realserver())], groups=(ELECTED,))
        assert (await ready(picture, ELECTION, NOON)).reasons == ()

    @pytest.mark.parametrize("role", [Role.FAULT, Role.INIT])
    async def test_who_takes_no_part_is_alive_and_not_ready(self, role: Role) -> None:
        picture = Picture([service(realserver())], groups=(replace(ELECTED, role=role),))
        (reason,) = (await ready(picture, ELECTION, NOON)).reasons
        assert reason == f"VIP web: {role}, it takes no part: lvsguard events says why"
        picture.groups = (replace(ELECTED, role=role, problem="eth0 is down"),)
        (reason,) = (await ready(picture, ELECTION, NOON)).reasons
        assert reason == f"VIP web: {role}, it takes no part: eth0 is down"
        assert alive(picture, ELECTION, NOON).ok

    async def test_who_stands_back_is_not_ready(self) -> None:
        group = replace(ELECTED, why=("service web has lost its quorum",))
        picture = Picture([service(realserver())], groups=(group,))
        (reason,) = (await ready(picture, replace(ELECTION, ready={"web": False}), NOON)).reasons
        assert reason == "VIP web: stands back: service web has lost its quorum"

    async def test_a_vip_without_election_asks_for_nothing(self) -> None:
        lone = replace(ELECTED, name="other", vrid=None, role=Role.INIT)
        picture = Picture([service(realserver())], groups=(ELECTED, lone))
        assert (await ready(picture, ELECTION, NOON)).ok

    async def test_a_vrrp_process_may_be_replaced_but_not_be_gone(self) -> None:
        picture = Picture([service(realserver())], groups=(ELECTED,))
        gone = replace(ELECTION, alive=False, there=NOON)
        picture.pulse = replace(WELL, last_pass=NOON + 5)
        assert alive(picture, gone, NOON + 4).ok
        assert (await ready(picture, gone, NOON + 4)).ok
        (reason,) = alive(picture, gone, NOON + 6).reasons
        assert reason.startswith("the VRRP process is gone since 6 s")
        assert (await ready(picture, gone, NOON + 6)).reasons == (reason,)


async def test_health_is_503_when_the_vrrp_process_is_gone(picture: Picture) -> None:
    metrics = Metrics()
    metrics.elections(replace(ELECTION, alive=False, there=time.time() - 60))
    server = TelemetryServer(picture, metrics, HOST, 0)
    task = asyncio.create_task(server.run())
    await server.listening.wait()
    for path in ("/healthz", "/readyz"):
        answer = await get(server, path)
        assert answer.status == 503
        assert "the VRRP process is gone since 60 s" in answer.json["reasons"][0]
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def until(condition: Callable[[], bool]) -> bool:
    for _ in range(1000):
        if condition():
            return True
        await asyncio.sleep(0.01)
    return False


@pytest.mark.slow
class TestStatusPage:
    @pytest.fixture
    async def board(self, picture: Picture) -> Board:
        return Board(picture, places=2, seconds=0.01)

    @pytest.fixture
    async def server(self, picture: Picture, board: Board) -> AsyncIterator[TelemetryServer]:
        bounds = Bounds(connections=8, lifetime=0.3, header=0.2, write=0.3)
        page = StatusPage(board)
        async with serving(
            TelemetryServer(picture, Metrics(), HOST, 0, page=page, bounds=bounds)
        ) as server:
            yield server

    @pytest.mark.parametrize(
        ("path", "kind", "word"),
        [
            ("/", "text/html", b"<!doctype html>"),
            ("/page.css", "text/css", b"prefers-color-scheme"),
            ("/page.js", "text/javascript", b"EventSource"),
            ("/icon.svg", "image/svg+xml", b"<svg"),
        ],
    )
    async def test_its_files_come_with_a_strict_policy(
        self, server: TelemetryServer, path: str, kind: str, word: bytes
    ) -> None:
        answer = await get(server, path)
        assert answer.status == 200
        assert f"Content-Type: {kind}; charset=utf-8" in answer.head
        assert word in answer.body
        policy = HEADERS["Content-Security-Policy"]
        assert f"Content-Security-Policy: {policy}" in answer.head
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "X-Content-Type-Options: nosniff" in answer.head

    async def test_pages_that_load_anew_at_once_get_all_of_their_scripts(
        self, picture: Picture, board: Board
    ) -> None:
        """As after an upgrade. A page that lacks one script is dead, and stays so."""
        page = StatusPage(board)
        async with (
            serving(TelemetryServer(picture, Metrics(), HOST, 0, page=page)) as server,
            AsyncExitStack() as stack,
        ):
            ends = [
                await asyncio.open_connection(HOST, server.port)
                for _ in range(FOLLOWERS * A_BROWSERS)
            ]
            for _, writer in ends:
                stack.callback(writer.close)
                writer.write(b"GET /words.js HTTP/1.1\r\nHost: x\r\n\r\n")
            answers = [parse(await reader.read()).status for reader, _ in ends]
            assert set(answers) == {200}

    async def test_nothing_in_it_is_inline_or_from_elsewhere(self, server: TelemetryServer) -> None:
        html = (await get(server, "/")).body.decode()
        scripts = [path for path in PATHS if path.endswith(".js")]
        assert len(scripts) > 1
        script = "".join([(await get(server, path)).body.decode() for path in scripts])
        assert not re.search(r"<style|style=|\son\w+=|<script(?! src=)|https?:", html)
        for way in (
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
            ".style",
        ):
            assert way not in script
        assert re.findall(r"https?://[^\"]*", script) == ["http://www.w3.org/2000/svg"]

    async def test_the_stream_outlives_the_lifetime_of_a_connection(
        self, server: TelemetryServer, picture: Picture
    ) -> None:
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection(HOST, server.port)
            writer.write(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            assert "Content-Type: text/event-stream" in head
            await reader.readuntil(b"event: beat")
            await asyncio.sleep(0.5)
            picture.shown = [service(realserver(reason="L7OK news"))]
            await reader.readuntil(b"L7OK news")
            writer.close()

    async def test_one_page_more_than_there_are_places_is_told_so(
        self, server: TelemetryServer, board: Board
    ) -> None:
        board.follow(), board.follow()
        answer = await get(server, "/stream")
        assert answer.status == 503
        assert "close one" in answer.json["reasons"][0]
        assert (await get(server, "/metrics")).status == 200

    async def test_a_reader_that_went_leaves_its_place(
        self, server: TelemetryServer, board: Board
    ) -> None:
        reader, writer = await asyncio.open_connection(HOST, server.port)
        writer.write(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"event: beat")
        assert board.followers == 1
        writer.transport.abort()
        assert await until(lambda: not board.followers)

    async def test_a_reader_that_does_not_read_is_dropped(
        self, server: TelemetryServer, board: Board, picture: Picture
    ) -> None:
        reader, writer = await asyncio.open_connection(HOST, server.port, limit=1024)
        writer.write(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        assert await until(lambda: board.followers == 1)

        def dropped() -> bool:
            text = "x" * 100_000 + str(time.monotonic())
            picture.shown = [service(realserver(reason=text))]
            return not board.followers

        assert await until(dropped)
        assert (await get(server, "/healthz")).status == 200
        writer.transport.abort()

    async def test_it_is_not_there_when_it_is_turned_off(self, picture: Picture) -> None:
        async with serving(TelemetryServer(picture, Metrics(), HOST, 0)) as server:
            for path in PATHS:
                assert (await get(server, path)).status == 404

    async def test_only_get_is_allowed(self, server: TelemetryServer) -> None:
        for path in PATHS:
            assert (await get(server, path, "POST")).status == 405

    async def test_open_pages_do_not_hold_up_the_end(self, picture: Picture, board: Board) -> None:
        page = StatusPage(board)
        async with serving(TelemetryServer(picture, Metrics(), HOST, 0, page=page)) as server:
            reader, writer = await asyncio.open_connection(HOST, server.port)
            writer.write(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"event: beat")
            begun = time.monotonic()
        assert time.monotonic() - begun < 0.9
        async with asyncio.timeout(5):
            await reader.read()
        writer.close()
