"""As much HTTP as the lab's clients need: one exchange over a socket, and a name for a failure."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket


async def exchange(connection: socket.socket, request: bytes) -> tuple[int, str]:
    """Send a request over a connected non-blocking socket; return the answer's status and body.

    Raises OSError, or EOFError when the connection is closed before the whole answer came.
    """
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, request)
    data = b""
    while (answer := whole_answer(data)) is None:
        received = await loop.sock_recv(connection, 4096)
        if not received:
            raise EOFError
        data += received
    return answer


def error_name(failure: Exception) -> str:
    """Return one word for how an exchange failed."""
    match failure:
        case TimeoutError():
            return "timeout"
        case EOFError():
            return "closed"
        case ConnectionRefusedError():
            return "refused"
        case ConnectionResetError() | BrokenPipeError():
            return "reset"
    return "unreachable"


def whole_answer(data: bytes) -> tuple[int, str] | None:
    """Return status and body when `data` holds a whole answer, else None."""
    head, found, body = data.partition(b"\r\n\r\n")
    if not found:
        return None
    status, *fields = head.decode("latin-1").lower().split("\r\n")
    length = next(int(field[15:]) for field in fields if field.startswith("content-length:"))
    return (int(status.split()[1]), body.decode().strip()) if len(body) >= length else None
