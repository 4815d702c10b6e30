"""Canaries that say something before they fall silent, on real sockets of the loopback."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from lvsguard.core.config import CanaryKind, CanarySpec, Check, CheckKind, HttpSpec, TlsSpec
from lvsguard.core.health import Timing, Verdict
from lvsguard.probes.canary import SPREAD_TLS
from lvsguard.probes.canary_line import FLOOD
from lvsguard.probes.habit import BACKOFF_S, RENEW_AT
from tests.unit.probes.test_canary import Scene, Server, assert_burst, files
from tests.unit.probes.test_prober import HANGS, OK, REFUSED, Later

NAME = "www.example.org"
KEPT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
CLOSES = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
HTTP = CanarySpec(kind=CanaryKind.HTTP)


class Talker(Server):
    """A server that answers; over TLS if it has a context."""

    def __init__(self, answer: bytes = KEPT, context: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self.answer = answer
        self.context = context
        self.requests: list[bytes] = []
        self.shaken = 0
        self.held = False
        """Whether it is busy with something else."""
        self._sides: dict[socket.socket, Side] = {}

    def defer(self) -> None:
        """Take no connection before there is data, as Apache does."""
        self.listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 30)

    def pump(self) -> None:
        """Go on with every connection."""
        for sock in self.accept() if not self.held else ():
            with suppress(OSError):
                if self.context is not None:
                    side = self._sides.setdefault(sock, Side(self.context))
                    said, answer = side.go_on(sock.recv(65536), self.answer)
                    self.shaken += said == b"shaken"
                    sock.send(answer)
                else:
                    said = sock.recv(65536)
                    sock.send(self.answer if said.startswith(b"HEAD ") else b"")
                if said.startswith(b"HEAD "):
                    self.requests.append(said)


class Side:
    """The server's side of TLS on one connection."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._came, self._goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._came, self._goes, server_side=True)
        self._shaken = False

    def go_on(self, data: bytes, answer: bytes) -> tuple[bytes, bytes]:
        """What was said, and what to send."""
        self._came.write(data)
        said = b""
        with suppress(ssl.SSLError):
            if not self._shaken:
                self._tls.do_handshake()
                self._shaken, said = True, b"shaken"
            said = self._tls.read(65536)
            self._tls.write(answer)
        return said, self._goes.read()


class Play(Scene):
    """A scene whose server talks."""

    def __init__(self, server: Talker) -> None:
        super().__init__()
        self.server.die()
        self.talker = self.server = server
        self.spec: CanarySpec = HTTP
        self.tls: TlsSpec | None = None

    def check(self, timing: Timing = Timing(interval=10.0)) -> Check:
        check = super().check(timing)
        kind = CheckKind.HTTP if self.tls is None else CheckKind.HTTPS
        http = HttpSpec(path="/health", host=NAME)
        spec = replace(check.spec, kind=kind, canary=self.spec, tls=self.tls, http=http)
        self.prober.kinds = {kind: self.asked.ready}
        return replace(check, spec=spec)

    def pass_time(self, seconds: float, step: float = 0.005) -> None:
        end = self.clock.now + seconds
        while self.clock.now < end - 1e-9:
            super().pass_time(min(step, end - self.clock.now), step)
            self.server_pump()

    def server_pump(self) -> None:
        if self.talker.listener.fileno() >= 0:
            self.talker.pump()

    @property
    def standing(self) -> int:
        """Connections whose greeting is over."""
        return sum(canary.singing for canary in self.prober.canaries)


