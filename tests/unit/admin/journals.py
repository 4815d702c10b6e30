"""Journals that a test opens, again and again if it likes; the fixture is ``opened``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from lvsguard.admin.journal import Journal, Limits

QUICK = Limits(retry=(0.05, 0.1))

Open = Callable[..., Awaitable[Journal]]
