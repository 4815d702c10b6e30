"""A client of etcd's version 3, over its JSON gateway: what directors need of it and no more.

The gateway (etcd.io/docs, "Why gRPC gateway") speaks the same messages as gRPC does, over plain
HTTP; octets are base64, and 64-bit numbers are text. Every answer is bounded in size and time.
"""

from __future__ import annotations

import base64
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

import aiohttp
import msgspec

from lvsguard.core.cluster import EtcdAccess

SECONDS: Final = 3.0
"""For an answer to come as a whole."""
ANSWER_MAX: Final = 8 * 1024 * 1024
"""Octets of one answer, and of one line of a watch."""
PAGE: Final = 500
"""Keys that are read at once."""
UNAUTHENTICATED: Final = 16
"""gRPC's status: the token is not (or no longer) good."""


class EtcdError(Exception):
    """It does not answer, or says no. ``str()`` says why."""


class Compacted(EtcdError):
    """What a watch asked for is not kept any more: read everything again."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A key as etcd has it."""

    key: str
    value: bytes
    revision: int
    """Of its last change; 0: there is no such key."""


class _Header(msgspec.Struct, frozen=True):
    revision: str = "0"


class _Kv(msgspec.Struct, frozen=True):
    key: str
    value: str = ""
    mod_revision: str = "0"


class _Ranged(msgspec.Struct, frozen=True):
    header: _Header = _Header()
    kvs: list[_Kv] = []
    more: bool = False


class _Granted(msgspec.Struct, frozen=True):
    ID: str
    TTL: str = "0"


class _Kept(msgspec.Struct, frozen=True):
    TTL: str = "0"


class _KeptAlive(msgspec.Struct, frozen=True):
    result: _Kept = _Kept()


class _Response(msgspec.Struct, frozen=True):
    response_range: _Ranged | None = None


class _Txn(msgspec.Struct, frozen=True):
    header: _Header = _Header()
    succeeded: bool = False
    responses: list[_Response] = []


class _Token(msgspec.Struct, frozen=True):
    token: str


class _Failure(msgspec.Struct, frozen=True):
    error: str = ""
    message: str = ""
    code: int = 0


class _Event(msgspec.Struct, frozen=True):
    kv: _Kv
    type: str = "PUT"


class _Watched(msgspec.Struct, frozen=True):
    header: _Header = _Header()
    events: list[_Event] = []
    created: bool = False
    canceled: bool = False
    compact_revision: str = "0"
    cancel_reason: str = ""


class _Line(msgspec.Struct, frozen=True):
    result: _Watched | None = None
    error: _Failure | None = None


_T = TypeVar("_T", bound=msgspec.Struct)


class Etcd:
    """One session with one endpoint. Every method raises EtcdError."""

    def __init__(self, access: EtcdAccess, endpoint: str) -> None:
        self._access = access
        self._url = endpoint.rstrip("/")
        self._token = ""
        self._tls = _tls(access)
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Etcd:
        self._http = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=SECONDS), trust_env=False, auto_decompress=False
        )
        try:
            if self._access.user:
                await self._authenticate()
        except BaseException:
            await self._http.close()
            raise
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self._http is not None:
            await self._http.close()

    async def read(self) -> tuple[int, list[Entry]]:
        """All keys below the prefix, and the revision that they are of."""
        start, end = self._access.prefix, _after(self._access.prefix)
        revision, found = 0, []
        while True:
            asked: dict[str, object] = {"key": _text(start), "range_end": end, "limit": str(PAGE)}
            if revision:
                asked["revision"] = str(revision)
            page = await self._ask("kv/range", asked, _Ranged)
            revision = revision or int(page.header.revision)
            found += [_entry(kv) for kv in page.kvs]
            if not page.more or not page.kvs:
                return revision, found
            start = f"{found[-1].key}\0"

    async def put(self, key: str, value: bytes, lease: int = 0) -> None:
        """Write a key, which goes when its lease ends."""
        told = {"key": self._key(key), "value": _octets(value), "lease": str(lease)}
        await self._ask("kv/put", told, _Txn)

    async def replace(self, key: str, value: bytes | None, known: int) -> Entry | None:
        """Write a key (None: delete it) if its revision is still ``known`` (0: it must not be
        there). None: done; else what is there now."""
        where = self._key(key)
        write: dict[str, object] = (
            {"request_delete_range": {"key": where}}
            if value is None
            else {"request_put": {"key": where, "value": _octets(value)}}
        )
        asked: dict[str, object] = {
            "compare": [
                {"key": where, "target": "MOD", "result": "EQUAL", "mod_revision": str(known)}
            ],
            "success": [write],
            "failure": [{"request_range": {"key": where}}],
        }
        answer = await self._ask("kv/txn", asked, _Txn)
        if answer.succeeded:
            return None
        for one in answer.responses:
            if one.response_range is not None and one.response_range.kvs:
                return _entry(one.response_range.kvs[0])
        return Entry(self._access.prefix + key, b"", 0)

    async def drop(self, key: str) -> None:
        """Delete a key, if it is there."""
        await self._ask("kv/deleterange", {"key": self._key(key)}, _Txn)

    async def grant(self, seconds: int) -> int:
        """A lease: what is written under it goes when it is not kept for so long."""
        return int((await self._ask("lease/grant", {"TTL": str(seconds)}, _Granted)).ID)

    async def keep(self, lease: int) -> bool:
        """Keep a lease. False: it has ended."""
        kept = await self._ask("lease/keepalive", {"ID": str(lease)}, _KeptAlive)
        return int(kept.result.TTL) > 0

    async def revoke(self, lease: int) -> None:
        """End a lease at once."""
        await self._ask("lease/revoke", {"ID": str(lease)}, _Txn)

    async def watch(self, revision: int) -> AsyncIterator[list[tuple[Entry, bool]]]:
        """Changes below the prefix from a revision on, each with whether the key is gone. Ends by
        EtcdError; Compacted: that revision is not kept any more."""
        prefix = self._access.prefix
        asked = {
            "create_request": {
                "key": _text(prefix),
                "range_end": _after(prefix),
                "start_revision": str(revision),
            }
        }
        forever = aiohttp.ClientTimeout(total=None, sock_connect=SECONDS)
        async with contextlib.AsyncExitStack() as stack:
            with _plainly(self._url):
                response = await stack.enter_async_context(
                    self._post("watch", msgspec.json.encode(asked), forever)
                )
                async for line in _lines(response):
                    yield _changes(line)

    # -- how ---------------------------------------------------------------------------------

    def _key(self, key: str) -> str:
        return _text(self._access.prefix + key)

    async def _authenticate(self) -> None:
        who = {"name": self._access.user, "password": self._access.password}
        self._token = ""
        self._token = (await self._ask_once("auth/authenticate", who, _Token)).token

    async def _ask(self, what: str, asked: object, kind: type[_T]) -> _T:
        try:
            return await self._ask_once(what, asked, kind)
        except _Unauthenticated:
            if not self._access.user:
                raise
            await self._authenticate()
            return await self._ask_once(what, asked, kind)

    async def _ask_once(self, what: str, asked: object, kind: type[_T]) -> _T:
        with _plainly(self._url):
            async with self._post(what, msgspec.json.encode(asked)) as response:
                body = bytearray()
                async for piece in response.content.iter_any():
                    body += piece
                    if len(body) > ANSWER_MAX:
                        raise EtcdError(f"{self._url}: an answer of more than {ANSWER_MAX} octets")
                if response.status != 200:
                    raise _refused(self._url, response.status, bytes(body))
                return msgspec.json.decode(bytes(body), type=kind)

    def _post(
        self, what: str, body: bytes, timeout: aiohttp.ClientTimeout | None = None
    ) -> contextlib.AbstractAsyncContextManager[aiohttp.ClientResponse]:
        if self._http is None:
            raise AssertionError("use it as a context")
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = self._token
        return self._http.post(
            f"{self._url}/v3/{what}",
            data=body,
            headers=headers,
            allow_redirects=False,
            ssl=self._tls or True,
            timeout=timeout or aiohttp.ClientTimeout(total=SECONDS),
        )


