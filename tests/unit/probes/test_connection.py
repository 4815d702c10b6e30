"""A connection's timeouts and sockets, under a clock that the test sets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lvsguard.core.health import FailureClass, Result
from lvsguard.probes.connection import Connection, Target
from lvsguard.probes.engine import Engine
from lvsguard.probes.http import HttpCheck
from tests.unit.probes.realserver import http_check
from tests.unit.probes.test_engine import Clock


class Scene:
    """A probe with a timeout of 1 s of a server that accepts and says nothing."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.engine = Engine(self.clock)
        self.results: list[Result] = []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.check = http_check(self.server.getsockname()[1], timeout=1.0)
        self.connection = self.probe()

    def probe(self) -> Connection:
        talk = HttpCheck(self.check).open()
        connection = Connection(self.engine, Target.of(self.check), talk, self.results.append)
        connection.start()
        return connection

    def pass_time(self, seconds: float, step: float) -> None:
        for _ in range(round(seconds / step)):
            self.clock.now += step
            self.engine.select(0)

    def expire(self) -> Result:
        self.connection.expire(self.clock.now - self.connection.deadline)
        return self.results[-1]


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.connection.cancel()
    scene.server.close()
    scene.engine.close()


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_silence_while_the_prober_ran_is_the_peers_fault(scene: Scene) -> None:
    scene.pass_time(1.0, step=0.01)
    result = scene.expire()
    assert (result.code, result.failure) == ("L7TOUT", FailureClass.TIMEOUT)


def test_silence_while_the_prober_was_late_is_not(scene: Scene) -> None:
    scene.pass_time(10.0, step=10.0)
    result = scene.expire()
    assert (result.code, result.failure) == ("SOCKERR", FailureClass.LOCAL)
    assert result.reason == "this director's prober did not get to run for 10 s, not counted"


def test_silence_while_the_prober_stood_still_for_a_part_of_the_time_is_not(scene: Scene) -> None:
    scene.pass_time(0.8, step=0.8)
    scene.pass_time(0.2, step=0.01)
    assert scene.expire().failure is FailureClass.LOCAL


def test_a_stall_of_long_ago_is_no_excuse(scene: Scene) -> None:
    scene.pass_time(60.0, step=60.0)
    scene.expire()
    scene.connection = scene.probe()
    scene.pass_time(1.0, step=0.01)
    assert scene.expire().failure is FailureClass.TIMEOUT


def test_a_cancelled_probe_says_nothing_and_leaves_nothing(scene: Scene) -> None:
    before = open_files()
    another = scene.probe()
    scene.engine.select(0)
    another.cancel()
    another.cancel()
    scene.pass_time(0.1, step=0.01)
    assert scene.results == []
    assert open_files() == before


def test_a_finished_probe_leaves_no_socket_and_no_time_wait(scene: Scene) -> None:
    scene.pass_time(0.05, step=0.01)
    peer, address = scene.server.accept()
    with peer:
        assert peer.recv(4096).startswith(b"GET / HTTP/1.1\r\n")
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        scene.pass_time(0.05, step=0.01)
        assert scene.results[-1].ok
        # The server has not closed: closing first must not leave the TIME_WAIT to the director.
        with pytest.raises(ConnectionResetError):
            peer.recv(1)
    own = f"0100007F:{address[1]:04X}", f"0100007F:{scene.server.getsockname()[1]:04X}"
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    assert [row for row in rows if (row[1], row[2]) == own] == []
