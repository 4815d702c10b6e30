"""The admin socket's file, its group, and the peer at its other end."""

from __future__ import annotations

import grp
import logging
import os
import pwd
import socket
import stat
from pathlib import Path

import pytest

from lvsguard.admin.caller import Callers
from lvsguard.admin.door import Door, SocketTaken

OWN_GROUP = grp.getgrgid(os.getgid()).gr_name


def test_the_socket_is_for_its_user_and_group_alone(socket_path: Path) -> None:
    door = Door(socket_path, OWN_GROUP)
    status = socket_path.stat()
    assert stat.S_IMODE(status.st_mode) == 0o660
    assert status.st_gid == os.getgid()
    door.close()
    assert not socket_path.exists()


def test_a_missing_group_is_told_with_its_remedy(
    socket_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        Door(socket_path, "no-such-group").close()
    assert "groupadd --system no-such-group" in caplog.text


def test_a_socket_that_a_dead_daemon_left_is_replaced(socket_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(socket_path))
    door = Door(socket_path, OWN_GROUP)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(socket_path))
    door.close()


def test_the_socket_of_a_live_daemon_is_not_taken(socket_path: Path) -> None:
    door = Door(socket_path, OWN_GROUP)
    with pytest.raises(SocketTaken, match="systemctl stop lvsguard"):
        Door(socket_path, OWN_GROUP)
    assert socket_path.exists()
    door.close()


def test_a_file_that_is_no_socket_is_not_touched(socket_path: Path) -> None:
    socket_path.write_text("precious")
    with pytest.raises(SocketTaken, match="is no socket: move it away"):
        Door(socket_path, OWN_GROUP)
    assert socket_path.read_text() == "precious"


def test_the_directory_is_made_where_it_may(socket_path: Path) -> None:
    place = socket_path.parent / "run" / "admin.sock"
    Door(place, OWN_GROUP).close()
    assert place.parent.is_dir()


def test_a_place_that_cannot_be_had_is_told(socket_path: Path) -> None:
    with pytest.raises(SocketTaken, match=r"or set another \[admin\] socket"):
        Door(socket_path.with_name("x" * 200), OWN_GROUP)
    socket_path.write_text("a file where a directory should be")
    with pytest.raises(SocketTaken, match=r"or set another \[admin\] socket"):
        Door(socket_path / "admin.sock", OWN_GROUP)


def test_closing_leaves_a_successors_socket(socket_path: Path) -> None:
    first = Door(socket_path, OWN_GROUP)
    socket_path.unlink()
    second = Door(socket_path, OWN_GROUP)
    first.close()
    assert socket_path.exists()
    second.close()


async def test_the_kernel_tells_who_the_peer_is() -> None:
    here, there = socket.socketpair(socket.AF_UNIX)
    with here, there:
        uid = os.getuid()
        assert await Callers().actor(here) == f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
