"""Addresses of this host's interfaces, over rtnetlink.

Everything by the project's own messages, for the VRRP process must be there at once when it is
started anew, and importing a library takes longer than all the rest. It adds and removes what it is
told to; whether and when is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Collection
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
from typing import Final

from lvsguard.core.model import VipAddress
from lvsguard.kernel.address_events import AddressEvents
from lvsguard.kernel.netlink import NLM_F_ACK, messages
from lvsguard.kernel.netlink_socket import (
    RECEIVE_BUFFER,
    AnswersLost,
    NetlinkSocket,
    Refused,
)
from lvsguard.kernel.port import Change, KernelError
from lvsguard.kernel.refusal import NEED_CAPABILITY
from lvsguard.kernel.rtnetlink import (
    add_address,
    decode_address,
    decode_link,
    delete_address,
    dump_addresses,
    get_link,
)

_DUMP: Final = 1
"""Always the same sequence number, so that unchanged dumps are equal bytes."""


class LinuxAddresses:
    """``kernel.port.Addresses`` in the network namespace it is opened in."""

    def __init__(self, *, receive_buffer: int = RECEIVE_BUFFER) -> None:
        """``receive_buffer``: bytes, for each of the sockets of ``changes``."""
        self._receive_buffer = receive_buffer
        self._turn = asyncio.Lock()
        self._netlink: NetlinkSocket | None = None
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
        done = await self._change(
            f"add {address}",
            lambda sequence: add_address(index, address.address, address.prefix, sequence),
            harmless={EEXIST},
        )
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
        return await self._change(
            f"remove {address}",
            lambda sequence: delete_address(index, address.address, address.prefix, sequence),
            harmless={EADDRNOTAVAIL, ENODEV},
        )

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
        self, what: str, request: Callable[[int], bytes], harmless: Collection[int]
    ) -> bool:
        """Send one change. False: the kernel answered something harmless."""
        async with self._asking(what) as netlink:
            sequence = netlink.next_sequence()
            try:
                await netlink.ask(request(sequence), sequence)
            except Refused as error:
                if error.errno in harmless:
                    return False
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
