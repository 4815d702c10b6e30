"""Configuration files for commands: read, or refused with every problem."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lvsguard.cli.exits import CommandError, Exit
from lvsguard.cli.text import count, printable

if TYPE_CHECKING:
    from lvsguard.core.config import Config
    from lvsguard.kernel.link import Interface


def read_text(path: Path) -> str:
    """A file's text, to be judged by the daemon."""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise CommandError(
            Exit.USAGE, f"{path}: {reason}: name the configuration with --config"
        ) from error


def loaded(
    path: Path, director: str | None = None, *, here: bool = False, bystander: bool = False
) -> Config:
    """A configuration, ``here``: held against this host too; ``bystander``: which is no director.
    Its problems end the command."""
    from lvsguard.config.load import load
    from lvsguard.config.problem import ConfigError

    try:
        return load(
            path,
            director=director,
            interfaces=interfaces() if here else None,
            elsewhere=not here,
            bystander=bystander,
        )
    except ConfigError as error:
        problems = [printable(str(problem)) for problem in error.problems]
        raise CommandError(
            Exit.USAGE, f"{path} has {count(len(problems), 'problem')}:", *problems
        ) from error


def interfaces() -> dict[str, list[Interface]]:
    """Addresses of this host's interfaces by name."""
    import asyncio

    from lvsguard.kernel.link import open_links
    from lvsguard.kernel.port import KernelError

    async def read() -> dict[str, list[Interface]]:
        async with open_links() as links:
            return {link.name: [a.address for a in link.addresses] for link in await links.read()}

    try:
        return asyncio.run(read())
    except KernelError as error:
        raise CommandError(Exit.FAILED, str(error)) from error
