"""What a VRRP process that is gone for good leaves on the interfaces: the addresses of its VIPs.

The process takes them off by itself when it hands over. Where there is none to be asked, they would
stay on this host beside the next master.
"""

from __future__ import annotations

from collections.abc import Iterable

from lvsguard.core.event import Event
from lvsguard.kernel.port import Addresses
from lvsguard.kernel.sysctl import Sysctl
from lvsguard.vrrp.instance import Instance, families, standing_on
from lvsguard.vrrp.keeper import Keeper
from lvsguard.vrrp.message import Put
from lvsguard.vrrp.ownership import AddressOwner


async def take_off(puts: Iterable[Put], addresses: Addresses) -> dict[str, list[str]]:
    """Take the addresses of VIP groups off. By group that had any there: what could not be done.
    Raises KernelError when nothing could be read."""
    wanted = list(puts)
    owner = AddressOwner(addresses, emit=_forget, changed=lambda: None)
    keeper = Keeper(owner, Sysctl())
    await keeper.find(set().union(*map(standing_on, wanted)))
    troubles: dict[str, list[str]] = {}
    for put in wanted:
        for mine in (Instance(put, family) for family in families(put)):
            keeper.adopt(mine)
            if not keeper.holds(mine):
                continue
            troubles.setdefault(put.name, []).extend(await keeper.remove(mine))
            keeper.drop((), (mine.virtual,) if mine.virtual is not None else ())
    await keeper.rest()
    return troubles


def _forget(event: Event) -> None:
    """The owner tells of what it mends, and this one follows no events."""
