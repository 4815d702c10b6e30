"""Canaries on real sockets of the loopback, under a clock that the test sets."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from lvsguard.core.config import CanarySpec, Check, CheckKind, CheckSpec
from lvsguard.core.health import FailureClass, Result, Timing, Verdict
from lvsguard.probes.canary_line import FLOOD
from lvsguard.probes.habit import BACKOFF_S, RENEW_AT, RETRY_S, UNTAKEN_S
from tests.unit.probes.realserver import LOCALHOST
from tests.unit.probes.test_prober import HANGS, OK, REFUSED, WRONG, Bench, Later

SLOW = Result(False, "L7TOUT", "connected, but no answer", 1.0, FailureClass.TIMEOUT)


class Server:
    """A server whose connections the test opens and closes."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1000)
        self.listener.setblocking(False)
        self.port: int = self.listener.getsockname()[1]
        self.accepted = 0
        self.open: list[socket.socket] = []

    def accept(self) -> list[socket.socket]:
        """Take what has come."""
        with suppress(BlockingIOError):
            while self.listener.fileno() >= 0:
                sock, _ = self.listener.accept()
                sock.setblocking(False)
                self.accepted += 1
                self.open.append(sock)
        return self.open

    def hang_up(self, *, reset: bool = False) -> None:
        """Close all."""
        for sock in self.accept():
            if reset:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
        self.open.clear()

    def still_open(self) -> int:
        """How many the other end has not closed."""
        count = 0
        for sock in self.accept():
            try:
                count += sock.recv(1) != b""
            except BlockingIOError:
                count += 1
            except ConnectionResetError:
                pass
        return count

    def die(self) -> None:
        """As the kernel does when a process is killed."""
        self.hang_up()
        self.listener.close()


class Scene(Bench):
    """A prober with one check of a server; the check's probes are answered by the test."""

    def __init__(self, limit: int = 1000) -> None:
        super().__init__(limit)
        self.server = Server()

    def add(self, number: int = 1, timing: Timing = Timing(interval=10.0)) -> Check:
        check = self.check(timing)
        self.prober.add(number, check)
        self.pass_time(0.2)
        return check

    def check(self, timing: Timing = Timing(interval=10.0)) -> Check:
        spec = CheckSpec(CheckKind.HTTP, timing, canary=CanarySpec())
        return Check(LOCALHOST, self.server.port, spec)

    def note(self, number: int = 1) -> str:
        return self.prober.health(number).note

    def close(self) -> None:
        self.prober.close()
        self.engine.close()
        self.server.die()


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.close()


def test_an_up_realserver_has_one_connection_that_says_nothing(scene: Scene) -> None:
    scene.add()
    scene.pass_time(UNTAKEN_S - 1.0, step=0.05)
    assert scene.server.still_open() == scene.server.accepted == 1


def test_it_is_renewed_before_a_listener_that_waits_for_data_would_take_it(scene: Scene) -> None:
    check = scene.add()
    scene.pass_time(4 * UNTAKEN_S + 1.0, step=0.05)
    assert scene.server.still_open() == 1
    assert scene.server.accepted == 5
    assert scene.prober.hints.given == 0
    assert len(scene.starts(check)) <= 4 * UNTAKEN_S / 10 + 2


def test_checks_of_one_port_share_one_connection(scene: Scene) -> None:
    check = scene.check()
    scene.prober.add(1, check)
    scene.prober.add(2, replace(check, spec=replace(check.spec, timing=Timing(interval=9.0))))
    scene.pass_time(2.0)
    assert scene.server.still_open() == scene.server.accepted == 1
    scene.prober.remove(1)
    assert scene.server.still_open() == 1
    scene.prober.remove(2)
    assert scene.server.still_open() == 0


def test_a_check_without_a_canary_has_none(scene: Scene) -> None:
    check = scene.check()
    scene.prober.add(1, replace(check, spec=replace(check.spec, canary=None)))
    scene.pass_time(2.0)
    assert scene.server.accept() == []


def test_another_port_may_be_its_place(scene: Scene) -> None:
    other = Server()
    check = scene.check()
    spec = replace(check.spec, canary=CanarySpec(other.port))
    scene.prober.add(1, replace(check, spec=spec))
    scene.pass_time(2.0)
    assert (scene.server.accept(), len(other.accept())) == ([], 1)
    other.die()


@pytest.mark.parametrize("reset", [False, True])
def test_its_end_makes_probes_at_0_10_and_50_ms(scene: Scene, reset: bool) -> None:
    check = scene.add()
    count, at = len(scene.starts(check)), scene.clock.now
    scene.server.hang_up(reset=reset)
    scene.pass_time(0.09, step=0.001)
    burst = [start - at for start in scene.starts(check)[count:]]
    assert_burst(burst)


def assert_burst(burst: list[float]) -> None:
    """Probes at 0, 10 and 50 ms; the check's usual one may be among them."""
    for due in (0.001, 0.011, 0.051):
        assert any(abs(at - due) < 0.0021 for at in burst), burst
    assert len(burst) in (3, 4)


