"""A digest of who is to be given new connections, for two directors to compare theirs. Pure.

Weights are in it as far as they are 0: an agent or a slow start gives each director others for a
moment. A realserver of weight 0 is not in it at all: what is left for the connections that it has
depends on those. Services with values per director are not to be given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from lvsguard.core.model import ServiceKey, VirtualService

OTHER_TABLE: Final = (
    "its IPVS table is another one, though config, health and overrides are the same:"
    " compare ipvsadm -Sn there and here, then lvsguard why SERVICE on both"
)
"""What to say of a director for which it differs for long, and what to do."""
ANEW_MAX: Final = 1000
"""Services that are looked at in one call: of ten thousand all at once would take 44 ms."""


class TableDigest:
    """Keeps the part of each service, so that only what has changed costs anything."""

    def __init__(self) -> None:
        self._parts: dict[ServiceKey, tuple[VirtualService, int]] = {}

    def of(self, wanted: Mapping[ServiceKey, VirtualService]) -> str:
        """Equal exactly when the tables are, but for weights (16 hex digits); empty for none, and
        while so much has changed that it takes another call."""
        parts, total, anew = {}, 0, 0
        for key, service in wanted.items():
            known = self._parts.get(key)
            if known is None or known[0] is not service:
                if anew == ANEW_MAX:
                    continue
                anew += 1
                known = (service, _part(key, service))
            parts[key] = known
            total ^= known[1]
        self._parts = parts
        return f"{total:016x}" if parts and len(parts) == len(wanted) else ""


def _part(key: ServiceKey, service: VirtualService) -> int:
    lines = [
        f"{int(one.address):x} {one.port} {entry.forwarding}"
        for one, entry in service.realservers.items()
        if entry.weight
    ]
    head = (
        f"{key} {service.scheduler} {sorted(service.flags)} {service.persistence}"
        f" {service.one_packet}"
    )
    text = "\n".join((head, *sorted(lines)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
