"""Whatever is sent to the admin socket, the server answers the next request."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lvsguard.admin.server import AdminServer
from lvsguard.serving import Bounds
from tests.support.examples import examples
from tests.support.published import Desk
from tests.unit.admin.asking import ask, exchange

BOUNDS = Bounds(lifetime=0.3, header=0.02, body=0.02, write=0.1)

METHODS = st.sampled_from(
    ["GET", "POST", "DELETE", "PUT", "HEAD", "get", "", "PRI", "\x16\x03\x01"]
)
PATHS = st.one_of(
    st.sampled_from(
        ["/v1/status", "/v1/overrides", "/v1/plan", "/v1/events", "/v1/reload", "/v1/failover"]
    ),
    st.text(max_size=40),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["target", "kind", "service", "weight", "reason", "config", "x"]), inner
        )
    ),
    max_leaves=8,
)
BODIES = st.one_of(st.binary(max_size=200), VALUES.map(lambda value: json.dumps(value).encode()))
HEADERS = st.lists(
    st.sampled_from(
        [
            "Host: x",
            "Content-Length: 5",
            "Content-Length: -1",
            "Content-Length: 99999999999999999999",
            "Transfer-Encoding: chunked",
            "Transfer-Encoding: gzip, chunked",
            "Content-Encoding: gzip",
            "Expect: 100-continue",
            "Connection: upgrade",
            "Upgrade: websocket",
            "X: " + "y" * 9000,
            ": nothing",
            "\x00: \xff",
        ]
    ),
    max_size=4,
)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[asyncio.Runner, Path]]:
    folder = Path(tempfile.mkdtemp(prefix="lvsguard-"))
    path = folder / "admin.sock"
    with asyncio.Runner() as runner:
        server = AdminServer(Desk(), path, "root", bounds=BOUNDS)
        runner.run(server.open())
        yield runner, path
        runner.run(server.close())
    shutil.rmtree(folder)


async def _send(path: Path, raw: bytes) -> None:
    # Being cut off is an answer, too.
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        await exchange(path, raw, seconds=5)
    assert (await ask(path, "GET", "/v1/version")).status == 200


SLOW = settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@SLOW
@given(raw=st.binary(max_size=300))
def test_raw_bytes_never_end_the_server(served: tuple[asyncio.Runner, Path], raw: bytes) -> None:
    runner, path = served
    runner.run(_send(path, raw))


@SLOW
@given(method=METHODS, target=PATHS, headers=HEADERS, body=BODIES, whole=st.booleans())
def test_odd_requests_never_end_the_server(
    served: tuple[asyncio.Runner, Path],
    method: str,
    target: str,
    headers: list[str],
    body: bytes,
    whole: bool,
) -> None:
    runner, path = served
    lines = [f"{method} {target} HTTP/1.1", *headers]
    if whole:
        lines.append(f"Content-Length: {len(body)}")
    raw = "\r\n".join(lines).encode("utf-8", "replace") + b"\r\n\r\n" + body
    runner.run(_send(path, raw))


@SLOW
@given(body=VALUES)
def test_a_json_body_is_answered_in_json(served: tuple[asyncio.Runner, Path], body: object) -> None:
    runner, path = served
    answer = runner.run(ask(path, "POST", "/v1/overrides", json.dumps(body).encode()))
    assert answer.status in (200, 400, 404)
    assert isinstance(answer.json, dict)
