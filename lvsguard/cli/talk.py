"""Talking to the daemon from a command: its socket, and its refusals as exit statuses."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lvsguard.cli.arguments import director
from lvsguard.cli.exits import CommandError, Exit
from lvsguard.cli.text import printable

if TYPE_CHECKING:
    from lvsguard.admin.client import Client

_USAGE = frozenset(
    {
        "bad-config",
        "bad-request",
        "unknown-target",
        "unknown-service",
        "unknown-vip",
        "no-election",
        "ambiguous",
        "too-large",
    }
)
"""Refusals for what was typed or written, rather than for what happened."""


@contextmanager
def daemon(args: argparse.Namespace) -> Iterator[Client]:
    """The daemon's client; what it raises becomes a CommandError."""
    from lvsguard.admin.address import BadAddress
    from lvsguard.admin.client import Client, Refused, Unreachable

    try:
        yield Client(director(args))
    except BadAddress as error:
        raise CommandError(Exit.USAGE, printable(str(error))) from error
    except Unreachable as error:
        raise CommandError(Exit.UNREACHABLE, str(error)) from error
    except Refused as error:
        failure = error.failure
        lines = [*failure.problems]
        if failure.known:
            lines += ["there is:", *(f"  {name}" for name in failure.known)]
        status = Exit.USAGE if failure.code in _USAGE else Exit.FAILED
        raise CommandError(status, *map(printable, (failure.error, *lines))) from error
