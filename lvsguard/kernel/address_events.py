"""Changes of addresses, links and neighbours as the kernel reports them, within a millisecond."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from lvsguard.core.model import VipAddress
from lvsguard.kernel.netlink import NLMSG_MIN_TYPE, Message, messages
from lvsguard.kernel.netlink_socket import RECEIVE_BUFFER, NetlinkSocket
from lvsguard.kernel.port import (
    AddressCame,
    AddressGone,
    Change,
    ChangesLost,
    KernelError,
    LinkChanged,
    NeighbourFailed,
)
from lvsguard.kernel.rtnetlink import (
    GROUPS,
    NEIGHBOURS,
    RTM_DELADDR,
    RTM_DELLINK,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWNEIGH,
    AddressEntry,
    LinkEntry,
    decode_address,
    decode_failure,
    decode_link,
    dump_links,
)

_BASELINE: Final = 0x6C767367
"""Sequence number of the dump that tells the names and states to begin with. Odd, because a
notification may carry the number of whoever caused it."""


class AddressEvents:
    """An async iterator of changes. It listens from its making on, and ends with ``close``."""

    def __init__(self, receive_buffer: int = RECEIVE_BUFFER) -> None:
        """Raises KernelError when no socket can be had, as each step of the iteration may."""
        self._receive_buffer = receive_buffer
        self._links: dict[int, LinkEntry] = {}
        self._ready: deque[Change] = deque()
        self._closed = False
        self._wake = asyncio.Event()
        self._socket = self._open()

    def __aiter__(self) -> AddressEvents:
        return self

    async def __anext__(self) -> Change:
        while not self._ready:
            if self._closed:
                raise StopAsyncIteration
            try:
                raw = self._socket.receive_now()
                if raw is None:
                    await self._readable()
                    continue
                self._ready.extend(self._changes(raw))
            except KernelError:
                # Listen again first: whoever hears of the loss reads, and misses nothing after.
                self._socket.close()
                self._socket = self._open()
                self._ready.append(ChangesLost())
            # A flood of changes must not keep the loop from the others.
            await asyncio.sleep(0)
        return self._ready.popleft()

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._closed

    def close(self) -> None:
        """Give the socket back and end the iteration."""
        if self._closed:
            return
        self._closed = True
        self._ready.clear()
        with suppress(RuntimeError):
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()
        self._wake.set()

    def _open(self) -> NetlinkSocket:
        netlink = NetlinkSocket(socket.NETLINK_ROUTE, GROUPS | NEIGHBOURS, self._receive_buffer)
        try:
            netlink.send(dump_links(_BASELINE))
        except BaseException:
            netlink.close()
            raise
        return netlink

    async def _readable(self) -> None:
        """Return when there is something to read, or it was closed."""
        loop = asyncio.get_running_loop()
        self._wake.clear()
        descriptor = self._socket.fileno()
        loop.add_reader(descriptor, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            # After close() the number may be somebody else's: close() has removed it already.
            if not self._closed:
                loop.remove_reader(descriptor)

    def _changes(self, raw: bytes) -> Iterator[Change]:
        for message in messages(raw):
            if message.type < NLMSG_MIN_TYPE:
                continue
            if message.type in (RTM_NEWADDR, RTM_DELADDR):
                entry = decode_address(raw, message)
                if entry is not None:
                    yield self._address(message, entry)
            elif message.type in (RTM_NEWLINK, RTM_DELLINK):
                link = decode_link(raw, message)
                if link is not None:
                    yield from self._link(message, link)
            elif message.type == RTM_NEWNEIGH:
                failed = decode_failure(raw, message)
                if failed is not None:
                    yield NeighbourFailed(failed)

    def _address(self, message: Message, entry: AddressEntry) -> Change:
        address = VipAddress(self._name(entry.link), entry.address, entry.prefix)
        return AddressCame(address) if message.type == RTM_NEWADDR else AddressGone(address)

    def _link(self, message: Message, link: LinkEntry) -> Iterator[Change]:
        before = self._links.get(link.link)
        if message.type == RTM_DELLINK:
            self._links.pop(link.link, None)
            yield LinkChanged(link.name, up=False, present=False)
            return
        self._links[link.link] = link
        if message.sequence == _BASELINE or before == link:
            return
        if before is not None and before.name != link.name:
            yield LinkChanged(before.name, up=False, present=False)
        yield LinkChanged(link.name, link.up)

    def _name(self, index: int) -> str:
        known = self._links.get(index)
        if known is not None:
            return known.name
        try:
            return socket.if_indextoname(index)
        except OSError:
            return f"if{index}"
