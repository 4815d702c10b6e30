"""Macvlan interfaces of this host over rtnetlink: make one with a given MAC address, delete it.

A macvlan is an interface with a MAC address of its own on top of another one. Which and why is
decided elsewhere; nothing but a macvlan is ever deleted here.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from pyroute2.iproute.linux import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from lvsguard.kernel.link import TIMEOUT_S, link_name_problem
from lvsguard.kernel.port import KernelError
from lvsguard.kernel.refusal import NEED_CAPABILITY

_open: Callable[[], Any] = AsyncIPRoute  # the library is not typed
_KIND: Final = "macvlan"
_MODE: Final = "bridge"


async def add_macvlan(name: str, parent: str, mac: str) -> bool:
    """Make a macvlan (down) in bridge mode. False: it was there as asked. Raises KernelError.

    In private mode the kernel would keep from the interface below what another host sends from the
    same MAC address (``macvlan_handle_frame`` in drivers/net/macvlan.c): its adverts.
    """
    if problem := link_name_problem(name):
        raise KernelError(f"interface {name!r} cannot be made: {problem}", errno.EINVAL)
    async with _asking(f"make the macvlan interface {name} on {parent}") as route:
        below = await _find(route, parent)
        if below is None:
            raise KernelError(
                f"cannot make {name}: there is no interface {parent}: create it, or name another in"
                " the config (ip link)",
                errno.ENODEV,
            )
        there = await _find(route, name)
        if there is not None:
            if _kind(there) != _KIND:
                raise KernelError(
                    f"cannot make {name}: there is another interface of that name: rename it"
                    " (ip link set dev), or give the virtual one another name",
                    errno.EEXIST,
                )
            same = there.get("IFLA_LINK") == below["index"]
            if same and (there.get("IFLA_ADDRESS") or "").lower() == mac.lower():
                # VIPs may stand on it: one of an earlier version's mode is changed as it stands.
                await route.link("set", index=there["index"], kind=_KIND, macvlan_mode=_MODE)
                return False
            # Of an earlier run with another config: it is a macvlan of our name.
            await route.link("del", index=there["index"])
        await route.link(
            "add", ifname=name, kind=_KIND, link=below["index"], address=mac, macvlan_mode=_MODE
        )
    return True


async def raise_macvlan(name: str, *, up: bool) -> None:
    """Set it up or down. Raises KernelError."""
    async with _asking(f"set {name} {'up' if up else 'down'}") as route:
        there = await _find(route, name)
        if there is None:
            raise KernelError(
                f"there is no interface {name}: it is made again at the next start", errno.ENODEV
            )
        await route.link("set", index=there["index"], state="up" if up else "down")


async def delete_macvlan(name: str) -> bool:
    """Delete it. False: there was none. Raises KernelError, also for an interface of another kind
    with this name."""
    async with _asking(f"delete the macvlan interface {name}") as route:
        there = await _find(route, name)
        if there is None:
            return False
        if _kind(there) != _KIND:
            raise KernelError(
                f"{name} is no macvlan interface and is left alone: delete it by hand if it should"
                " go (ip link del)",
                errno.EEXIST,
            )
        await route.link("del", index=there["index"])
    return True


async def _find(route: Any, name: str) -> Any:  # noqa: ANN401  the library is not typed
    found = None
    # Read to the end: a dump left in the middle makes the socket's next one fail with EBUSY.
    async for message in await route.get_links():
        if message.get("IFLA_IFNAME") == name:
            found = message
    return found


def _kind(message: Any) -> str:  # noqa: ANN401
    info = message.get("IFLA_LINKINFO")
    return (info.get("IFLA_INFO_KIND") if info else None) or ""


@asynccontextmanager
async def _asking(what: str) -> AsyncIterator[Any]:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            route = _open()
            try:
                yield route
            finally:
                route.close()
    except NetlinkError as error:
        raise KernelError(_explained(what, error.code), error.code) from error
    except TimeoutError as error:
        raise KernelError(_explained(what, errno.ETIMEDOUT), errno.ETIMEDOUT) from error
    except OSError as error:
        raise KernelError(_explained(what, error.errno or 0), error.errno or 0) from error


def _explained(what: str, number: int) -> str:
    hint = {
        errno.EPERM: NEED_CAPABILITY,
        errno.EOPNOTSUPP: "this kernel has no macvlan: load its module (modprobe macvlan), or leave"
        " the virtual MAC address out of the config",
        errno.EBUSY: "the interface below is used in a way that allows none on top (a bridge port,"
        " a bond member): name the bridge or the bond instead",
        errno.EADDRINUSE: "another interface on the same one has this MAC address: two instances"
        " with one vrid, or keepalived is still running",
        errno.ETIMEDOUT: "the kernel did not answer: try again",
    }.get(number, "look at ip link and the kernel's log (dmesg)")
    return f"cannot {what}: {os.strerror(number)}: {hint}"
