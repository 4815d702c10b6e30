"""The admin API over a real unix socket."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
from ipaddress import ip_address
from pathlib import Path

import pytest

from lvsguard import __version__
from lvsguard.admin import protocol
from lvsguard.admin.door import SocketTaken
from lvsguard.admin.operations import Kept
from lvsguard.admin.server import AdminServer
from lvsguard.core.event import Stopping
from lvsguard.core.override import Override, OverrideKind, Target, Weight
from lvsguard.serving import Bounds
from tests.support.golden import Golden
from tests.support.published import (
    NOON,
    OTHER,
    UNFIT,
    Desk,
    Picture,
    realserver,
    service,
)
from tests.unit.admin.asking import ask, exchange, parse

pytestmark = pytest.mark.usefixtures("server")

RS1 = ip_address("10.0.0.42")


async def test_status_is_the_public_document(socket_path: Path, golden: Golden) -> None:
    answer = await ask(socket_path, "GET", "/v1/status")
    assert answer.status == 200
    assert "application/json" in answer.head
    golden.check("status/seed.json", json.dumps(answer.json, indent=2) + "\n")


async def test_other_directors_are_in_the_public_document(
    desk: Desk, socket_path: Path, golden: Golden
) -> None:
    desk.picture = Picture(shown=(), others=(OTHER, UNFIT))
    answer = await ask(socket_path, "GET", "/v1/status")
    golden.check("status/directors.json", json.dumps(answer.json, indent=2) + "\n")


async def test_status_of_many_services_is_valid_json(desk: Desk, socket_path: Path) -> None:
    desk.picture = Picture(
        [service(*(realserver(f"10.1.{i}.{j}") for j in range(1, 11))) for i in range(200)]
        + [service(name="empty")]
    )
    document = (await ask(socket_path, "GET", "/v1/status")).json
    assert len(document["services"]) == 201
    assert sum(len(s["realservers"]) for s in document["services"]) == 2000


async def test_version_and_health_tell_who_answers_and_how_he_does(socket_path: Path) -> None:
    version = (await ask(socket_path, "GET", "/v1/version")).json
    assert version == {"api": 1, "version": "0.1.0", "director": "director1", "pid": os.getpid()}
    health = (await ask(socket_path, "GET", "/v1/health")).json
    assert health["programmed"] is True
    assert health["last_pass"] == "2026-11-23T11:59:59.500Z"


async def test_a_drain_is_set_with_its_actor_reason_and_end(desk: Desk, socket_path: Path) -> None:
    body = b'{"target":"10.0.0.42","kind":"drain","reason":"kernel","expires_in":60}'
    answer = await ask(socket_path, "POST", "/v1/overrides", body)
    assert answer.status == 200
    assert answer.json["targets"] == ["10.0.0.42"]
    assert answer.json["durable"] is True
    assert answer.json["realservers"] == [
        {"service": "web", "name": "10.0.0.42", "address": "10.0.0.42", "port": 80}
    ]
    (override,) = desk.picture.overrides()
    uid = os.getuid()
    assert override.actor == f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    assert override.target == Target(RS1)
    assert override.reason == "kernel"
    assert override.expires is not None
    assert round(override.expires - override.since) == 60


async def test_a_target_may_be_a_name_from_the_config(desk: Desk, socket_path: Path) -> None:
    body = b'{"target":"rs2","kind":"weight","weight":"50%","service":"web"}'
    answer = await ask(socket_path, "POST", "/v1/overrides", body)
    assert answer.json["targets"] == ["10.0.0.43 in web"]
    (override,) = desk.picture.overrides()
    assert override.weight == Weight(50, percent=True)


async def test_an_override_that_is_not_on_disk_says_so(desk: Desk, socket_path: Path) -> None:
    desk.durable = Kept(False, "disk full: make space")
    body = b'{"target":"10.0.0.42","kind":"drain"}'
    answer = await ask(socket_path, "POST", "/v1/overrides", body)
    assert answer.status == 200
    assert (answer.json["durable"], answer.json["message"]) == (False, "disk full: make space")


async def test_an_unknown_target_is_refused_with_what_there_is(socket_path: Path) -> None:
    answer = await ask(socket_path, "POST", "/v1/overrides", b'{"target":"rs9","kind":"drain"}')
    assert answer.status == 404
    assert answer.json["code"] == "unknown-target"
    assert answer.json["known"] == ["10.0.0.42:80 in web", "rs2 10.0.0.43:80 in web"]


async def test_clearing_ends_every_override_within_the_target(
    desk: Desk, socket_path: Path
) -> None:
    for target in (Target(RS1, 80), Target(RS1, 80, "web"), Target(ip_address("10.0.0.43"))):
        await desk.set_override(Override(target, OverrideKind.DRAIN, "alice", NOON))
    answer = await ask(socket_path, "DELETE", "/v1/overrides?target=10.0.0.42&kind=drain")
    assert answer.json["targets"] == ["10.0.0.42:80", "10.0.0.42:80 in web"]
    assert [str(o.target) for o in desk.picture.overrides()] == ["10.0.0.43"]


async def test_clearing_what_a_wider_override_covers_is_refused(
    desk: Desk, socket_path: Path
) -> None:
    await desk.set_override(Override(Target(RS1), OverrideKind.DRAIN, "alice (uid 7)", NOON))
    answer = await ask(socket_path, "DELETE", "/v1/overrides?target=10.0.0.42:80&kind=drain")
    assert answer.status == 409
    assert "by alice (uid 7): end that one instead (target 10.0.0.42)" in answer.json["error"]
    assert len(desk.picture.overrides()) == 1


async def test_clearing_nothing_is_no_error(socket_path: Path) -> None:
    answer = await ask(socket_path, "DELETE", "/v1/overrides?target=10.0.0.42&kind=disable")
    assert (answer.status, answer.json["targets"]) == (200, [])


async def test_an_override_of_what_left_the_config_can_be_ended(
    desk: Desk, socket_path: Path
) -> None:
    gone = Target(ip_address("10.0.0.99"))
    await desk.set_override(Override(gone, OverrideKind.DRAIN, "alice", NOON))
    answer = await ask(socket_path, "DELETE", "/v1/overrides?target=10.0.0.99&kind=drain")
    assert answer.json["targets"] == ["10.0.0.99"]
    assert desk.picture.overrides() == ()


async def test_overrides_are_listed(desk: Desk, socket_path: Path) -> None:
    target = Target(RS1, 80, "web")
    await desk.set_override(
        Override(target, OverrideKind.WEIGHT, "alice", NOON, "slow", Weight(5), NOON + 60)
    )
    (told,) = (await ask(socket_path, "GET", "/v1/overrides")).json["overrides"]
    assert told == {
        "target": "10.0.0.42:80 in web",
        "address": "10.0.0.42",
        "port": 80,
        "service": "web",
        "kind": "weight",
        "weight": "5",
        "actor": "alice",
        "reason": "slow",
        "since": "2026-11-23T12:00:00.000Z",
        "expires": "2026-11-23T12:01:00.000Z",
        "ticket": "",
        "user": None,
        "uid": None,
    }


async def test_reload_tells_what_came_of_it(desk: Desk, socket_path: Path) -> None:
    answer = await ask(socket_path, "POST", "/v1/reload")
    assert (answer.status, answer.json) == (200, {"digest": "ba9876543210", "steps": 3})
    assert desk.reloads[0].endswith(f"(uid {os.getuid()})")
    desk.problems = ("config.toml:3: weight: too big", "config.toml:9: port: missing")
    answer = await ask(socket_path, "POST", "/v1/reload")
    assert answer.status == 422
    assert answer.json["problems"] == list(desk.problems)


async def test_plan_tells_steps_with_names_and_reasons(desk: Desk, socket_path: Path) -> None:
    answer = await ask(socket_path, "POST", "/v1/plan", b'{"config":"x = 1"}')
    assert desk.plans == ["x = 1"]
    first, second = answer.json["steps"]
    assert first["command"] == "ipvsadm -A -t 10.0.0.8:80 -s rr"
    assert (first["action"], first["object"], first["name"]) == ("add", "service", "web")
    assert second["why"] == "L7OK 200 OK"
    assert second["changes"] == ["weight 0", "forwarding dr"]


async def test_events_are_json_lines_since_a_time(desk: Desk, socket_path: Path) -> None:
    desk.happen(Stopping(keep=True), NOON - 100)
    desk.happen(Stopping(keep=False), NOON)
    since = protocol.rfc3339(NOON - 50)
    answer = await ask(socket_path, "GET", f"/v1/events?since={since}")
    assert "application/x-ndjson" in answer.head
    (line,) = [json.loads(line) for line in answer.body.splitlines()]
    assert line == {
        "id": 2,
        "time": "2026-11-23T12:00:00.000Z",
        "kind": "stopping",
        "level": "info",
        "text": "stopping: taking out what is owned",
        "data": {"keep": False, "left": []},
    }


async def test_following_goes_on_with_what_happens(desk: Desk, socket_path: Path) -> None:
    desk.happen(Stopping(keep=True))
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_unix_connection(str(socket_path))
        writer.write(b"GET /v1/events?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        first = await reader.readuntil(b"\n\r\n")
        assert b'"keep":true' in first
        desk.happen(Stopping(keep=False))
        assert b'"keep":false' in await reader.readuntil(b"\n\r\n")
        writer.close()


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "says"),
    [
        ("GET", "/v1/nothing", b"", 404, "no such resource"),
        ("PUT", "/v1/status", b"", 405, "use GET"),
        ("PUT", "/v1/overrides", b"", 405, "use DELETE or GET or POST"),
        ("POST", "/v1/overrides", b"{", 400, "body:"),
        ("POST", "/v1/overrides", b"[" * 60000, 400, "body:"),
        ("POST", "/v1/overrides", b'{"target":"a","kind":"kill"}', 400, "Invalid enum value"),
        ("POST", "/v1/overrides", b'{"target":"a","kind":"drain","x":1}', 400, "unknown field `x`"),
        ("POST", "/v1/overrides", b'{"target":"10.0.0.42","kind":"weight"}', 400, "weight: give"),
        (
            "POST",
            "/v1/overrides",
            b'{"target":"10.0.0.42","kind":"weight","weight":"65536"}',
            400,
            "give 0 to 65535, or 0% to 100%",
        ),
        (
            "POST",
            "/v1/overrides",
            b'{"target":"10.0.0.42","kind":"drain","weight":"5"}',
            400,
            "weight: give it with kind weight, and only there",
        ),
        (
            "POST",
            "/v1/overrides",
            b'{"target":"10.0.0.42","kind":"drain","reason":"\\u001b[2J"}',
            400,
            "control characters",
        ),
        (
            "POST",
            "/v1/overrides",
            b'{"target":"10.0.0.42","kind":"drain","service":"nosuch"}',
            404,
            "no service is named 'nosuch'",
        ),
        ("DELETE", "/v1/overrides?kind=drain", b"", 400, "missing required field `target`"),
        ("GET", "/v1/events?since=yesterday", b"", 400, "since: give RFC 3339"),
        ("GET", "/v1/events?since=nan", b"", 400, "since: give a time after 1970, such as"),
        ("GET", "/v1/events?until=1795435200000", b"", 400, "seconds (not milliseconds) since"),
        ("GET", "/v1/events?since=9&until=8", b"", 400, "since is later than until"),
        ("GET", "/v1/events?limit=0", b"", 400, "limit: give 1 to 10000"),
        ("GET", "/v1/events?unto=5", b"", 400, "unto: use since, "),
        ("GET", "/v1/events?follow=yes", b"", 400, "follow: give 0 or 1"),
        ("GET", "/v1/events?limit=5&limit=6", b"", 400, "query: give each name once"),
    ],
)
async def test_a_bad_request_is_told_what_is_wrong(
    socket_path: Path, method: str, target: str, body: bytes, status: int, says: str
) -> None:
    answer = await ask(socket_path, method, target, body)
    assert answer.status == status
    assert says in answer.json["error"]


async def test_a_wrong_method_is_told_which_there_are(socket_path: Path) -> None:
    answer = await ask(socket_path, "PUT", "/v1/overrides")
    assert "\r\nAllow: DELETE, GET, POST\r\n" in answer.head


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\nX: " + b"x" * 5000 + b"\r\n\r\n",
        b"GET /v1/status HTTP/9.9\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_refused_in_the_apis_words_and_not_logged_at_length(
    socket_path: Path, raw: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    answer = parse(await exchange(socket_path, raw))
    assert (answer.status, answer.json["code"]) == (400, "bad-request")
    assert "no HTTP/1.1" in answer.json["error"]
    assert len(answer.json["error"]) < 300
    assert not any(record.exc_info for record in caplog.records)


async def test_every_answer_says_which_lvsguard_gave_it(socket_path: Path) -> None:
    for path in ("/v1/version", "/v1/status", "/v1/nothing"):
        answer = await ask(socket_path, "GET", path)
        assert f"\r\nLvsguard-Version: {__version__}\r\n" in answer.head


async def test_the_api_describes_itself(socket_path: Path) -> None:
    document = (await ask(socket_path, "GET", "/v1/openapi.json")).json
    assert document["openapi"].startswith("3.1.")
    assert "/v1/overrides" in document["paths"]


async def test_a_body_that_is_too_long_is_refused_before_it_is_read_whole(
    socket_path: Path,
) -> None:
    answer = await ask(socket_path, "POST", "/v1/overrides", b" " * (protocol.BODY_BYTES + 1))
    assert (answer.status, answer.json["code"]) == (413, "too-large")


async def test_a_configuration_may_be_longer_than_other_bodies(
    desk: Desk, socket_path: Path
) -> None:
    text = "#" * 1_000_000
    body = json.dumps({"config": text}).encode()
    assert (await ask(socket_path, "POST", "/v1/plan", body)).status == 200
    assert desk.plans == [text]


async def test_a_second_daemon_may_not_take_the_socket(desk: Desk, socket_path: Path) -> None:
    second = AdminServer(desk, socket_path, "root")
    with pytest.raises(SocketTaken, match="another lvsguard answers"):
        await second.open()
    assert (await ask(socket_path, "GET", "/v1/version")).status == 200


class TestBounds:
    """Peers who are slow, many or silent; with bounds that a test can wait for."""

    @pytest.fixture
    def quick(self, socket_path: Path) -> Path:
        return socket_path.with_name("quick.sock")

    @pytest.fixture
    async def server(self, desk: Desk, quick: Path) -> object:
        bounds = Bounds(connections=4, lifetime=0.6, header=0.1, body=0.1, write=0.1)
        server = AdminServer(desk, quick, "root", bounds=bounds, followers=1)
        await server.open()
        yield server
        await server.close()

    async def test_a_silent_peer_is_cut_off(self, quick: Path) -> None:
        assert await exchange(quick) == b""

    async def test_a_slow_header_is_cut_off(self, quick: Path) -> None:
        assert await exchange(quick, b"GET /v1/status HTTP/1.1\r\nX-Slow: ") == b""

    async def test_a_slow_body_is_refused(self, quick: Path) -> None:
        head = b"POST /v1/overrides HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{"
        answer = parse(await exchange(quick, head))
        assert (answer.status, answer.json["code"]) == (408, "too-slow")

    async def test_one_connection_too_many_is_sent_away(self, quick: Path) -> None:
        waiting = [await asyncio.open_unix_connection(str(quick)) for _ in range(4)]
        answer = parse(await exchange(quick, b"GET /v1/version HTTP/1.1\r\nHost: x\r\n\r\n"))
        assert answer.status == 503
        assert b"too many connections" in answer.body
        for _, writer in waiting:
            writer.close()
            await writer.wait_closed()
        assert (await ask(quick, "GET", "/v1/version")).status == 200

    async def test_a_reader_who_stops_reading_is_cut_off(self, desk: Desk, quick: Path) -> None:
        desk.picture = Picture([service(*(realserver(f"10.1.0.{j}") for j in range(200)))] * 50)
        reader, writer = await asyncio.open_unix_connection(str(quick), limit=1024)
        writer.write(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"200" in head
        await asyncio.sleep(0.3)
        whole = True
        try:
            whole = (await reader.read()).endswith(b"0\r\n\r\n")
        except ConnectionResetError:
            whole = False
        writer.close()
        assert not whole

    async def test_followers_are_limited_and_outlive_other_connections(self, quick: Path) -> None:
        reader, writer = await asyncio.open_unix_connection(str(quick))
        writer.write(b"GET /v1/events?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        second = await ask(quick, "GET", "/v1/events?follow=1")
        assert (second.status, second.json["code"]) == (503, "busy")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.8):
                await reader.read(1)
        writer.close()