def test_its_end_is_no_verdict(scene: Scene) -> None:
    scene.add()
    for _ in range(20):
        scene.server.hang_up()
        scene.pass_time(5.0)
    assert [health.verdict for _, _, health in scene.reports] == [Verdict.UP]


def test_the_verdict_tells_what_gave_the_hint_and_when(scene: Scene) -> None:
    scene.add()
    scene.server.die()
    at = scene.clock.now
    scene.pass_time(0.005, step=0.001)
    scene.asked.answer = lambda _: REFUSED
    scene.pass_time(0.02, step=0.001)
    _, _, health = scene.reports[-1]
    assert health.verdict is Verdict.DOWN
    assert health.hint is not None
    assert (health.hint.detector, health.hint.what[:12]) == ("canary", "closed after")
    assert 0.0 < health.hint.at - at < 0.002
    assert 0.005 < health.since - health.hint.at < 0.015


def test_a_hint_that_meant_nothing_is_no_evidence_later(scene: Scene) -> None:
    scene.add()
    scene.server.hang_up()
    scene.pass_time(1.0)
    scene.asked.answer = lambda _: REFUSED
    scene.pass_time(10.0)
    _, _, health = scene.reports[-1]
    assert (health.verdict, health.hint) == (Verdict.DOWN, None)


def test_a_down_realserver_has_none_until_it_is_up_again(scene: Scene) -> None:
    check = scene.add(timing=Timing(interval=1.0))
    scene.asked.answer = lambda _: WRONG
    scene.pass_time(3.0)
    assert scene.server.still_open() == 0
    count = scene.server.accepted
    scene.pass_time(20.0, step=0.05)
    scene.server.accept()
    assert scene.server.accepted == count
    scene.asked.answer = lambda _: OK
    scene.pass_time(3.0)
    assert scene.server.still_open() == 1
    assert len(scene.starts(check)) > 20


def test_a_server_that_dies_again_and_again_has_one_whenever_it_is_up(scene: Scene) -> None:
    scene.add(timing=Timing(interval=1.0))
    for _ in range(20):
        scene.asked.answer = lambda _: REFUSED
        scene.server.hang_up()
        scene.pass_time(0.2)
        assert scene.reports[-1][2].verdict is Verdict.DOWN
        assert scene.reports[-1][2].hint is not None
        scene.asked.answer = lambda _: OK
        scene.pass_time(1.5)
        assert scene.server.still_open() == 1


def test_it_comes_back_after_the_burst(scene: Scene) -> None:
    scene.add()
    scene.pass_time(1.0)
    scene.server.hang_up()
    scene.pass_time(0.09, step=0.001)
    assert scene.server.accept() == []
    scene.pass_time(0.15, step=0.001)
    assert scene.server.still_open() == 1


def test_a_refused_reopening_is_a_hint_and_no_verdict(scene: Scene) -> None:
    check = scene.add()
    scene.pass_time(1.0)
    scene.server.die()
    scene.pass_time(0.09, step=0.001)
    count = len(scene.starts(check))
    scene.pass_time(0.3, step=0.001)
    assert len(scene.starts(check)) - count in (3, 4)  # its usual one may be among them
    assert [health.verdict for _, _, health in scene.reports] == [Verdict.UP]


def test_it_is_renewed_before_the_servers_idle_limit(scene: Scene) -> None:
    check = scene.add()
    for _ in range(2):
        scene.pass_time(20.0 - 0.2, step=0.05)
        scene.server.hang_up()
        scene.pass_time(0.3, step=0.01)
    count = scene.server.accepted
    scene.server.accept()
    probes = len(scene.starts(check))
    scene.pass_time(19.0, step=0.05)
    assert scene.server.still_open() == 1
    assert scene.server.accepted == count + 2
    assert len(scene.starts(check)) - probes <= 3  # its usual times, each 10 s
    assert 20.0 * RENEW_AT < 19.0


def test_a_server_that_closes_at_once_is_left_alone_and_that_is_said(scene: Scene) -> None:
    check = scene.add()
    for _ in range(5000):
        scene.server.hang_up()
        scene.pass_time(0.05, step=0.05)
    assert scene.server.accepted == len(BACKOFF_S)
    assert "8 connections in a row: closed after 0.0 s" in scene.note()
    assert "canary = false" in scene.note()
    usual = 250 / 10 + 2
    assert len(scene.starts(check)) <= usual + 3 * len(BACKOFF_S)
    assert [health.verdict for _, _, health in scene.reports] == [Verdict.UP]
    assert scene.note() in {health.note for _, health in scene.prober.reasons()}


def test_after_giving_up_it_tries_again_later(scene: Scene) -> None:
    scene.add()
    for _ in range(5000):
        scene.server.hang_up()
        scene.pass_time(0.05, step=0.05)
    scene.pass_time(2.2 * RETRY_S, step=0.5)
    assert scene.server.still_open() == 1
    assert scene.note() == ""


