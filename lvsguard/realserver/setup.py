"""Makes a realserver of this host and makes it an ordinary host again: ``up`` and ``down``.

Order is the point: ARP is quiet before a VIP appears and stays so until it is gone. Both may be
repeated at any time. What somebody else changed since is left.
"""

from __future__ import annotations

from dataclasses import replace

from lvsguard.kernel.link import Links
from lvsguard.kernel.port import KernelError
from lvsguard.realserver.model import LINK, ArpMode, Change, RealserverSetup, elsewhere
from lvsguard.realserver.record import Own
from lvsguard.realserver.session import Host, open_session


async def up(setup: RealserverSetup, host: Host) -> tuple[Change, ...]:
    """Make this host a realserver for the VIPs; return what had to be changed.

    A second call changes nothing; one with another setup for the same link goes over to it. Raises
    KernelError; what was done until then is recorded, and another ``up`` or a ``down`` goes on.
    """
    async with open_session(host) as session:
        await _refuse(setup, session.links)
        before = session.record.owns.get(setup.link, Own(setup=setup))
        was_table = before.table or setup.mode is ArpMode.NFTABLES
        session.keep(replace(before, setup=setup, table=was_table))
        await session.raise_link(setup.link)
        await session.quiet(setup, before.setup)
        for address in setup.interfaces:
            await session.add_address(setup.link, address)
        for address in sorted(before.addresses - set(setup.interfaces), key=str):
            await session.delete_address(setup.link, address)
        await session.release(setup)
        return tuple(session.changes)


async def down(host: Host, link: str | None = None) -> tuple[Change, ...]:
    """Undo what ``up`` made for one link, or for all; return what was changed or left.

    Without a record (no ``up`` since boot, or already undone) nothing is touched.
    """
    async with open_session(host) as session:
        for name, own in sorted(session.record.owns.items()):
            if link in {None, name}:
                await session.undo(own)
        return tuple(session.changes)


async def _refuse(setup: RealserverSetup, links: Links) -> None:
    """Raise when the VIPs could not be quiet where they are or shall be, before any change."""
    present = await links.read()
    target = next((link for link in present if link.name == setup.link), None)
    quiet_vips = () if setup.mode in {ArpMode.ARPTABLES, ArpMode.NFTABLES} else setup.ipv4_vips
    loud = [vip for vip in setup.vips if vip.version == 6 or vip in quiet_vips]
    if setup.mode is ArpMode.NONE:
        return
    if target is not None and target.speaks_arp and loud:
        raise KernelError(
            f"{setup.link} would answer for {loud[0]} itself, as it speaks ARP and neighbour"
            f" discovery: use a dummy link (--link {LINK}) or lo"
        )
    for address, link in elsewhere(setup, present):
        if (vip := address.ip) in loud:
            raise KernelError(
                f"{vip} is also on {link.name}, which answers for it, so nothing was changed:"
                f" remove it there (ip addr del {address} dev {link.name}); or is this host"
                " the director?"
            )
