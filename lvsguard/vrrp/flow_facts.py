"""What the IPVS table tells about a connection that the connection table does not. Pure.

/proc/net/ip_vs_conn shows neither the forwarding method, nor the firewall mark, nor how long a
persistence template lives. All three follow from the realserver that the connection goes to, found
as the kernel's backup daemon will find it (net/netfilter/ipvs/ip_vs_ctl.c ip_vs_find_dest).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from lvsguard.core.model import Forwarding, Protocol, ServiceKey, VirtualService
from lvsguard.vrrp.sync_entry import IPPROTO_IP, IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP, Flags

_PROTOCOLS: Final = {
    Protocol.TCP: IPPROTO_TCP,
    Protocol.UDP: IPPROTO_UDP,
    Protocol.SCTP: IPPROTO_SCTP,
}
_FORWARDING: Final = {
    Forwarding.NAT: int(Flags.MASQ),
    # What has no answers to rewrite is marked so (ip_vs_ctl.c __ip_vs_update_dest).
    Forwarding.LOCAL: int(Flags.LOCALNODE | Flags.NOOUTPUT),
    Forwarding.TUN: int(Flags.TUNNEL | Flags.NOOUTPUT),
    Forwarding.DR: int(Flags.DROUTE | Flags.NOOUTPUT),
    Forwarding.BYPASS: int(Flags.BYPASS | Flags.NOOUTPUT),
}


class Facts(NamedTuple):
    """What is known of a connection. ``known``: its realserver is in the table."""

    flags: int
    """Forwarding method, and NOOUTPUT where that belongs to it."""
    fwmark: int = 0
    persistence: int | None = None
    """Seconds that a template of the service lives after its last use."""
    known: bool = True


_GUESS: Final = Facts(_FORWARDING[Forwarding.DR], known=False)
"""Of a connection that no service explains: it is forwarded as most are."""


@dataclass(frozen=True, slots=True)
class _Service:
    fwmark: int
    persistence: int | None
    realservers: Mapping[tuple[bytes, int], int]
    """Flags by address and port."""
    addresses: Mapping[bytes, int]
    """Flags by address, of whichever port."""

    @classmethod
    def of(cls, key: ServiceKey, service: VirtualService) -> _Service:
        realservers = {
            (realserver.address.packed, realserver.port): _FORWARDING[entry.forwarding]
            for realserver, entry in service.realservers.items()
        }
        persistence = service.persistence.timeout if service.persistence else None
        addresses = {address: flags for (address, _), flags in realservers.items()}
        return cls(key.fwmark, persistence, realservers, addresses)

    def facts(self, realserver: bytes, port: int) -> Facts | None:
        """None: it has no such realserver."""
        flags = self.realservers.get((realserver, port))
        if flags is None:
            flags = self.realservers.get((realserver, 0))
        if flags is None and self.fwmark:
            flags = self.addresses.get(realserver)
        return None if flags is None else Facts(flags, self.fwmark, self.persistence)

    def guess(self) -> Facts:
        """Of a connection whose realserver has left: as the others are, if there are any."""
        flags = next(iter(self.realservers.values()), _GUESS.flags)
        return Facts(flags, self.fwmark, self.persistence, known=False)


class FlowFacts:
    """One read of the IPVS table, to be asked about connections."""

    def __init__(self, services: Mapping[ServiceKey, VirtualService]) -> None:
        self._listening: dict[tuple[int, bytes, int], _Service] = {}
        self._marked: dict[tuple[int, int], _Service] = {}
        """By length of an address and mark, the lowest mark first."""
        for key, service in sorted(services.items(), key=lambda item: item[0].fwmark):
            if key.protocol is not None and key.address is not None:
                at = (_PROTOCOLS[key.protocol], key.address.packed, key.port)
                self._listening[at] = _Service.of(key, service)
            else:
                length = 4 if key.family == 4 else 16
                self._marked[length, key.fwmark] = _Service.of(key, service)

    def __call__(
        self, protocol: int, virtual: bytes, virtual_port: int, realserver: bytes, port: int
    ) -> Facts:
        """What follows for a connection between these ends. Addresses are packed.

        A connection that both a service at the VIP and a marked one explain counts as the
        former's. Of marked services alone it is the one with the lowest mark. A wrong choice puts
        it into another service's counters on the peer, and forwards it alike.
        """
        if protocol == IPPROTO_IP:
            mark = int.from_bytes(virtual[:4], "big")
            service = self._marked.get((len(virtual), mark))
            if service is None:
                return _GUESS._replace(fwmark=mark)
            return service.facts(realserver, port) or service.guess()
        listening = [
            service
            for number in dict.fromkeys((virtual_port, 0))
            if (service := self._listening.get((protocol, virtual, number)))
        ]
        marked = [
            service for (length, _), service in self._marked.items() if length == len(virtual)
        ]
        for service in (*listening, *marked):
            facts = service.facts(realserver, port)
            if facts is not None:
                return facts
        return listening[0].guess() if listening else _GUESS
