"""Addresses of this host's interfaces, over rtnetlink.

Read and listened to by the project's own messages, written by pyroute2. It adds and removes what
it is told to; whether and when is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from errno import (
    EACCES,
    EADDRNOTAVAIL,
    EEXIST,
    EINTR,
    EINVAL,
    ENOBUFS,
    ENODEV,
    EPERM,
    ETIMEDOUT,
)
from os import strerror
from typing import Any, Final

from pyroute2.iproute.linux import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from lvsguard.core.model import VipAddress
from lvsguard.kernel.address_events import AddressEvents
from lvsguard.kernel.netlink import NLM_F_ACK, messages
from lvsguard.kernel.netlink_socket import (
    RECEIVE_BUFFER,
    TIMEOUT,
    AnswersLost,
    NetlinkSocket,
    Refused,
)
from lvsguard.kernel.port import Change, KernelError
from lvsguard.kernel.refusal import NEED_CAPABILITY
from lvsguard.kernel.rtnetlink import decode_address, decode_link, dump_addresses, get_link

_open_route: Callable[[], Any] = AsyncIPRoute  # the library is not typed
_IFA_F_NODAD: Final = 0x02
_DUMP: Final = 1
"""Always the same sequence number, so that unchanged dumps are equal bytes."""


class LinuxAddresses:
    """``kernel.port.Addresses`` in the network namespace it is opened in."""

    def __init__(self, *, receive_buffer: int = RECEIVE_BUFFER) -> None:
        """``receive_buffer``: bytes, for each of the sockets of ``changes``."""
        self._receive_buffer = receive_buffer
        self._turn = asyncio.Lock()
        self._netlink: NetlinkSocket | None = None
        self._route: Any = None
        self._listeners: list[AddressEvents] = []
        self._last: tuple[dict[int, str], list[bytes]] = ({}, [])
        self._held: frozenset[VipAddress] = frozenset()

    async def read(self, interfaces: Collection[str]) -> frozenset[VipAddress]:
        """Every address on these interfaces; the same set as last time when nothing changed."""
        try:
            return await self._read(interfaces)
        except KernelError as error:
            # A dump that was interrupted or lost is asked for again, once.
            if error.errno not in (EINTR, ENOBUFS):
                raise
        return await self._read(interfaces)

    async def links(self, interfaces: Collection[str]) -> dict[str, bool]:
        """Which of these interfaces exist, and whether each is up with carrier."""
        states = {}
        for name in interfaces:
            if _index(name) is None:
                continue
            async with self._asking(f"read interface {name}") as netlink:
                sequence = netlink.next_sequence()
                try:
                    answers = await netlink.ask(get_link(name, NLM_F_ACK, sequence), sequence)
                except Refused as error:
                    if error.errno != ENODEV:
                        raise
                    continue
            for raw, message in answers:
                link = decode_link(raw, message)
                if link is not None:
                    states[name] = link.up
        return states

    async def add(self, address: VipAddress) -> bool:
        """Put an address on its interface. False: it was there.

        IPv6 without duplicate detection, and deprecated (RFC 6724 section 5, rule 3): it is never
        the source of what the director itself sends, which the realservers hold to be their own.
        IPv4 VIPs are secondary addresses, which are no sources anyway.
        """
        index = _index(address.interface)
        if index is None:
            raise KernelError(
                f"cannot add {address}: there is no interface {address.interface}: create it, or"
                " name another in the config (ip link shows them)",
                ENODEV,
            )
        more = {"flags": _IFA_F_NODAD, "preferred": 0} if address.address.version == 6 else {}
        done = await self._change("add", address, index, harmless={EEXIST}, **more)
        if not done and address not in await self.read({address.interface}):
            raise KernelError(
                f"cannot add {address}: it is there with another prefix length: remove that with"
                f" `ip addr del`, or give this one in the config (ip addr show"
                f" {address.interface})",
                EEXIST,
            )
        return done

    async def remove(self, address: VipAddress) -> bool:
        """Take an address off its interface. False: it was not there."""
        index = _index(address.interface)
        if index is None:
            return False
        return await self._change("del", address, index, harmless={EADDRNOTAVAIL, ENODEV})

    def changes(self) -> AsyncIterator[Change]:
        """Changes as the kernel reports them, from the call on; ends with close()."""
        self._listeners = [one for one in self._listeners if not one.closed]
        events = AddressEvents(self._receive_buffer)
        self._listeners.append(events)
        return events

    async def close(self) -> None:
        """Give the sockets back; ends changes()."""
        for events in self._listeners:
            events.close()
        self._drop()

    async def _read(self, interfaces: Collection[str]) -> frozenset[VipAddress]:
        names = {index: name for name in interfaces if (index := _index(name)) is not None}
        async with self._asking("read the addresses") as netlink:
            datagrams = await netlink.dump(dump_addresses(_DUMP), _DUMP)
        if (names, datagrams) != self._last:
            self._held = frozenset(
                VipAddress(names[entry.link], entry.address, entry.prefix)
                for raw in datagrams
                for message in messages(raw)
                if (entry := decode_address(raw, message)) is not None and entry.link in names
            )
            self._last = names, datagrams
        return self._held

    async def _change(
        self,
        command: str,
        address: VipAddress,
        index: int,
        *,
        harmless: Collection[int],
        **more: int,
    ) -> bool:
        """Send one change. False: the kernel answered something harmless."""
        what = f"{'add' if command == 'add' else 'remove'} {address}"
        async with self._turn:
            try:
                if self._route is None:
                    self._route = _open_route()
                request: Awaitable[object] = self._route.addr(
                    command,
                    index=index,
                    address=str(address.address),
                    prefixlen=address.prefix,
                    **more,
                )
                async with asyncio.timeout(TIMEOUT):
                    await request
            except NetlinkError as error:
                if error.code in harmless:
                    return False
                self._drop()
                raise KernelError(_explained(what, error.code), error.code) from error
            except TimeoutError as error:
                self._drop()
                raise KernelError(_explained(what, ETIMEDOUT), ETIMEDOUT) from error
            except OSError as error:
                self._drop()
                raise KernelError(_explained(what, error.errno or 0), error.errno or 0) from error
            except BaseException:
                self._drop()
                raise
            return True

    @asynccontextmanager
    async def _asking(self, what: str) -> AsyncIterator[NetlinkSocket]:
        """A turn on the reading socket; any error makes the next one open a new socket."""
        async with self._turn:
            try:
                if self._netlink is None:
                    self._netlink = NetlinkSocket(socket.NETLINK_ROUTE)
                yield self._netlink
            except (Refused, AnswersLost) as error:
                self._drop()
                raise KernelError(_explained(what, error.errno), error.errno) from error
            except BaseException:
                self._drop()
                raise

    def _drop(self) -> None:
        if self._netlink is not None:
            self._netlink.close()
            self._netlink = None
        if self._route is not None:
            self._route.close()
            self._route = None


def _index(interface: str) -> int | None:
    try:
        return socket.if_nametoindex(interface)
    except (OSError, ValueError):
        return None


def _explained(what: str, errno: int) -> str:
    hint = {
        EPERM: NEED_CAPABILITY,
        EACCES: "IPv6 is off on this interface: set net.ipv6.conf.<interface>.disable_ipv6=0",
        ENODEV: "the interface has gone: create it, or name another in the config",
        EINVAL: "the kernel does not take this address and prefix length: see ip addr",
        ENOBUFS: "the kernel's answer was lost; it is asked again",
        EINTR: "addresses changed meanwhile; they are read again",
        ETIMEDOUT: "the kernel did not answer; it is asked again",
    }.get(errno, "look at the kernel's log (dmesg)")
    return f"cannot {what}: {strerror(errno)}: {hint}"
