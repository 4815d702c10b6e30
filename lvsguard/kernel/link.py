"""Interfaces of this host over rtnetlink: list them, make, raise and delete one, its addresses.

For the realserver side and for one-off questions; the director's VIPs and change events are
``kernel.address``. It decides nothing: no address is added or removed that was not asked for.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from typing import Any, Final, Protocol

from pyroute2.iproute.linux import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from lvsguard.kernel.port import KernelError

Interface = IPv4Interface | IPv6Interface
_open: Callable[[], Any] = AsyncIPRoute  # the library is not typed
NAME_MAX: Final = 15
"""Longest interface name in bytes (IFNAMSIZ - 1)."""
TIMEOUT_S: Final = 5.0
"""Longest wait for one netlink answer."""

# include/uapi/linux/if.h and if_addr.h
_IFF_UP, _IFF_LOOPBACK, _IFF_NOARP = 0x1, 0x8, 0x80
_IFA_F_NODAD, _IFA_F_DADFAILED, _IFA_F_TENTATIVE = 0x02, 0x08, 0x40


@dataclass(frozen=True, slots=True)
class LinkAddress:
    """An address on an interface. ``settled``: usable (IPv6 duplicate detection is over, well)."""

    address: Interface
    settled: bool = True

    def __str__(self) -> str:
        return str(self.address)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An interface. ``kind`` is rtnetlink's (``dummy``, ``veth``...), empty for hardware and lo."""

    index: int
    name: str
    kind: str = ""
    mac: str = ""
    up: bool = False
    loopback: bool = False
    no_arp: bool = False
    """IFF_NOARP: it neither asks nor answers ARP or neighbour discovery (dummy, ifb, tun)."""
    addresses: tuple[LinkAddress, ...] = ()

    @property
    def speaks_arp(self) -> bool:
        """Whether others on its network can ask it for a MAC address. A dummy has no network,
        even when somebody has set ``arp on``."""
        return not (self.loopback or self.no_arp or self.kind == "dummy")

    def holds(self, address: Interface) -> bool:
        """Whether this address with this prefix is on it."""
        return any(a.address == address for a in self.addresses)


class Links(Protocol):
    """What may be asked about interfaces."""

    async def read(self) -> tuple[Link, ...]:
        """All interfaces with their addresses, by index."""

    async def default_route_links(self) -> frozenset[int]:
        """Indexes of the interfaces that the main table's default routes use."""

    async def add(self, name: str, kind: str) -> bool:
        """Make an interface (down). False: one of this name was there."""

    async def set_up(self, name: str, *, up: bool) -> None:
        """Raise or lower an interface."""

    async def delete(self, name: str) -> bool:
        """Delete an interface. False: there was none."""

    async def add_address(self, name: str, address: Interface) -> bool:
        """Add an address (IPv6 without DAD). False: it was there."""

    async def delete_address(self, name: str, address: Interface) -> bool:
        """Delete an address. False: it was not there, or its interface is gone."""


def link_name_problem(name: str) -> str | None:
    """Why the kernel would not take this interface name (dev_valid_name), or None."""
    wire = name.encode("utf-8", "surrogateescape")
    if not name or len(wire) > NAME_MAX:
        return f"an interface name has 1 to {NAME_MAX} bytes"
    if name in {".", ".."} or not _FORBIDDEN.isdisjoint(wire):
        return "an interface name has no '/', ':' or space and is not '.' or '..'"
    if "%" in name:
        return "the kernel takes an interface name with '%' for a pattern: leave it out"
    return None


# The kernel's isspace() goes by bytes of Latin-1, the no-break space among them.
_FORBIDDEN: Final = frozenset(b"/:\0 \t\n\v\f\r\xa0")


@asynccontextmanager
async def open_links() -> AsyncIterator[Links]:
    """A netlink socket in the calling thread's network namespace. Raises KernelError."""
    links = _RouteLinks()
    try:
        yield links
    finally:
        links.close()


