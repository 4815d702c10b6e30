"""How many examples Hypothesis tries: all in `make test`, every fifth in the fast gate."""

from __future__ import annotations

import os
from typing import Final

GATE: Final = "LVSGUARD_FAST_GATE"
"""Set in the environment by `make check`, whose answer is waited for."""
SHARE: Final = 5


def examples(count: int) -> int:
    """So many where time is no matter, and at least ten of them in the fast gate."""
    if not os.environ.get(GATE):
        return count
    return min(count, max(count // SHARE, 10))
