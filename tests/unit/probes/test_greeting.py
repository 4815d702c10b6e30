"""What a canary says first, and what it makes of the answer. Without a connection."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lvsguard.core.config import CanaryKind, CanarySpec, CheckKind, HttpSpec, TlsSpec
from lvsguard.core.health import FailureClass
from lvsguard.probes.greeting import CLOSES, KEPT, Greeting, HeadTalk, Manner
from lvsguard.probes.http import HEAD_MAX
from lvsguard.probes.outcome import Outcome
from tests.unit.probes.realserver import http_check


def heard(answer: bytes) -> tuple[Outcome | None, float | None]:
    talk = HeadTalk(b"HEAD / HTTP/1.1\r\n\r\n")
    found = None
    for start in range(0, len(answer), 7):
        found = talk.feed(answer[start : start + 7])
        if found is not None:
            break
    return found, talk.idle


@pytest.mark.parametrize(
    ("answer", "found", "idle"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", KEPT, None),
        (b"HTTP/1.1 503 Unwell\r\n\r\n", KEPT, None),
        (b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=100\r\n\r\n", KEPT, 5.0),
        (b"HTTP/1.1 200 OK\r\nKeep-Alive: max=100,Timeout=75\r\n\r\n", KEPT, 75.0),
        (b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=-5\r\n\r\n", KEPT, None),
        (b"HTTP/1.1 103 Early\r\nKeep-Alive: timeout=3\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", KEPT, None),
        (b"HTTP/1.1 200 OK\r\nConnection: Upgrade, Close\r\n\r\n", CLOSES, None),
        (b"HTTP/1.1 200 OK\r\nConnection: x\r\nConnection: close\r\n\r\n", CLOSES, None),
        (b"HTTP/1.0 200 OK\r\n\r\n", CLOSES, None),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", KEPT, None),
        (b"HTTP/1.1 200 OK\r\n", None, None),
    ],
)
def test_it_knows_whether_the_connection_stays_and_how_long(
    answer: bytes, found: Outcome | None, idle: float | None
) -> None:
    assert heard(answer) == (found, idle)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"220 mail.example.org ESMTP\r\n", "not HTTP: "),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "the server swi"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * HEAD_MAX, f"more than {HEAD_MAX} bytes"),
    ],
    ids=["smtp", "switch", "flood"],
)
def test_an_answer_that_is_none_is_told(answer: bytes, reason: str) -> None:
    found, _ = heard(answer)
    assert found is not None
    assert (found.failure, found.reason[: len(reason)]) == (FailureClass.WRONG, reason)


def test_the_request_is_the_checks_as_a_head_that_keeps_the_connection() -> None:
    spec = HttpSpec(
        "POST",
        "/health?full=1",
        "www.example.org",
        (("X-Token", "1"), ("connection", "close"), ("Content-Type", "text/plain")),
        "body",
    )
    head = Manner.of(http_check(80, spec), CanarySpec()).head.decode()
    assert head.startswith("HEAD /health?full=1 HTTP/1.1\r\nHost: www.example.org\r\n")
    assert "X-Token: 1\r\n" in head
    assert head.lower().count("connection:") == 1
    assert "Connection: keep-alive\r\n" in head
    assert "content-" not in head.lower()
    assert head.endswith("\r\n\r\n")


def test_a_port_of_its_own_is_named_in_the_request() -> None:
    head = Manner.of(http_check(80), CanarySpec(8080, CanaryKind.HTTP)).head
    assert b"Host: 127.0.0.1:8080\r\n" in head


@pytest.mark.parametrize(
    ("kind", "canary", "expected"),
    [
        (CheckKind.TCP, CanarySpec(), (CanaryKind.TCP, False)),
        (CheckKind.HTTP, CanarySpec(), (CanaryKind.TCP, False)),
        (CheckKind.HTTPS, CanarySpec(), (CanaryKind.TLS, False)),
        (CheckKind.HTTPS, CanarySpec(8080), (CanaryKind.TCP, True)),
        (CheckKind.HTTPS, CanarySpec(None, CanaryKind.TCP), (CanaryKind.TCP, True)),
        (CheckKind.HTTPS, CanarySpec(8443, CanaryKind.HTTP), (CanaryKind.HTTP, True)),
        (CheckKind.HTTP, CanarySpec(None, CanaryKind.HTTP), (CanaryKind.HTTP, True)),
    ],
)
def test_left_to_itself_it_asks_as_little_as_it_can(
    kind: CheckKind, canary: CanarySpec, expected: tuple[CanaryKind, bool]
) -> None:
    check = http_check(80)
    manner = Manner.of(replace(check, spec=replace(check.spec, kind=kind)), canary)
    assert (manner.kind, manner.chosen) == expected


def test_a_tcp_check_has_nothing_to_say() -> None:
    check = http_check(80)
    manner = Manner.of(replace(check, spec=replace(check.spec, kind=CheckKind.TCP)), CanarySpec())
    assert manner.head == b""
    assert manner.greet(CanaryKind.TCP) is None
    assert manner.greet(CanaryKind.HTTP) is None, "another check of the port has"


def test_certificate_settings_that_cannot_be_used_are_the_directors_own_trouble() -> None:
    check = http_check(443)
    spec = replace(check.spec, kind=CheckKind.HTTPS, tls=TlsSpec(ca_file="/nowhere/ca.pem"))
    found = Manner.of(replace(check, spec=spec), CanarySpec()).greet(CanaryKind.TLS)
    assert isinstance(found, Outcome)
    assert found.failure is FailureClass.LOCAL


def test_a_tls_canary_verifies_the_name_that_the_check_verifies() -> None:
    check = http_check(443, HttpSpec(host="www.example.org"))
    spec = replace(check.spec, kind=CheckKind.HTTPS, tls=TlsSpec(verify=False))
    manner = Manner.of(replace(check, spec=spec), CanarySpec())
    assert manner.name == "www.example.org"
    assert isinstance(manner.greet(CanaryKind.TLS), Greeting)