def test_a_server_that_serves_one_at_a_time_gets_rid_of_it_before_a_probe_fails(
    scene: Scene,
) -> None:
    scene.asked.answer = lambda _: Later(OK, 0.001) if scene.server.still_open() == 0 else HANGS
    check = scene.check(Timing(interval=2.0, timeout=1.0))
    scene.prober.add(1, check)
    scene.pass_time(0.5)
    assert scene.server.still_open() == 1
    while not scene.asked.under_way:
        scene.pass_time(0.01)
    scene.pass_time(0.55)
    assert scene.server.still_open() == 0
    assert "one at a time" in scene.note()
    scene.asked.answer = lambda _: OK
    scene.pass_time(20.0)
    assert scene.server.still_open() == 0
    assert scene.server.accepted == 1


def test_a_probe_without_an_answer_makes_it_leave_room(scene: Scene) -> None:
    scene.add(timing=Timing(interval=1.0, fall=3))
    scene.pass_time(3.0)
    assert scene.server.still_open() == 1
    scene.asked.answer = lambda _: SLOW
    while scene.server.still_open():
        scene.pass_time(0.01)
    scene.asked.answer = lambda _: OK
    scene.pass_time(3.0)
    assert scene.server.still_open() == 1
    assert [health.verdict for _, _, health in scene.reports] == [Verdict.UP]


def test_a_banner_does_no_harm(scene: Scene) -> None:
    scene.add()
    scene.server.accept()[0].send(b"220 mail.example.org ESMTP\r\n")
    scene.pass_time(1.0)
    assert scene.server.still_open() == 1
    scene.server.hang_up()
    scene.pass_time(0.01)
    assert scene.prober.hints.given == 1


def test_a_flood_ends_it_and_its_memory_stays_small(scene: Scene) -> None:
    scene.add()
    (sock,) = scene.server.accept()
    sent = 0
    for _ in range(1000):
        with suppress(BlockingIOError, ConnectionResetError, BrokenPipeError):
            sent += sock.send(bytes(4096))
        scene.now()
    assert sent > FLOOD
    assert scene.server.still_open() == 0
    assert "without being asked" in scene.note()


def test_a_thousand_that_end_at_once_make_a_bounded_number_of_probes() -> None:
    scene = Scene(limit=4000)
    checks = []
    for number in range(1000):
        spec = CheckSpec(CheckKind.HTTP, Timing(interval=60.0), canary=CanarySpec())
        checks.append(Check(LOCALHOST + number, scene.server.port, spec))
    scene.server.listener.close()
    scene.server.listener = socket.create_server(("0.0.0.0", scene.server.port), backlog=1000)
    scene.server.listener.setblocking(False)
    for number, check in enumerate(checks):
        scene.prober.add(number, check)
    for _ in range(250):
        scene.pass_time(0.01)
        scene.server.accept()
    assert len(scene.server.open) == scene.prober.canaries.open == 1000
    count = sum(len(scene.starts(check)) for check in checks)
    scene.server.hang_up()
    scene.pass_time(0.04, step=0.002)
    assert 100 <= sum(len(scene.starts(check)) for check in checks) - count <= 150
    scene.pass_time(0.26, step=0.002)
    assert 150 + 900 <= sum(len(scene.starts(check)) for check in checks) - count <= 150 + 1000
    scene.pass_time(5.0, step=0.01)
    assert sum(len(scene.starts(check)) for check in checks) - count < 1300
    scene.close()


def test_canaries_count_as_files_of_the_prober_and_take_half_at_most() -> None:
    scene = Scene(limit=20)
    for number in range(30):
        check = scene.check(Timing(interval=10.0 + number))
        spec = replace(check.spec, source=None, canary=CanarySpec(scene.server.port))
        scene.prober.add(number, Check(LOCALHOST + number, scene.server.port, spec))
    scene.server.listener.close()
    scene.server.listener = socket.create_server(("0.0.0.0", scene.server.port), backlog=1000)
    scene.server.listener.setblocking(False)
    scene.pass_time(200.0, step=0.1)
    assert scene.prober.canaries.open == 10
    assert scene.prober.limit == 10
    notes = [scene.note(number) for number in range(30)]
    assert sum("LimitNOFILE" in note for note in notes) == 20
    scene.asked.answer = lambda _: WRONG
    scene.pass_time(60.0, step=0.1)
    assert (scene.prober.canaries.open, scene.prober.limit) == (0, 20)
    scene.close()


def test_no_file_is_left_behind(scene: Scene) -> None:
    before = files()
    for _ in range(20):
        scene.add()
        scene.server.hang_up()
        scene.pass_time(0.3)
        scene.prober.remove(1)
        scene.server.hang_up()
    assert files() == before
    assert scene.prober.limit == 1000


def files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
