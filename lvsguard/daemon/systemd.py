"""Speaks sd_notify(3): ready, reloading, stopping, status line and watchdog.

Silent where there is no service manager.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping


class ServiceManager:
    """The service manager that started the daemon, if any."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        """Reads NOTIFY_SOCKET and WATCHDOG_USEC (sd_watchdog_enabled(3))."""
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._watchdog_s = 0.0
        usec = environ.get("WATCHDOG_USEC", "")
        if usec.isdigit() and environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
            self._watchdog_s = int(usec) / 1e6
        self._status = ""

    @property
    def watchdog_interval(self) -> float:
        """Seconds between two pings: half of what the service manager waits. 0: none wanted."""
        return self._watchdog_s / 2

    def ready(self) -> None:
        """The daemon serves."""
        self._send("READY=1")

    def reloading(self) -> None:
        """A reload began; ``ready`` ends it. The time is needed by Type=notify-reload."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The daemon stops."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """The line that systemctl status shows; sent when it changes."""
        if text != self._status:
            self._status = text
            self._send(f"STATUS={text}")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
                out.setblocking(False)
                out.sendto(text.encode(), address)
        except OSError:
            # The service manager is away or busy; forwarding does not depend on telling it.
            return
