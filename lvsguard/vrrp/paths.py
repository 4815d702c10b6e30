"""The interfaces of the VRRP process: links for adverts, frames for announcements, ears for claims.

Opened, closed and opened again as interfaces come and go. What is heard goes to the station.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from lvsguard.core.model import IPAddress
from lvsguard.kernel.interface_watch import InterfaceWatch
from lvsguard.kernel.port import KernelError
from lvsguard.kernel.sysctl import Sysctl, SysctlError, conf
from lvsguard.vrrp.frame_socket import FrameSocket
from lvsguard.vrrp.instance import Instance
from lvsguard.vrrp.link import Datagram, FamilyNumber, Link
from lvsguard.vrrp.watch import Claim, ClaimWatch


class Paths:
    """All interfaces that instances use, by name."""

    def __init__(self, watch: InterfaceWatch, sysctl: Sysctl) -> None:
        """Nothing is used before ``configure``."""
        self._watch = watch
        self._sysctl = sysctl
        self.links: dict[str, Link] = {}
        self.frames: dict[str, FrameSocket] = {}
        """By the interface that VIPs stand on."""
        self.claims: dict[str, ClaimWatch] = {}
        self._macs: dict[str, bytes] = {}
        self._plan: object = None

    def configure(self, instances: Iterable[Instance], now: float) -> bool:
        """Have what these need; whether sockets are other ones now."""
        vrids: dict[str, dict[FamilyNumber, set[int]]] = {}
        vips: dict[str, set[IPAddress]] = {}
        sources: dict[str, set[IPAddress]] = {}
        standing: set[str] = set()
        macs: dict[str, bytes] = {}
        for one in instances:
            for path in one.paths:
                vrids.setdefault(path, {}).setdefault(one.family, set()).add(one.settings.vrid)
                vips.setdefault(path, set()).update(a.address for a in one.addresses)
                if one.source is not None:
                    sources.setdefault(path, set()).add(one.source)
            standing.update(a.interface for a in one.addresses)
            if one.virtual is not None:
                macs[one.virtual.parent] = one.virtual.mac
        plan = (vrids, vips, sources, standing, macs)
        if plan == self._plan:
            return False
        self.close_sockets()
        self._plan, self._macs = plan, macs
        self.links = {
            name: Link(name, vrids[name], vips=vips[name], sources=sources.get(name, ()))
            for name in vrids
        }
        self.frames = {name: FrameSocket(name) for name in standing}
        self.claims = {name: ClaimWatch(name, vips[name]) for name in vrids}
        self.update(now)
        return True

    def descriptors(self) -> Iterator[int]:
        """Readable when something came."""
        yield self._watch.fileno()
        for link in self.links.values():
            yield link.fileno()
        for claim in self.claims.values():
            yield claim.fileno()

    def look(self, now: float) -> tuple[frozenset[str], list[str]]:
        """Take in what became of the interfaces. Returns those that came back or left, and what
        went wrong."""
        try:
            changed = self._watch.read()
        except KernelError as error:
            return frozenset(), [str(error)]
        if not changed:
            return frozenset(), []
        return changed, self.update(now)

    def update(self, now: float) -> list[str]:
        """Hold all sockets against the interfaces as they are; what went wrong."""
        troubles: list[str] = []
        for name, link in self.links.items():
            state = self._watch.state(name)
            link.update(state, state, now)
        for name, frame in self.frames.items():
            try:
                frame.update(self._watch.state(name), router=self._forwards(name))
            except KernelError as error:
                troubles.append(str(error))
        for name, claim in self.claims.items():
            own = (self._macs[name],) if name in self._macs else ()
            try:
                claim.update(self._watch.state(name), own)
            except KernelError as error:
                troubles.append(str(error))
        return troubles

    def up(self, interface: str) -> bool:
        """Whether an interface is there, up, and has carrier."""
        state = self._watch.state(interface)
        return state is not None and state.up

    def read(self, now: float, *, urgent: bool = False) -> list[Datagram]:
        """What came over all links."""
        return [one for link in self.links.values() for one in link.read(now, urgent=urgent)]

    def claimed(self) -> list[Claim]:
        """Claims of VIPs by others."""
        heard: list[Claim] = []
        for claim in self.claims.values():
            heard += claim.read()
        return heard

    def timer(self) -> float | None:
        """When to call ``read`` though nothing came."""
        due = [at for link in self.links.values() if (at := link.timer()) is not None]
        return min(due, default=None)

    def discarded(self) -> Counter[str]:
        """What was thrown away before any instance saw it, by reason."""
        total: Counter[str] = Counter()
        for link in self.links.values():
            link.count_overflow()
            for reason, count in link.discarded.items():
                total[str(reason)] += count
        return total

    def close_sockets(self) -> None:
        """Give all sockets back, but for the watch."""
        for link in self.links.values():
            link.close()
        for frame in self.frames.values():
            frame.close()
        for claim in self.claims.values():
            claim.close()

    def _forwards(self, interface: str) -> bool:
        try:
            return self._sysctl.read_int(conf("ipv6", interface, "forwarding")) > 0
        except SysctlError:
            return False
