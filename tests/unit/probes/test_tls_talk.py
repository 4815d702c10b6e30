"""TLS around a conversation, against OpenSSL's own server side, without a connection."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from lvsguard.core.config import CheckKind, HttpSpec, TlsSpec
from lvsguard.core.health import FailureClass
from lvsguard.probes import tls
from lvsguard.probes.http import HttpCheck
from lvsguard.probes.outcome import Outcome
from lvsguard.probes.tls_talk import HANDSHAKE_MAX, TlsTalk
from tests.unit.probes.realserver import http_check

NAME = "www.example.org"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def client(authority: trustme.CA, tmp_path: Path) -> ssl.SSLContext:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    context = tls.context(TlsSpec(ca_file=str(file)))
    assert isinstance(context, ssl.SSLContext)
    return context


def talk_on(context: ssl.SSLContext) -> TlsTalk:
    check = http_check(443, HttpSpec(host=NAME, expect_body="ok"))
    assert check.spec.kind is CheckKind.HTTP
    return TlsTalk(context, NAME, HttpCheck(check, 443).open())


def converse(talk: TlsTalk, authority: trustme.CA, name: str, answer: bytes) -> Outcome | None:
    """Let a server answer; what the conversation found."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    came, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(came, goes, server_side=True)
    came.write(talk.request)
    found, shaken, answered = None, False, False
    for _ in range(10):
        try:
            if not shaken:
                server.do_handshake()
                shaken = True
            if shaken and not answered and server.read(4096):
                server.write(answer)
                answered = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            return found
        data = goes.read()
        for start in range(0, len(data), 100):
            found = talk.feed(data[start : start + 100])
            if found is not None:
                return found
        came.write(talk.replies())
    return found


def test_a_conversation_goes_through_tls(client: ssl.SSLContext, authority: trustme.CA) -> None:
    found = converse(talk_on(client), authority, NAME, ANSWER)
    assert found is not None
    assert found._replace(expires=0.0) == Outcome(True, "L7OK", "200 OK")
    # trustme's last that long unless told otherwise.
    assert found.expires == datetime(3000, 1, 1, tzinfo=UTC).timestamp()


def test_another_name_is_told(client: ssl.SSLContext, authority: trustme.CA) -> None:
    found = converse(talk_on(client), authority, "other.example.org", ANSWER)
    assert found is not None
    assert (found.code, found.failure) == ("L6RSP", FailureClass.WRONG)
    assert found.reason == f"the certificate is not valid for {NAME}"


def test_an_unknown_authority_is_told(client: ssl.SSLContext) -> None:
    found = converse(talk_on(client), trustme.CA(), NAME, ANSWER)
    assert found is not None
    assert "the certificate's CA is unknown" in found.reason


def test_plain_http_is_no_tls(client: ssl.SSLContext) -> None:
    found = talk_on(client).feed(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert found is not None
    assert found.reason == "the realserver does not speak TLS on this port"


def test_an_end_within_the_handshake_is_told(client: ssl.SSLContext) -> None:
    talk = talk_on(client)
    assert talk.closed().reason == "closed during the TLS handshake"
    assert talk.reset(ConnectionResetError(104, "x")).code == "L6RSP"
    assert talk.expired(1.0).code == "L6TOUT"


def test_a_handshake_without_end_is_bounded(client: ssl.SSLContext) -> None:
    talk = talk_on(client)
    record = b"\x16\x03\x03\x40\x00" + b"\x02\xff\xff\xff" + bytes(16380)
    found = None
    for _ in range(HANDSHAKE_MAX // len(record) + 2):
        found = found or talk.feed(record)
    assert found is not None
    assert found.code == "L6RSP"