@pytest.fixture
def play() -> Iterator[Play]:
    scene = Play(Talker())
    yield scene
    scene.close()


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def secure(authority: trustme.CA, folder: Path, name: str = NAME) -> Play:
    """A scene with TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    scene = Play(Talker(context=context))
    file = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    scene.tls, scene.spec = TlsSpec(ca_file=str(file)), CanarySpec()
    return scene


@pytest.fixture
def safe(authority: trustme.CA, tmp_path: Path) -> Iterator[Play]:
    scene = secure(authority, tmp_path)
    yield scene
    scene.close()


def test_an_http_canary_makes_one_request_and_then_says_nothing(play: Play) -> None:
    play.add()
    play.pass_time(30.0, step=0.05)
    assert play.server.still_open() == play.server.accepted == play.standing == 1
    (request,) = play.talker.requests
    assert request.startswith(b"HEAD /health HTTP/1.1\r\nHost: www.example.org\r\n")


def test_a_tls_canary_ends_its_handshake_and_then_says_nothing(safe: Play) -> None:
    safe.add()
    safe.pass_time(30.0, step=0.05)
    assert safe.server.still_open() == safe.server.accepted == safe.standing == 1
    assert (safe.talker.shaken, safe.talker.requests) == (1, [])


def test_an_http_canary_of_an_https_check_asks_over_tls(safe: Play) -> None:
    safe.spec = HTTP
    safe.add()
    safe.pass_time(5.0, step=0.05)
    assert safe.server.still_open() == safe.server.accepted == safe.standing == 1
    assert len(safe.talker.requests) == 1


@pytest.mark.parametrize("spec", [CanarySpec(), HTTP], ids=["tls", "http"])
def test_its_end_makes_probes_at_once_and_is_no_verdict(safe: Play, spec: CanarySpec) -> None:
    safe.spec = spec
    check = safe.add()
    safe.pass_time(1.0)
    for _ in range(3):
        count, at = len(safe.starts(check)), safe.clock.now
        safe.server.hang_up()
        safe.pass_time(0.09, step=0.001)
        burst = [start - at for start in safe.starts(check)[count:]]
        assert_burst(burst)
        safe.pass_time(8.0, step=0.01)
        assert safe.standing == 1
    assert [health.verdict for _, _, health in safe.reports] == [Verdict.UP]


def test_a_deferred_listener_never_takes_a_tcp_canary_but_an_http_one(play: Play) -> None:
    play.talker.defer()
    play.spec = CanarySpec(kind=CanaryKind.TCP)
    play.add(1)
    play.pass_time(1.0)
    assert (play.server.accepted, play.standing) == (0, 1)
    play.prober.remove(1)
    play.spec = HTTP
    play.add(2)
    play.pass_time(1.0)
    assert (play.server.accepted, play.standing) == (1, 1)


def test_a_death_that_a_tcp_canary_missed_makes_it_an_http_one(play: Play) -> None:
    play.spec = CanarySpec()
    play.talker.defer()
    play.add(timing=Timing(interval=1.0))
    play.pass_time(1.0)
    assert (play.server.accepted, play.standing) == (0, 1)
    play.asked.answer = lambda _: REFUSED
    play.pass_time(1.0)
    assert (play.reports[-1][2].verdict, play.reports[-1][2].hint) == (Verdict.DOWN, None)
    play.asked.answer = lambda _: OK
    play.pass_time(2.0)
    assert (play.server.accepted, play.standing, len(play.talker.requests)) == (1, 1, 1)


def test_a_death_that_it_noticed_leaves_it_as_it_is(play: Play) -> None:
    play.spec = CanarySpec()
    play.add(timing=Timing(interval=1.0))
    for _ in range(5):
        play.pass_time(1.0)
        assert play.standing == 1
        play.server.hang_up()
        play.asked.answer = lambda _: REFUSED
        play.pass_time(1.0)
        assert play.reports[-1][2].verdict is Verdict.DOWN
        play.asked.answer = lambda _: OK
        play.pass_time(2.0)
    assert play.talker.requests == []


def test_a_reset_of_one_that_heard_nothing_was_a_death_missed(play: Play) -> None:
    """So the kernel answers the first keepalive after the death."""
    play.spec = CanarySpec()
    play.add(timing=Timing(interval=1.0))
    play.pass_time(1.0)
    play.server.hang_up(reset=True)
    play.asked.answer = lambda _: REFUSED
    play.pass_time(1.0)
    play.asked.answer = lambda _: OK
    play.pass_time(2.0)
    assert (play.standing, len(play.talker.requests)) == (1, 1)


@pytest.mark.parametrize("missed", [True, False])
def test_one_that_a_server_has_greeted_was_taken(play: Play, missed: bool) -> None:
    play.spec = CanarySpec()
    play.add(timing=Timing(interval=1.0))
    play.pass_time(1.0)
    play.server.accept()[0].send(b"220 welcome\r\n")
    play.pass_time(0.1)
    if not missed:
        play.server.hang_up(reset=True)
    play.asked.answer = lambda _: REFUSED
    play.pass_time(1.0)
    play.asked.answer = lambda _: OK
    play.pass_time(2.0)
    assert (play.standing, play.talker.requests) == (1, [])


def test_one_that_was_in_the_way_learns_no_more(play: Play) -> None:
    play.spec = CanarySpec()
    play.talker.defer()
    play.add(timing=Timing(interval=2.0, timeout=1.0))
    play.pass_time(1.0)
    play.asked.answer = lambda _: REFUSED
    play.pass_time(3.0)
    play.asked.answer = lambda _: Later(OK, 0.001) if play.server.still_open() == 0 else HANGS
    play.pass_time(9.0)
    assert len(play.talker.requests) == 1
    assert (play.standing, play.server.still_open(), play.note()) == (1, 0, "")
    assert [health.verdict for _, _, health in play.reports[2:]] == [Verdict.UP]
    play.asked.answer = lambda _: OK
    for _ in range(2):
        play.pass_time(3.0)
        die_and_return(play)
    assert (play.standing, len(play.talker.requests)) == (1, 1)


def die_and_return(play: Play) -> None:
    """Refuse for a while, without a canary's noticing it."""
    play.asked.answer = lambda _: REFUSED
    play.pass_time(3.0)
    play.asked.answer = lambda _: OK
    play.pass_time(3.0)
    last = [health.verdict for _, _, health in play.reports[-2:]]
    assert last == [Verdict.DOWN, Verdict.UP]


