"""One thread for what may take the kernel a while: to start a process, to load a module.

The loop asks and goes on; it hears of the end through a descriptor, and whatever follows from it is
done in the loop. So nothing but the errand itself is done beside an advert.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Thread, stack_size
from typing import Final

END_MAX_S: Final = 2.0
"""Longest wait for an errand when all ends."""
STACK: Final = 1 << 19
"""Bytes."""

End = Callable[[], None]
Errand = Callable[[], End]


class Errands:
    """Does one errand after the other."""

    def __init__(self) -> None:
        """No thread is started before the first ``ask``."""
        self._asked: SimpleQueue[Errand | None] = SimpleQueue()
        self._ends: deque[End] = deque()
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._thread: Thread | None = None

    def fileno(self) -> int:
        """Readable when ``read`` has something: always the same descriptor; -1 when closed."""
        return self._bell

    def ask(self, errand: Errand) -> None:
        """Have it done. What it returns is called by ``read``; what it raises, ``read`` raises."""
        if self._thread is None:
            self._thread = Thread(target=self._work, name="errands", daemon=True)
            # The process' memory is locked: a stack of the usual 8 MiB would be there in full.
            usual = stack_size(STACK)
            try:
                self._thread.start()
            finally:
                stack_size(usual)
        self._asked.put(errand)

    def read(self) -> None:
        """Go on with what is done."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._bell)
        while self._ends:
            self._ends.popleft()()

    def close(self) -> None:
        """Wait for what was asked for, not for long, and go on with it once more."""
        if self._bell < 0:
            return
        if self._thread is not None:
            self._asked.put(None)
            self._thread.join(END_MAX_S)
            if self._thread.is_alive():
                return  # it still has the bell in its hand
        self.read()
        os.close(self._bell)
        self._bell = -1

    def _work(self) -> None:
        while (errand := self._asked.get()) is not None:
            self._ends.append(_done(errand))
            os.eventfd_write(self._bell, 1)


def _done(errand: Errand) -> End:
    try:
        return errand()
    except Exception as error:  # noqa: BLE001 - the loop raises it, and somebody acts on it
        return partial(_raise, error)


def _raise(error: Exception) -> None:
    raise error
