"""One election of a simulated director: what it says and believes, and the addresses that stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsguard.vrrp import packet
from lvsguard.vrrp.advert import GROUP_V4, GROUP_V6, TTL, Advert, Wire
from lvsguard.vrrp.reception import Datagram, Received
from lvsguard.vrrp.transitions import HOLDING, State

if TYPE_CHECKING:
    from lvsguard.vrrp.election import Election
    from lvsguard.vrrp.settings import Settings
    from tests.sim.host import Host


class Seat:
    """A member of a director's group."""

    def __init__(self, host: Host, number: int, settings: Settings) -> None:
        self.host = host
        self.number = number
        self.settings = settings
        self.name = str(settings.local.version)
        self.holds = False
        """Its addresses stand, also without a process."""
        self._wire = Wire(version=settings.version)
        self._octets: dict[Advert, Datagram] = {}
        self._heard: dict[tuple[bytes, int], Advert | None] = {}
        self._expected = Advert(
            settings.vrid, 100, settings.interval, settings.addresses, settings.version
        )

    @property
    def election(self) -> Election | None:
        """None: the process is not there."""
        group = self.host.group
        return None if group is None else group.members[self.name]

    @property
    def state(self) -> State:
        """A process that is not there is INIT."""
        one = self.election
        return State.INIT if one is None else one.state

    @property
    def priority(self) -> int:
        """0 without a process."""
        one = self.election
        return 0 if one is None else one.priority

    @property
    def leads(self) -> bool:
        """Whether it has the addresses and runs."""
        return self.holds and self.host.awake

    @property
    def speaks(self) -> bool:
        """Whether it has them as a master, and not only still."""
        return self.leads and self.state in HOLDING

    @property
    def serves(self) -> bool:
        """Whether its kernel forwards."""
        return self.holds and not self.host.frozen

    @property
    def waits(self) -> bool:
        """Whether it neither is master nor would become it."""
        one = self.election
        return one is not None and one.state is State.BACKUP and not one.contends

    @property
    def eligible(self) -> bool:
        """Whether it would have to take over from a silent master."""
        one = self.election
        runs = one is not None and self.host.awake
        return one is not None and runs and one.state is State.BACKUP and one.contends

    def believe(self, datagram: Datagram, sender: int) -> Advert | None:
        """Decode a packet; octets that were decoded once need not be again, the codec is pure."""
        key = (datagram.payload, sender)
        if key not in self._heard:
            got = packet.decode(datagram, self._wire, self._expected)
            self._heard[key] = got.advert if isinstance(got, Received) else None
        return self._heard[key]

    def octets(self, advert: Advert) -> Datagram:
        """An advert as it goes out."""
        datagram = self._octets.get(advert)
        if datagram is None:
            source, version = self.settings.local, self.settings.local.version
            group = GROUP_V4 if version == 4 else GROUP_V6
            octets = packet.encode(advert, self._wire, source, group)
            datagram = self._octets[advert] = Datagram(octets, source, group, TTL)
        return datagram