def test_a_probe_that_waits_since_before_the_greeting_was_over_counts(play: Play) -> None:
    play.talker.held = True
    check = play.check(Timing(interval=2.0, timeout=1.0))
    play.prober.add(1, check)
    play.pass_time(0.05)
    play.asked.answer = lambda _: HANGS
    play.prober.probe_now([1], [0.0])
    play.pass_time(0.05)
    assert (play.asked.under_way, play.standing) == (1, 0)
    play.talker.held = False
    play.pass_time(0.02)
    assert play.standing == 1
    play.pass_time(0.6)
    assert (play.asked.under_way, play.standing) == (1, 0)
    assert "one at a time" in play.note()


def test_a_failure_that_is_no_refusal_teaches_nothing(play: Play) -> None:
    play.spec = CanarySpec()
    play.add(timing=Timing(interval=1.0, timeout=0.5))
    play.pass_time(1.0)
    play.asked.answer = lambda _: HANGS
    play.pass_time(5.0)
    assert play.reports[-1][2].verdict is Verdict.DOWN
    play.asked.answer = lambda _: OK
    play.pass_time(5.0)
    assert (play.standing, play.talker.requests) == (1, [])


def test_one_that_was_told_to_be_tcp_stays_so(play: Play) -> None:
    play.spec = CanarySpec(kind=CanaryKind.TCP)
    play.talker.defer()
    play.add(timing=Timing(interval=1.0))
    play.pass_time(1.0)
    play.asked.answer = lambda _: REFUSED
    play.pass_time(1.0)
    play.asked.answer = lambda _: OK
    play.pass_time(2.0)
    assert (play.standing, play.talker.requests) == (1, [])


def test_a_server_that_keeps_nothing_alive_is_left_alone_and_that_is_said(play: Play) -> None:
    play.talker.answer = CLOSES
    check = play.add()
    play.pass_time(100.0, step=0.05)
    assert len(play.talker.requests) == 1
    assert "ends a connection after its answer" in play.note()
    assert 'canary = { kind = "tcp" }' in play.note()
    assert len(play.starts(check)) <= 100 / 10 + 2


def test_one_that_chose_to_ask_does_without_where_that_does_harm(safe: Play) -> None:
    """A server with one process for all, over TLS: the canary becomes one that says nothing."""
    safe.talker.defer()
    safe.asked.answer = lambda _: Later(OK, 0.001) if safe.server.still_open() == 0 else HANGS
    safe.prober.add(1, safe.check(Timing(interval=2.0, timeout=1.0)))
    safe.pass_time(0.5)
    assert safe.server.still_open() == 1
    while not safe.asked.under_way:
        safe.pass_time(0.01)
    safe.pass_time(0.55)
    assert safe.server.still_open() == 0
    safe.pass_time(20.0, step=0.01)
    assert (safe.server.accepted, safe.standing, safe.note()) == (1, 1, "")
    assert [health.verdict for _, _, health in safe.reports] == [Verdict.UP]


