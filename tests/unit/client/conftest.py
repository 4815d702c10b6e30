"""A daemon's operations behind a real socket, as the admin room's tests have them."""

from tests.unit.admin.conftest import desk, server, socket_path

__all__ = ["desk", "server", "socket_path"]
