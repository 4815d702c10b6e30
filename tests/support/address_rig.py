"""The two sets of interfaces that the address contract is held against.

On the real one `ip` is the second reader, and "somebody else" who edits.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from ipaddress import ip_address
from typing import Protocol

from lvsguard.core.model import VipAddress
from lvsguard.kernel.address import LinuxAddresses
from lvsguard.kernel.port import Addresses
from tests.support.fake_kernel import FakeAddresses
from tests.support.ipvs_rig import ip

LINK, OTHER = "vip0", "vip1"


class AddressRig(Protocol):
    """Two interfaces, ``vip0`` and ``vip1``, both up with carrier, and a way around the port."""

    @property
    def addresses(self) -> Addresses:
        """The port."""

    def witness(self) -> frozenset[VipAddress]:
        """The addresses of both interfaces as somebody else sees them, link-local ones left out."""

    def put(self, address: VipAddress) -> None:
        """Somebody else adds an address."""

    def drop(self, address: VipAddress) -> None:
        """Somebody else removes an address."""

    def set_link(self, interface: str, *, up: bool) -> None:
        """Somebody else sets an interface up or down."""

    def add_link(self, interface: str) -> None:
        """Somebody else makes an interface, down."""

    def drop_link(self, interface: str) -> None:
        """Somebody else deletes an interface."""


class FakeAddressRig:
    """Interfaces in memory."""

    def __init__(self) -> None:
        self.addresses = FakeAddresses({LINK: True, OTHER: True})

    def witness(self) -> frozenset[VipAddress]:
        return frozenset(self.addresses.held)

    def put(self, address: VipAddress) -> None:
        self.addresses.put(address)

    def drop(self, address: VipAddress) -> None:
        self.addresses.drop(address)

    def set_link(self, interface: str, *, up: bool) -> None:
        self.addresses.set_link(interface, up=up)

    def add_link(self, interface: str) -> None:
        self.addresses.set_link(interface, up=False)

    def drop_link(self, interface: str) -> None:
        self.addresses.drop_link(interface)


class LinuxAddressRig:
    """Dummy interfaces of the kernel that the tests run on."""

    def __init__(self, addresses: LinuxAddresses) -> None:
        self.addresses = addresses

    def witness(self) -> frozenset[VipAddress]:
        return frozenset(
            VipAddress(link["ifname"], ip_address(entry["local"]), entry["prefixlen"])
            for link in json.loads(ip("-j", "addr"))
            if link.get("ifname") in (LINK, OTHER)
            for entry in link["addr_info"]
            if entry["scope"] != "link"
        )

    def put(self, address: VipAddress) -> None:
        # An IPv6 address is reported when its duplicate detection is over, which takes a second.
        at_once = ("nodad",) if address.address.version == 6 else ()
        where = f"{address.address}/{address.prefix}", "dev", address.interface
        ip("addr", "add", *where, *at_once)

    def drop(self, address: VipAddress) -> None:
        ip("addr", "del", f"{address.address}/{address.prefix}", "dev", address.interface)

    def set_link(self, interface: str, *, up: bool) -> None:
        ip("link", "set", interface, "up" if up else "down")

    def add_link(self, interface: str) -> None:
        ip("link", "add", interface, "type", "dummy")

    def drop_link(self, interface: str) -> None:
        ip("link", "del", interface)


@asynccontextmanager
async def linux_address_rig() -> AsyncIterator[LinuxAddressRig]:
    """Two dummy interfaces, gone afterwards."""
    with _links():
        addresses = LinuxAddresses()
        try:
            yield LinuxAddressRig(addresses)
        finally:
            await addresses.close()


@contextmanager
def _links() -> Iterator[None]:
    for name in (LINK, OTHER):
        ip("link", "add", name, "type", "dummy")
        ip("link", "set", name, "up")
    try:
        yield
    finally:
        left = {link.get("ifname") for link in json.loads(ip("-j", "link"))}
        for name in left & {LINK, OTHER}:
            ip("link", "del", name)
