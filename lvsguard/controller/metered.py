"""The CPU time of one coroutine, without that of the tasks that run while it waits."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from time import thread_time
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Metered(Generic[T]):
    """Await it in the place of the coroutine; ``seconds`` is what it has used of this thread."""

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self.seconds = 0.0
        self._work = work

    def __await__(self) -> Generator[Any, Any, T]:
        given: Any = None
        thrown: BaseException | None = None
        while True:
            begun = thread_time()
            try:
                awaited = self._work.send(given) if thrown is None else self._work.throw(thrown)
            except StopIteration as end:
                result: T = end.value
                return result
            finally:
                self.seconds += thread_time() - begun
            given = thrown = None
            try:
                given = yield awaited
            except BaseException as error:  # noqa: BLE001 - a cancellation too: it decides
                thrown = error
