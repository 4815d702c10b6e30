"""Who answered the client: follows the load client's file as it grows."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

from tests.support.topology_load import Request

if TYPE_CHECKING:
    from pathlib import Path


class Answers:
    """The requests that have ended so far. May be read from several threads."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read_to = 0
        self._rest = ""
        self._ended: list[Request] = []
        self._lock = threading.Lock()

    def since(self, at: float) -> list[Request]:
        """Return the requests begun since then (monotonic clock, s), in the order of their ends."""
        with self._lock:
            self._read()
            found = []
            for request in reversed(self._ended):
                if request.at + request.took_s < at:  # it and all before it ended before then
                    break
                if request.at >= at:
                    found.append(request)
        return found[::-1]

    def _read(self) -> None:
        with self._file.open() as file:
            file.seek(self._read_to)
            *whole, self._rest = (self._rest + file.read()).split("\n")
            self._read_to = file.tell()
        self._ended += [Request(**json.loads(line)) for line in whole]