@pytest.mark.slow
def test_an_idle_limit_that_the_server_tells_is_kept_at_once(play: Play) -> None:
    play.talker.answer = KEPT[:-2] + b"Keep-Alive: timeout=5, max=100\r\n\r\n"
    check = play.add()
    since = play.clock.now
    play.pass_time(200.0, step=0.02)
    renewals = (play.clock.now - since) / (5.0 * RENEW_AT)
    assert len(play.talker.requests) == pytest.approx(renewals, abs=3)
    assert play.prober.hints.given == 0
    assert len(play.starts(check)) <= 200 / 10 + 2


def test_a_server_that_does_not_answer_it_is_left_alone_in_the_end(play: Play) -> None:
    play.talker.answer = b""
    check = play.add()
    play.pass_time(250.0, step=0.05)
    assert len(play.talker.requests) == len(BACKOFF_S)
    assert "no answer to HEAD within 1 s" in play.note()
    assert len(play.starts(check)) <= 250 / 10 + 2 + 3 * len(BACKOFF_S)


@pytest.mark.slow
def test_another_name_in_the_certificate_is_told(authority: trustme.CA, tmp_path: Path) -> None:
    scene = secure(authority, tmp_path, "other.example.org")
    scene.spec = CanarySpec(kind=CanaryKind.TLS)
    scene.add()
    scene.pass_time(250.0, step=0.05)
    assert f"the certificate is not valid for {NAME}" in scene.note()
    assert scene.server.accepted == len(BACKOFF_S)
    assert [health.verdict for _, _, health in scene.reports] == [Verdict.UP]
    scene.close()


def test_a_server_that_dies_within_the_greeting_is_a_hint(play: Play) -> None:
    play.talker.answer = b""
    play.add()
    assert (play.server.still_open(), play.standing) == (1, 0)
    before = play.prober.hints.given
    play.server.hang_up()
    play.pass_time(0.01, step=0.001)
    assert play.prober.hints.given == before + 1


def test_a_flood_for_an_answer_ends_it(play: Play) -> None:
    play.talker.answer = b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20000
    play.add()
    play.pass_time(0.1)
    assert (play.standing, play.server.still_open()) == (0, 0)
    play.talker.answer = KEPT + bytes(FLOOD + 100000)
    play.pass_time(2.0)
    assert (play.standing, play.server.still_open()) == (0, 0)
    assert "without being asked" in play.note()


def test_the_checks_of_one_port_share_one_of_each_kind(safe: Play) -> None:
    check = safe.check()
    for number, kind in enumerate((None, None, CanaryKind.HTTP, CanaryKind.HTTP)):
        timing = Timing(interval=10.0 + number)
        spec = replace(check.spec, timing=timing, canary=CanarySpec(kind=kind))
        safe.prober.add(number, replace(check, spec=spec))
    safe.pass_time(2.0)
    assert (safe.server.accepted, safe.standing) == (2, 2)
    assert len(safe.talker.requests) == 1


def test_many_handshakes_are_spread(safe: Play) -> None:
    check = safe.check()
    for number in range(100):
        safe.prober.add(number, replace(check, address=check.address + number))
    safe.server.listener.close()
    safe.server.listener = socket.create_server(("0.0.0.0", safe.server.port), backlog=1000)
    safe.server.listener.setblocking(False)
    opened = []
    for _ in range(150):
        safe.pass_time(0.01, step=0.01)
        opened.append(safe.server.accepted)
    assert opened[-1] == safe.standing == 100
    assert max(b - a for a, b in zip(opened, opened[10:], strict=False)) < SPREAD_TLS * 0.1 * 2.5


def test_no_file_is_left_behind(safe: Play) -> None:
    before = files()
    for _ in range(5):
        safe.add()
        safe.server.hang_up()
        safe.pass_time(0.3)
        safe.prober.remove(1)
        safe.server.hang_up()
    assert files() == before
    assert safe.prober.limit == 1000
