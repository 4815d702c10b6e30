"""A webhook: an HTTP POST of the document, signed if there is a key."""

from __future__ import annotations

from typing import Final

import aiohttp

from lvsguard import __version__
from lvsguard.core.hook import LONGEST_S, HookConfig, Occurrence
from lvsguard.hooks.body import SIGNATURE_HEADER, body, signature
from lvsguard.hooks.outcome import Told

ANSWER_BYTES: Final = 4096
"""Read of an answer at most; it means nothing but its status."""
_LATER: Final = frozenset({408, 425, 429})
"""Statuses below 500 that may be others soon."""


async def post(session: aiohttp.ClientSession, hook: HookConfig, occurrence: Occurrence) -> Told:
    """Try it once."""
    document = body(occurrence)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"lvsguard/{__version__}",
        "Lvsguard-Event": occurrence.kind,
    }
    if hook.key:
        headers[SIGNATURE_HEADER] = signature(hook.key, document)
    try:
        async with session.post(
            hook.url,
            data=document,
            headers=headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=hook.timeout),
        ) as answer:
            await answer.content.read(ANSWER_BYTES)
            return _judge(answer.status, answer.headers.get("Retry-After", ""))
    except TimeoutError:
        return Told(f"no answer within {hook.timeout:g} s", again=True)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Told(f"{error}" or type(error).__name__, again=True)


def _judge(status: int, after: str) -> Told:
    if 200 <= status < 300:
        return Told()
    why = f"it answered {status}"
    if status < 500 and status not in _LATER:
        return Told(f"{why}, which another try would not change: look at its url and key")
    seconds = float(after) if after.isascii() and after.isdecimal() and len(after) < 6 else 0.0
    return Told(why, again=True, after=min(seconds, LONGEST_S))
