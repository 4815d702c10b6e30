"""With which priority a director stands, and whether it may be master at all. Pure."""

from __future__ import annotations

from typing import Final

from lvsguard.vrrp.advert import OWNER
from lvsguard.vrrp.settings import Settings

LAST_RESORT: Final = 1
"""The priority of a master that is not ready and found no successor, and of who leads only because
nobody else does: anybody else is better."""


class Rating:
    """The configured priority and readiness, of which an advert's priority is made."""

    __slots__ = ("_configured", "_drop", "ready")

    def __init__(self, settings: Settings, *, ready: bool) -> None:
        self._configured = settings.priority
        self._drop = settings.unready_drop
        self.ready = ready
        """Whether this director can serve."""

    def configure(self, priority: int) -> None:
        """Another configured priority, 1 to 255 (others are taken as the nearest of these)."""
        self._configured = min(max(priority, 1), OWNER)

    @property
    def priority(self) -> int:
        """The one to say: the configured one if ready."""
        if self.ready:
            return self._configured
        return (
            LAST_RESORT if self._drop is None else max(LAST_RESORT, self._configured - self._drop)
        )

    @property
    def contends(self) -> bool:
        """Whether it may be master at all."""
        return self.ready or self._drop is not None
