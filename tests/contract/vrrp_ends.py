"""A `Link` at either end of a cable, kept up to date by the kernel's events, for tests."""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from lvsguard.core.model import IPAddress
from lvsguard.kernel.interface_watch import InterfaceWatch
from lvsguard.vrrp.advert import GROUP_V4, GROUP_V6
from lvsguard.vrrp.link import Datagram, Link
from tests.support.topology import Host

ADVERT = bytes.fromhex("313364010064a802c0000264")
"""Version 3, vrid 51, one address; its checksum is none of a link's business."""
VIP, VIP6 = IPv4Address("10.0.0.8"), IPv6Address("fd00::8")


@dataclass
class End:
    """A host's link and its watch."""

    host: Host
    link: Link
    watch: InterfaceWatch

    def look(self) -> bool:
        """Take in what the kernel reported."""
        with self.host.entered():  # a socket may be opened anew
            self.watch.read()
            return self.link.update(self.watch.state(self.link.interface), time.monotonic())

    def until(self, holds: Callable[[], bool], within: float = 5.0) -> None:
        """Look at events until it holds."""
        end = time.monotonic() + within
        self.look()
        while not holds():
            assert time.monotonic() < end, (self.link.problem(4), self.link.problem(6))
            select.select([self.watch], [], [], 0.1)
            self.look()

    def send(self, destination: IPAddress, payload: bytes = ADVERT) -> IPAddress:
        """Send from the link's own source, which is returned."""
        source = self.link.source_for(destination)
        assert source is not None, self.link.problem(4 if destination.version == 4 else 6)
        self.link.send(payload, source, destination)
        return source

    def hear(self, within: float = 2.0) -> list[Datagram]:
        """What comes, as soon as something does; nothing when nothing comes in time."""
        end = time.monotonic() + within
        while (left := end - time.monotonic()) > 0:
            readable, _, _ = select.select([self.link], [], [], left)
            if readable and (heard := self.link.read(time.monotonic())):
                return heard
        return []


@contextlib.contextmanager
def end(host: Host, interface: str = "eth0") -> Iterator[End]:
    """A link for vrid 51 in both families, ready to use."""
    with host.entered():
        watch = InterfaceWatch()
        link = Link(interface, {4: (51,), 6: (51,)}, vips=(VIP, VIP6))
        made = End(host, link, watch)
        try:
            made.until(lambda: not link.problem(4) and not link.problem(6))
            yield made
        finally:
            link.close()
            watch.close()


def group(family: int) -> IPAddress:
    """Where adverts go."""
    return GROUP_V4 if family == 4 else GROUP_V6
