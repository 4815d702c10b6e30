"""How a director is asked: an HTTP session over its socket, or over TLS from afar."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, TypeVar

import aiohttp
import msgspec

from lvsguard.admin import protocol, reach
from lvsguard.admin.address import Address
from lvsguard.admin.reach import VERSION_HEADER, Unreachable

LONG_SECONDS: Final = 60.0
"""Of a failover, a reload or a plan."""
LINE_BYTES: Final = 1024 * 1024
"""Of an event."""

_T = TypeVar("_T")


class Connection:
    """Questions to one director; each takes a connection of its own."""

    def __init__(self, where: Address, seconds: float) -> None:
        self._where = where
        self.seconds = seconds
        """How long an answer may take."""
        self._session: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """Make ready to ask, within a running loop."""
        if self._session is not None:
            raise RuntimeError("this Director is open already: make another one")
        if isinstance(self._where, Path):
            connector: aiohttp.BaseConnector = aiohttp.UnixConnector(
                str(self._where), force_close=True
            )
        else:
            connector = aiohttp.TCPConnector(
                ssl=self._where.identity.context(), force_close=True, limit=0
            )
        base = "http://lvsguard" if isinstance(self._where, Path) else str(self._where)
        self._session = aiohttp.ClientSession(base, connector=connector, read_bufsize=LINE_BYTES)

    async def close(self) -> None:
        """Ask no more."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(
        self,
        method: str,
        path: str,
        kind: type[_T],
        *,
        query: Mapping[str, str] | None = None,
        body: protocol.Request | None = None,
        long: bool = False,
    ) -> _T:
        """The answer to a question. Raises Unreachable and Refused."""
        seconds = max(self.seconds, LONG_SECONDS) if long else self.seconds
        timeout = aiohttp.ClientTimeout(total=seconds)
        async with self.exchange(method, path, query, body, timeout) as answer:
            text = await answer.read()
            with self.understood(answer):
                return msgspec.json.decode(text, type=kind)

    def understood(self, answer: aiohttp.ClientResponse) -> _Understood:
        """A context in which an answer is read."""
        return _Understood(self._where, answer.headers.get(VERSION_HEADER))

    @asynccontextmanager
    async def exchange(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: protocol.Request | None,
        limits: aiohttp.ClientTimeout,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer that is 2xx; what happens instead, and what breaks it off, as exceptions."""
        if self._session is None:
            raise RuntimeError("the Director is not open: async with Director() as director")
        data = None if body is None else msgspec.json.encode(body)
        headers = {} if data is None else {"Content-Type": "application/json"}
        try:
            async with self._session.request(
                method, path, params=query, data=data, headers=headers, timeout=limits
            ) as answer:
                if answer.status >= 300:
                    theirs = answer.headers.get(VERSION_HEADER)
                    raise reach.refused(await answer.read(), answer.status, theirs)
                yield answer
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> Unreachable:
        where = self._where
        match error:
            case TimeoutError():
                return reach.silent(where)
            case aiohttp.ClientConnectorCertificateError(certificate_error=cause):
                return reach.no_connection(where, _os_error(cause))
            case aiohttp.ClientConnectorError(os_error=cause):
                return reach.no_connection(where, cause)
            case OSError() | aiohttp.ServerDisconnectedError():
                return reach.turned_away(where, error) or reach.strange(where, error)
            case aiohttp.ClientPayloadError():
                return reach.broken_off(where, error)
            case ValueError():
                return reach.unreadable(where, error, None)
            case _:
                return reach.strange(where, error)


class _Understood:
    """A context in which an answer is read; one that is not understood is told with versions."""

    def __init__(self, where: Address, theirs: str | None) -> None:
        self._where = where
        self._theirs = theirs

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, msgspec.MsgspecError | UnicodeDecodeError):
            raise reach.unreadable(self._where, error, self._theirs) from error


def _os_error(error: Exception) -> OSError:
    return error if isinstance(error, OSError) else OSError(str(error))
