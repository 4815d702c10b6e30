"""Asking an admin socket in raw bytes, without the project's own client."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, header and body of one answer."""

    status: int
    head: str
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 (tests read it as they like)
        return json.loads(self.body)


async def exchange(path: Path, *chunks: bytes, seconds: float = 10.0) -> bytes:
    """Send bytes, and read until the server hangs up."""
    async with asyncio.timeout(seconds):
        reader, writer = await asyncio.open_unix_connection(str(path))
        try:
            for chunk in chunks:
                writer.write(chunk)
                await writer.drain()
            return await reader.read()
        finally:
            writer.close()


async def ask(path: Path, method: str, target: str, body: bytes = b"") -> Answer:
    """One request and its answer."""
    head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    return parse(await exchange(path, head.encode() + body))


def parse(raw: bytes) -> Answer:
    """An answer from its bytes; chunked bodies are put together."""
    head, _, rest = raw.partition(b"\r\n\r\n")
    text = head.decode()
    if "transfer-encoding: chunked" in text.lower():
        rest = _joined(rest)
    return Answer(int(text.split()[1]), text, rest)


def _joined(rest: bytes) -> bytes:
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        body, rest = body + rest[:length], rest[length + 2 :]
    return body
