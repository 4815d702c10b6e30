"""``requests`` over a unix socket, for tools that know no other client."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection


class _Connection(HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("lvsguard", timeout=10)
        self._socket_path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(10)
        self.sock.connect(str(self._socket_path))


class _Pool(HTTPConnectionPool):
    def __init__(self, path: Path) -> None:
        super().__init__("lvsguard")
        self._socket_path = path

    def _new_conn(self) -> HTTPConnection:
        return _Connection(self._socket_path)


class UnixAdapter(HTTPAdapter):
    """Whatever the host, it is the socket that is asked."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._pool = _Pool(path)

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: bool | str | None,
        proxies: Mapping[str, str] | None = None,
        cert: tuple[str, str] | str | None = None,
    ) -> HTTPConnectionPool:
        return self._pool


def unix_session(path: Path) -> requests.Session:
    """A session that asks this socket: ``session.get("http://lvsguard/v1/status")``."""
    session = requests.Session()
    session.mount("http://", UnixAdapter(path))
    return session
