"""The id that one cause carries from where it arose to the kernel: verdict, event, step, log line.

Made from what it names, so that two directors that share an override call it the same. Pure.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lvsguard.core.model import IPAddress, RealserverKey

_OCTETS: Final = 5
_ID: Final = re.compile(r"[0-9a-f]{10}", re.ASCII)


def trace_id(*parts: object) -> str:
    """Ten hex digits. The parts say what it is, and when: a check and the monotonic time of its
    verdict; target, kind and wall clock of an override."""
    text = "\n".join(str(part) for part in parts)
    return hashlib.blake2b(text.encode(), digest_size=_OCTETS).hexdigest()


def is_trace_id(text: str) -> bool:
    """Whether it looks like one."""
    return _ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Cause:
    """Why the kernel is about to be changed."""

    trace: str
    at: float | None = None
    """Monotonic seconds of the verdict; None: it was none."""


Place = tuple[IPAddress, int | None]
"""An address and a port; None: every port there."""

Causes = Mapping[Place, Cause]


def cause_of(realserver: RealserverKey, causes: Causes) -> Cause | None:
    """What caused a step about this realserver, as far as it is known."""
    exact = causes.get((realserver.address, realserver.port))
    return exact or causes.get((realserver.address, None))
