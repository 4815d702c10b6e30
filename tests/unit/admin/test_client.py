"""The command line's client against servers that are none."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lvsguard.admin.client import Client, Refused, Unreachable


@pytest.fixture
def answering(socket_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A listener that reads one request and sends these bytes."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(socket_path))
    listener.listen()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(request.param)

    thread = threading.Thread(target=serve)
    thread.start()
    yield socket_path
    thread.join()
    listener.close()


@pytest.mark.parametrize(
    "answering",
    [
        b"",
        b"220 mail.example.org ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\xff\xfe{}",
    ],
    indirect=True,
)
def test_what_is_no_lvsguard_is_unreachable(answering: Path) -> None:
    with pytest.raises(Unreachable, match=r"no lvsguard|broke off|cannot read") as caught:
        Client(answering).version()
    assert not caught.value.nobody


@pytest.mark.parametrize(
    "answering",
    [b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 20\r\n\r\ntoo many connections"],
    indirect=True,
)
def test_a_refusal_without_json_is_told_as_it_is(answering: Path) -> None:
    with pytest.raises(Refused, match="HTTP status 503: too many connections"):
        Client(answering).version()


def test_nobody_is_told_from_somebody_who_refuses(socket_path: Path) -> None:
    with pytest.raises(Unreachable, match="systemctl start lvsguard") as caught:
        Client(socket_path).version()
    assert caught.value.nobody
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(socket_path))
    with pytest.raises(Unreachable, match="is left over") as caught:
        Client(socket_path).version()
    assert caught.value.nobody
