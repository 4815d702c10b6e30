"""What one caller of the admin API may take, and all of them together."""

from __future__ import annotations

from typing import Final

from lvsguard.serving import Bounds

BOUNDS: Final = Bounds()
REMOTE_BOUNDS: Final = Bounds(connections=32)
FOLLOWERS: Final = 32
"""Event streams at once; the other connections stay free for commands."""