class _RouteLinks:
    """Links over one AsyncIPRoute, one request at a time."""

    def __init__(self) -> None:
        try:
            self._route = _open()
        except OSError as error:
            raise KernelError(
                f"no rtnetlink socket: {error.strerror}; allow AF_NETLINK in the systemd unit"
                " (RestrictAddressFamilies)",
                error.errno or 0,
            ) from error

    def close(self) -> None:
        self._route.close()

    async def read(self) -> tuple[Link, ...]:
        addresses: dict[int, list[LinkAddress]] = {}
        for message in await self._dump("list addresses", self._route.get_addr):
            local = message.get("IFA_LOCAL") or message.get("IFA_ADDRESS")
            flags = message.get("IFA_FLAGS") or message["flags"]
            entry = LinkAddress(
                ip_interface(f"{local}/{message['prefixlen']}"),
                settled=not flags & _IFA_F_DADFAILED
                and (not flags & _IFA_F_TENTATIVE or bool(flags & _IFA_F_NODAD)),
            )
            addresses.setdefault(message["index"], []).append(entry)
        links = []
        for message in await self._dump("list interfaces", self._route.get_links):
            info = message.get("IFLA_LINKINFO")
            links.append(
                Link(
                    index=message["index"],
                    name=message.get("IFLA_IFNAME"),
                    kind=(info.get("IFLA_INFO_KIND") if info else None) or "",
                    mac=message.get("IFLA_ADDRESS") or "",
                    up=bool(message["flags"] & _IFF_UP),
                    loopback=bool(message["flags"] & _IFF_LOOPBACK),
                    no_arp=bool(message["flags"] & _IFF_NOARP),
                    addresses=tuple(addresses.get(message["index"], ())),
                )
            )
        return tuple(sorted(links, key=lambda link: link.index))

    async def default_route_links(self) -> frozenset[int]:
        found = set()
        for message in await self._dump("list routes", self._route.get_default_routes):
            if (index := message.get("RTA_OIF")) is not None:
                found.add(index)
            for hop in message.get("RTA_MULTIPATH") or ():
                found.add(hop["oif"])
        return frozenset(found)

    async def add(self, name: str, kind: str) -> bool:
        if problem := link_name_problem(name):
            raise KernelError(f"interface {name!r} cannot be made: {problem}", errno.EINVAL)
        return await self._change(
            f"make interface {name} of type {kind}",
            lambda: self._route.link("add", ifname=name, kind=kind),
            harmless=errno.EEXIST,
        )

    async def set_up(self, name: str, *, up: bool) -> None:
        index = await self._index(name)
        await self._change(
            f"set interface {name} {'up' if up else 'down'}",
            lambda: self._route.link("set", index=index, state="up" if up else "down"),
        )

    async def delete(self, name: str) -> bool:
        try:
            index = await self._index(name)
        except KernelError as error:
            if error.errno == errno.ENODEV:
                return False
            raise
        return await self._change(
            f"delete interface {name}",
            lambda: self._route.link("del", index=index),
            harmless=errno.ENODEV,
        )

    async def add_address(self, name: str, address: Interface) -> bool:
        index = await self._index(name)
        flags = {"flags": _IFA_F_NODAD} if address.version == 6 else {}
        return await self._change(
            f"add address {address} to {name}",
            lambda: self._route.addr("add", **_wire(index, address), **flags),
            harmless=errno.EEXIST,
        )

    async def delete_address(self, name: str, address: Interface) -> bool:
        try:
            index = await self._index(name)
        except KernelError as error:
            if error.errno == errno.ENODEV:
                return False
            raise
        return await self._change(
            f"delete address {address} from {name}",
            lambda: self._route.addr("del", **_wire(index, address)),
            harmless=errno.EADDRNOTAVAIL,
        )

    async def _index(self, name: str) -> int:
        for message in await self._dump("list interfaces", self._route.get_links):
            if message.get("IFLA_IFNAME") == name:
                return int(message["index"])
        raise KernelError(
            f"there is no interface {name}: name one that exists (ip link)", errno.ENODEV
        )

    async def _dump(
        self, action: str, ask: Callable[[], Awaitable[AsyncIterator[Any]]]
    ) -> list[Any]:
        # Read to the end: a dump left in the middle makes the socket's next one fail with EBUSY.
        with _errors(action):
            async with asyncio.timeout(TIMEOUT_S):
                return [message async for message in await ask()]

    async def _change(
        self, action: str, ask: Callable[[], Awaitable[object]], *, harmless: int = 0
    ) -> bool:
        """Send one change. False: the kernel said ``harmless`` (it already was that way)."""
        try:
            with _errors(action):
                async with asyncio.timeout(TIMEOUT_S):
                    await ask()
        except KernelError as error:
            if harmless and error.errno == harmless:
                return False
            raise
        return True


def _wire(index: int, address: Interface) -> dict[str, int | str]:
    return {
        "index": index,
        "address": str(address.ip),
        "prefixlen": address.network.prefixlen,
        "family": socket.AF_INET if address.version == 4 else socket.AF_INET6,
    }


@contextmanager
def _errors(action: str) -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        number = error.code
        text = f"cannot {action}: {os.strerror(number)}"
        if hint := _HINTS.get(number):
            text += f"; {hint}"
        raise KernelError(text, number) from error
    except TimeoutError as error:
        raise KernelError(
            f"cannot {action}: no answer from the kernel in {TIMEOUT_S:.0f} s; try again"
        ) from error
    except OSError as error:
        raise KernelError(
            f"cannot {action}: {error.strerror or error}; try again", error.errno or 0
        ) from error


_HINTS: Final = {
    errno.EPERM: "CAP_NET_ADMIN is needed: run as root, or give it in the systemd unit"
    " (AmbientCapabilities=CAP_NET_ADMIN)",
    errno.EOPNOTSUPP: "this kernel has no such interface type: load its module"
    " (modprobe dummy) or name an interface that exists, such as lo",
    errno.EACCES: "IPv6 is turned off on the interface: set net.ipv6.conf.INTERFACE.disable_ipv6=0",
    errno.ENODEV: "the interface is gone: look at ip link",
}
