"""init: a first configuration from a few questions or flags."""

from __future__ import annotations

from lvsguard.cli.arguments import Commands


def add(commands: Commands) -> None:
    """Declare the command."""
