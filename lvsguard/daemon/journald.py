"""Log lines in the systemd journal's native protocol: text, and fields that can be asked for.

https://systemd.io/JOURNAL_NATIVE_PROTOCOL: one datagram a line, a field a line. Journald adds time,
unit, pid and user itself.
"""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

SOCKET: Final = Path("/run/systemd/journal/socket")
LINE_MAX: Final = 16 * 1024
"""Characters of a field; a datagram must fit into a socket's buffer (net.core.wmem_default)."""

Fields = Mapping[str, str | Iterable[str]]
"""By name; a field may be there several times."""


def encode(fields: Fields) -> bytes:
    """One datagram."""
    pieces = []
    for name, value in fields.items():
        for one in (value,) if isinstance(value, str) else value:
            raw = one[:LINE_MAX].encode(errors="replace")
            if b"\n" in raw:
                pieces.append(b"%s\n%s%s\n" % (name.encode(), len(raw).to_bytes(8, "little"), raw))
            else:
                pieces.append(b"%s=%s\n" % (name.encode(), raw))
    return b"".join(pieces)


class JournalHandler(logging.Handler):
    """Sends records to journald. It never waits: while journald takes nothing lines are counted,
    and the count is told afterwards; while there is no journald they go elsewhere."""

    def __init__(
        self,
        fields: Callable[[logging.LogRecord], Fields],
        elsewhere: logging.Handler,
        path: Path = SOCKET,
    ) -> None:
        """``fields`` makes those of a record; ``elsewhere`` takes what journald cannot."""
        super().__init__()
        self._fields = fields
        self._elsewhere = elsewhere
        self._path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Send one."""
        try:
            if self._lost:
                self._send(_lost(self._lost))
                self._lost = 0
            self._send(self._fields(record))
        except BlockingIOError:
            self._lost += 1
        except OSError:
            self._elsewhere.handle(record)
        except Exception:  # noqa: BLE001 - a line that cannot be told must not end the daemon
            self.handleError(record)

    def _send(self, fields: Fields) -> None:
        self._socket.sendto(encode(fields), self._path)

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()
        super().close()


def there(path: Path = SOCKET) -> bool:
    """Whether journald listens."""
    return sys.platform == "linux" and path.is_socket()


def _lost(count: int) -> Fields:
    text = f"{count} log lines were lost, journald took none: lvsguard events has the events"
    return {"MESSAGE": text, "PRIORITY": "4", "SYSLOG_IDENTIFIER": "lvsguard"}