class _Unauthenticated(EtcdError):
    """The token is not good."""


@contextlib.contextmanager
def _plainly(url: str) -> Iterator[None]:
    """Whatever goes wrong on the way as an EtcdError of one line."""
    try:
        yield
    except TimeoutError:
        raise EtcdError(f"{url} does not answer within {SECONDS:g} s") from None
    except aiohttp.ClientConnectorCertificateError as error:
        raise EtcdError(f"{url}: its certificate is not good: {error.certificate_error}") from None
    except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError):
        raise EtcdError(f"{url}: its answer broke off") from None
    except (aiohttp.ClientError, OSError) as error:
        raise EtcdError(f"{url}: {_why(error)}") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise EtcdError(f"{url}: its answer makes no sense ({error}): is it etcd 3.4?") from None


def _why(error: BaseException) -> str:
    inner = getattr(error, "os_error", None) or error
    return str(getattr(inner, "strerror", "") or inner or type(error).__name__).lower()


def _refused(url: str, status: int, body: bytes) -> EtcdError:
    with contextlib.suppress(msgspec.MsgspecError):
        told = msgspec.json.decode(body, type=_Failure)
        text = f"{url}: {told.message or told.error or f'HTTP status {status}'}"
        return _Unauthenticated(text) if told.code == UNAUTHENTICATED else EtcdError(text)
    return EtcdError(f"{url}: HTTP status {status}: is it etcd 3.4 or later?")


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[_Line]:
    """The lines of a stream. It ends by EtcdError."""
    rest = b""
    async for piece in response.content.iter_any():
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > ANSWER_MAX:
            raise EtcdError(f"a line of more than {ANSWER_MAX} octets")
        for line in lines:
            if line.strip():
                yield msgspec.json.decode(line, type=_Line)
    if response.status != 200:
        raise EtcdError(f"the watch was refused: HTTP status {response.status}")
    raise EtcdError("the watch has ended")


def _tls(access: EtcdAccess) -> ssl.SSLContext | None:
    if not access.ca_file and not access.certificate_file:
        return None
    try:
        context = ssl.create_default_context(cafile=access.ca_file or None)
        if access.certificate_file:
            context.load_cert_chain(access.certificate_file, access.key_file or None)
    except (OSError, ValueError) as error:
        raise EtcdError(f"the files of [cluster] cannot be used: {error}") from None
    return context


def _changes(line: _Line) -> list[tuple[Entry, bool]]:
    if line.error is not None or line.result is None:
        told = line.error or _Failure()
        raise EtcdError(f"the watch was refused: {told.message or told.error}")
    watched = line.result
    if int(watched.compact_revision):
        raise Compacted(f"etcd keeps nothing from before revision {watched.compact_revision}")
    if watched.canceled:
        raise EtcdError(f"the watch was cancelled: {watched.cancel_reason}")
    return [(_entry(one.kv), one.type == "DELETE") for one in watched.events]


def _entry(kv: _Kv) -> Entry:
    key = base64.b64decode(kv.key).decode("utf-8", "replace")
    return Entry(key, base64.b64decode(kv.value), int(kv.mod_revision))


def _text(key: str) -> str:
    return _octets(key.encode())


def _octets(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _after(prefix: str) -> str:
    """The first key behind all that begin with it."""
    octets = prefix.encode()
    return _octets(octets[:-1] + bytes([octets[-1] + 1]))
