"""From options to a running director, and what it takes before there is one.

What cannot be mended by waiting (a bad config, a missing capability) ends here with an exit
status; everything else is told, retried and survived by the house.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sqlite3
import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from errno import EACCES, EPERM
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path

from lvsguard.admin.door import SocketTaken
from lvsguard.admin.journal import FILE, Journal
from lvsguard.admin.store import Store
from lvsguard.config.load import load, loads
from lvsguard.config.own_address import faced
from lvsguard.config.problem import ConfigError
from lvsguard.controller.offline import offline_plan
from lvsguard.core.config import Config, OnStop
from lvsguard.core.event import StateTrouble
from lvsguard.core.override import Override
from lvsguard.core.step import Step
from lvsguard.daemon import log
from lvsguard.daemon.claim import StateTaken, claimed
from lvsguard.daemon.house import House
from lvsguard.kernel.address import LinuxAddresses
from lvsguard.kernel.ipvs import LinuxIpvs
from lvsguard.kernel.link import open_links
from lvsguard.kernel.port import KernelError

DONE, FAILED, BAD_CONFIG = 0, 1, 2

LATE_LINK_S = 10
"""How long a start waits for interfaces that are not as the config says. The kernel forwards with
what it has meanwhile; a VIP that came before the interface's own address would be primary."""

NICE = -5
"""Its own and its probers': they do little, but somebody waits for it."""

Interfaces = dict[str, Collection[IPv4Interface | IPv6Interface]]


@dataclass(frozen=True, slots=True)
class Options:
    """What ``lvsguard run`` was started with."""

    config: Path
    log_format: log.LogFormat = log.LogFormat.AUTO
    release: bool = False
    """Take out at the end what is owned, whatever the config says."""
    socket: Path | None = None
    """In the place of the config's admin socket."""


async def run(options: Options) -> int:
    """Run the director until it is told to stop. Exit status: 0 done, 1 failed, 2 bad config."""
    log.setup(options.log_format)
    _come_first()
    # Asked to reload before there is anything to reload: nothing to do, and no reason to die.
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: None)
    # Until the house is ready everything that is made stays: collecting meanwhile is for nothing.
    gc.collect()
    gc.disable()
    try:
        config = await _first_load(options)
    except ConfigError as error:
        for problem in error.problems:
            log.LOGGER.error("%s", problem)
        return BAD_CONFIG
    except KernelError as error:
        log.LOGGER.error("%s", error)
        return FAILED
    if (refusal := await _forbidden()) is not None:
        log.LOGGER.error("%s", refusal)
        return FAILED
    try:
        with claimed(config.state_directory):
            return await _keep_house(options, config)
    except StateTaken as error:
        log.LOGGER.error("%s", error)
        return FAILED


def _come_first() -> None:
    """Be scheduled before what else runs on this host, where that is allowed (CAP_SYS_NICE): a
    verdict that waits for a CPU is a dead realserver that is served."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, min(NICE, os.getpriority(os.PRIO_PROCESS, 0)))


async def _keep_house(options: Options, config: Config) -> int:
    early: list[StateTrouble] = []
    house: House | None = None

    def report(trouble: StateTrouble) -> None:
        if house is None:
            early.append(trouble)
        else:
            house.state(trouble)

    journal = Journal(config.state_directory, report)
    await journal.open()
    try:
        addresses = LinuxAddresses()
        try:
            house = House(
                config,
                journal,
                addresses,
                config_path=str(options.config),
                load=lambda text: _load(options, text),
                face=_face,
            )
            for trouble in early:
                house.emit(trouble)
            await house.run()
        except (SocketTaken, KernelError) as error:
            log.LOGGER.error("%s", error)
            return FAILED
        else:
            return DONE
        finally:
            await addresses.close()
    finally:
        await journal.close()


async def _first_load(options: Options) -> Config:
    """The config of a start. What is wrong with this host's interfaces alone may pass (a link that
    comes late): it is waited for, then told, and not to serve at all would be worse."""
    for patience in range(LATE_LINK_S, -1, -1):
        try:
            return await _load(options, None)
        except ConfigError as error:
            try:
                config = await _load(options, None, judged=False)
            except ConfigError:
                raise error from None
            if patience in (LATE_LINK_S, 0):
                for problem in error.problems:
                    log.LOGGER.warning("%s", problem)
        await asyncio.sleep(min(patience, 1))
    return config


async def _load(options: Options, text: str | None, *, judged: bool = True) -> Config:
    """The config file, or this text in its place; beside the loop, for large ones take a while.

    ``judged``: hold it against this host's interfaces too.
    """
    host = await _interfaces()
    if text is None:
        config = await asyncio.to_thread(load, options.config, interfaces=host, judged=judged)
    else:
        config = await asyncio.to_thread(loads, text, interfaces=host, judged=judged)
    if options.release:
        config = replace(config, on_stop=OnStop.REMOVE)
    if options.socket is not None:
        config = replace(config, admin_socket=options.socket)
    return config


async def _face(config: Config) -> Config:
    """A config in force with what this host's checks may ask from now (see ``faced``)."""
    return await asyncio.to_thread(faced, config, await _interfaces())


async def _interfaces() -> Interfaces:
    async with open_links() as links:
        return {link.name: [a.address for a in link.addresses] for link in await links.read()}


async def _forbidden() -> str | None:
    """What this process may not do and cannot do without; None when all is well."""
    try:
        ipvs = await LinuxIpvs.open()
        try:
            await ipvs.read()
        finally:
            await ipvs.close()
    except KernelError as error:
        # Anything else may mend itself (a module that somebody loads): the house waits for it.
        return str(error) if error.errno in (EPERM, EACCES) else None
    return None


async def offline_steps(config: Config) -> tuple[Step, ...]:
    """What a start would do now, overrides on disk included. Raises KernelError."""
    overrides = await _kept_overrides(config.state_directory)
    addresses = LinuxAddresses()
    try:
        ipvs = await LinuxIpvs.open()
        try:
            return await offline_plan(config, ipvs, addresses, overrides)
        finally:
            await ipvs.close()
    finally:
        await addresses.close()


async def _kept_overrides(directory: Path | None) -> list[Override]:
    """Overrides on disk. A daemon may be writing there, so the file is only looked at."""
    if directory is None or not (directory / FILE).exists():
        return []
    try:
        held = await Store.peek(directory / FILE)
    except (sqlite3.Error, OSError) as error:
        raise KernelError(
            f"the overrides in {directory / FILE} cannot be read ({error}): run this as root or"
            " as the lvsguard user"
        ) from error
    return [o for o in held.overrides if not o.expired(time.time())]
