"""sd_notify over a real datagram socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lvsguard.daemon.systemd import ServiceManager


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(5)
        yield receiver


def test_each_word_is_one_datagram(inbox: socket.socket) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": inbox.getsockname()})
    manager.ready()
    manager.status("2 services")
    manager.status("2 services")
    manager.alive()
    manager.reloading()
    manager.stopping()
    heard = [inbox.recv(200).decode() for _ in range(5)]
    assert heard[:3] == ["READY=1", "STATUS=2 services", "WATCHDOG=1"]
    assert heard[3].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert heard[4] == "STOPPING=1"


def test_an_abstract_socket_is_understood() -> None:
    name = f"lvsguard-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0" + name)
        receiver.settimeout(5)
        ServiceManager({"NOTIFY_SOCKET": "@" + name}).ready()
        assert receiver.recv(100) == b"READY=1"


def test_without_a_service_manager_nothing_is_said_and_nothing_fails(tmp_path: Path) -> None:
    ServiceManager({}).ready()
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).ready()


def test_the_watchdog_is_fed_twice_as_often_as_asked() -> None:
    mine = str(os.getpid())
    asked = ServiceManager({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": mine})
    assert asked.watchdog_interval == 5.0
    assert ServiceManager({"WATCHDOG_USEC": "10000000"}).watchdog_interval == 5.0
    other = ServiceManager({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "1"})
    assert other.watchdog_interval == 0.0
    assert ServiceManager({"WATCHDOG_USEC": "soon"}).watchdog_interval == 0.0
