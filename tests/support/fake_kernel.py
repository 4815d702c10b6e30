"""A kernel in memory that obeys the kernel's rules, for the tests of whoever talks to one.

``FakeIpvs`` and ``FakeAddresses`` answer like Linux does (net/netfilter/ipvs/ip_vs_ctl.c,
net/ipv4/devinet.c); tests/contract runs the same suite on them and on the real ones. Faults are
injected, time does not pass, nothing sleeps.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from errno import EEXIST, EINVAL, ENODEV, ENOENT, ESRCH
from os import strerror

from lvsguard.core.model import (
    CounterKey,
    Counters,
    Forwarding,
    Observation,
    Realserver,
    RealserverKey,
    ServiceKey,
    Tunnel,
    VipAddress,
    VirtualService,
)
from lvsguard.core.scheduler import SCHEDULERS, normal_flags
from lvsguard.core.step import (
    AddRealserver,
    AddService,
    DeleteRealserver,
    DeleteService,
    EditRealserver,
    EditService,
    IpvsStep,
)
from lvsguard.kernel.port import (
    AddressCame,
    AddressGone,
    Change,
    ChangesLost,
    Info,
    KernelError,
    LinkChanged,
    StepFailure,
    SyncDaemon,
    SyncRole,
    Timeouts,
)
from lvsguard.kernel.refusal import (
    check_sync,
    check_timeouts,
    failure,
    refusal,
    sync_refused,
)

Table = dict[ServiceKey, VirtualService]


def any_step(_step: IpvsStep) -> bool:
    """Match every step."""
    return True


@dataclass
class _Fault:
    errno: int
    when: Callable[[IpvsStep], bool]
    times: int


class Arrivals:
    """Lets a test wait, without sleeping, until something has happened here."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Event] = set()

    def happened(self) -> None:
        """Wake whoever waits."""
        for event in self._waiting:
            event.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return as soon as ``condition()`` holds; it is asked again after each happening."""
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            while not condition():
                event.clear()
                await event.wait()
        finally:
            self._waiting.discard(event)


class FakeIpvs:
    """The IPVS table. ``table`` is what it holds now; ``applied`` every step that succeeded."""

    def __init__(
        self,
        table: Table | None = None,
        *,
        schedulers: Iterable[str] = SCHEDULERS,
        engines: Iterable[str] = ("sip",),
        interfaces: Iterable[str] = ("lo", "eth0"),
        shortest_sync: int = 1,
    ) -> None:
        self.table: Table = {}
        self.applied: list[IpvsStep] = []
        self.reads = 0
        self.closed = False
        self.arrivals = Arrivals()
        self._writes = 0
        self._schedulers = frozenset(schedulers)
        self._engines = frozenset(engines)
        self._interfaces = frozenset(interfaces)
        self._shortest_sync = shortest_sync
        self._counters: dict[CounterKey, Counters] = {}
        self._faults: list[_Fault] = []
        self._failing_reads: deque[KernelError] = deque()
        self._failing_applies: deque[KernelError] = deque()
        self._timeouts = Timeouts(900, 120, 300)
        self._sync: dict[SyncRole, SyncDaemon] = {}
        for key, service in (table or {}).items():
            self.put(key, service)

    # What a test may do to it.

    def fail(self, errno: int, when: Callable[[IpvsStep], bool] = any_step, times: int = 1) -> None:
        """Refuse the next ``times`` steps for which ``when(step)`` holds."""
        self._faults.append(_Fault(errno, when, times))

    def fail_reads(self, errno: int, times: int = 1) -> None:
        """Let the next reads raise KernelError."""
        error = KernelError(f"cannot read the IPVS table: {strerror(errno)}: injected", errno)
        self._failing_reads.extend([error] * times)

    def fail_applies(self, errno: int, times: int = 1) -> None:
        """Let the next calls of apply raise KernelError, with nothing applied."""
        error = KernelError(f"cannot change the IPVS table: {strerror(errno)}: injected", errno)
        self._failing_applies.extend([error] * times)

    def heal(self) -> None:
        """Forget all injected faults."""
        self._faults.clear()
        self._failing_reads.clear()
        self._failing_applies.clear()

    def put(self, key: ServiceKey, service: VirtualService) -> None:
        """Somebody else sets a whole service, realservers included. Not counted as a write."""
        self.table[key] = replace(
            _normal(service),
            realservers={k: _normal_entry(r) for k, r in service.realservers.items()},
        )
        self.arrivals.happened()

    def drop(self, key: ServiceKey, realserver: RealserverKey | None = None) -> None:
        """Somebody else deletes a service or a realserver (ipvsadm -D, -d)."""
        if realserver is None:
            del self.table[key]
        else:
            entries = dict(self.table[key].realservers)
            del entries[realserver]
            self.table[key] = replace(self.table[key], realservers=entries)
        self.arrivals.happened()

    def clear(self) -> None:
        """Somebody else empties the table (ipvsadm -C)."""
        self.table.clear()
        self.arrivals.happened()

    def count(
        self, service: ServiceKey, realserver: RealserverKey | None, counters: Counters
    ) -> None:
        """Set the counters of a service (realserver None) or of a realserver."""
        self._counters[service, realserver] = counters
        self.arrivals.happened()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something that was done to the table makes ``condition()`` true."""
        await self.arrivals.until(condition)

    # The port.

    @property
    def writes(self) -> int:
        return self._writes

    async def read(self) -> Observation:
        self.reads += 1
        await asyncio.sleep(0)
        if self._failing_reads:
            raise self._failing_reads.popleft()
        counters: dict[CounterKey, Counters] = {}
        for key, service in self.table.items():
            counters[key, None] = self._counters.get((key, None), Counters())
            for realserver in service.realservers:
                known = self._counters.get((key, realserver), Counters())
                counters[key, realserver] = known
        return Observation(dict(self.table), counters)

    async def apply(self, steps: Sequence[IpvsStep]) -> tuple[StepFailure, ...]:
        await asyncio.sleep(0)
        if steps and self._failing_applies:
            raise self._failing_applies.popleft()
        failures = []
        for step in steps:
            if (refused := self._do(step)) is not None:
                failures.append(refused)
            else:
                self.applied.append(step)
        self.arrivals.happened()
        return tuple(failures)

    async def info(self) -> Info:
        return Info("1.2.1", 4096)

    async def timeouts(self) -> Timeouts:
        return self._timeouts

    async def set_timeouts(self, timeouts: Timeouts) -> None:
        check_timeouts(timeouts)
        self._writes += 1
        self._timeouts = Timeouts(
            timeouts.tcp or self._timeouts.tcp,
            timeouts.tcp_fin or self._timeouts.tcp_fin,
            timeouts.udp or self._timeouts.udp,
        )

    async def zero(self, service: ServiceKey | None = None) -> None:
        self._writes += 1
        if service is not None and service not in self.table:
            raise KernelError(f"cannot zero {service}: it is not in the table: read again", ESRCH)
        for key, old in self._counters.items():
            if service in (None, key[0]):
                self._counters[key] = Counters(
                    active=old.active, inactive=old.inactive, persistent=old.persistent
                )

    async def sync_daemons(self) -> tuple[SyncDaemon, ...]:
        if self._failing_reads:
            raise self._failing_reads.popleft()
        return tuple(self._sync[role] for role in SyncRole if role in self._sync)

    async def start_sync(self, daemon: SyncDaemon) -> None:
        check_sync(daemon)
        self._writes += 1
        if self._mixed():
            raise sync_refused(EINVAL, daemon.role, daemon)
        if daemon.role in self._sync:
            raise sync_refused(EEXIST, daemon.role, daemon)
        if 0 < daemon.max_length < self._shortest_sync:
            raise sync_refused(EINVAL, daemon.role, daemon)
        if daemon.interface not in self._interfaces:
            raise sync_refused(ENODEV, daemon.role, daemon)
        self._sync[daemon.role] = replace(
            daemon,
            max_length=daemon.max_length or 1472,
            group=daemon.group or "224.0.0.81",
            port=daemon.port or 8848,
            ttl=daemon.ttl or 1,
        )

    async def stop_sync(self, role: SyncRole) -> None:
        self._writes += 1
        if self._sync.pop(role, None) is None:
            raise sync_refused(ESRCH, role)

    async def close(self) -> None:
        self.closed = True

    # The kernel's rules.

    def _do(self, step: IpvsStep) -> StepFailure | None:
        if (refused := refusal(step)) is not None:
            return refused
        self._writes += 1
        for fault in self._faults:
            if fault.times and fault.when(step):
                fault.times -= 1
                return failure(step, fault.errno)
        errno = self._change(step)
        return failure(step, errno) if errno else None

    def _change(self, step: IpvsStep) -> int:
        """0, or the errno in the kernel's order of checks (ip_vs_genl_set_cmd)."""
        have = self.table.get(step.service)
        if have is None and not isinstance(step, AddService):
            return ESRCH
        match step:
            case AddService(key, wanted):
                if have is not None:
                    return EEXIST
                return self._set_service(key, wanted, {})
            case EditService(key, wanted):
                return self._set_service(key, wanted, self.table[key].realservers)
            case DeleteService(key):
                del self.table[key]
                for counter in [c for c in self._counters if c[0] == key]:
                    del self._counters[counter]
            case AddRealserver(key, realserver, entry):
                return self._set_realserver(key, realserver, entry, new=True)
            case EditRealserver(key, realserver, entry):
                return self._set_realserver(key, realserver, entry, new=False)
            case DeleteRealserver(key, realserver):
                if realserver not in self.table[key].realservers:
                    return ENOENT
                self.drop(key, realserver)
                self._counters.pop((key, realserver), None)
        return 0

    def _set_service(
        self,
        key: ServiceKey,
        wanted: VirtualService,
        realservers: Mapping[RealserverKey, Realserver],
    ) -> int:
        engine = wanted.persistence.engine if wanted.persistence else None
        if wanted.scheduler not in self._schedulers:
            return ENOENT
        if engine and engine not in self._engines:
            return ENOENT
        self.table[key] = replace(_normal(wanted), realservers=realservers)
        return 0

    def _set_realserver(
        self, key: ServiceKey, realserver: RealserverKey, entry: Realserver, *, new: bool
    ) -> int:
        service = self.table[key]
        if realserver.address.version != key.family and self._sync:
            return EINVAL
        if new and realserver in service.realservers:
            return EEXIST
        if not new and realserver not in service.realservers:
            return ENOENT
        entries = {**service.realservers, realserver: _normal_entry(entry)}
        self.table[key] = replace(service, realservers=entries)
        return 0

    def _mixed(self) -> bool:
        return any(
            realserver.address.version != key.family
            for key, service in self.table.items()
            for realserver in service.realservers
        )


def _normal(service: VirtualService) -> VirtualService:
    """As the kernel gives it back: one spelling of flags, no empty engine."""
    persistence = service.persistence
    if persistence is not None and not persistence.engine:
        persistence = replace(persistence, engine=None)
    return replace(
        service,
        flags=normal_flags(service.scheduler, service.flags),
        persistence=persistence,
    )


def _normal_entry(entry: Realserver) -> Realserver:
    """As the kernel gives it back: a tunnel exactly when the forwarding method is tun."""
    if entry.forwarding is not Forwarding.TUN:
        return replace(entry, tunnel=None) if entry.tunnel else entry
    return entry if entry.tunnel else replace(entry, tunnel=Tunnel())


class FakeAddresses:
    """Interfaces (name: up with carrier) and their addresses. ``held`` is what they hold now."""

    def __init__(
        self, links: dict[str, bool] | None = None, held: Iterable[VipAddress] = ()
    ) -> None:
        self.up: dict[str, bool] = {"eth0": True} if links is None else dict(links)
        self.held: set[VipAddress] = set(held)
        self.writes = 0
        self.closed = False
        self.arrivals = Arrivals()
        self._faults: deque[tuple[int, VipAddress | None]] = deque()
        self._failing_reads: deque[KernelError] = deque()
        self._listeners: list[asyncio.Queue[Change | None]] = []

    # What a test may do to it.

    def fail(self, errno: int, address: VipAddress | None = None, times: int = 1) -> None:
        """Let the next calls of add or remove (of one address, or any) raise KernelError."""
        self._faults.extend([(errno, address)] * times)

    def fail_reads(self, errno: int, times: int = 1) -> None:
        """Let the next reads raise KernelError."""
        error = KernelError(f"cannot read the addresses: {strerror(errno)}: injected", errno)
        self._failing_reads.extend([error] * times)

    def put(self, address: VipAddress) -> None:
        """Somebody else adds an address (ip addr add)."""
        self.held.add(address)
        self._tell(AddressCame(address))

    def drop(self, address: VipAddress) -> None:
        """Somebody else removes an address (ip addr del)."""
        self.held.remove(address)
        self._tell(AddressGone(address))

    def set_link(self, interface: str, *, up: bool) -> None:
        """An interface comes, goes up, or goes down; IPv4 addresses stay on it."""
        self.up[interface] = up
        self._tell(LinkChanged(interface, up))

    def drop_link(self, interface: str) -> None:
        """An interface is deleted, and its addresses with it."""
        del self.up[interface]
        for address in [a for a in self.held if a.interface == interface]:
            self.drop(address)
        self._tell(LinkChanged(interface, up=False, present=False))

    def lose_changes(self) -> None:
        """The event socket overflows (ENOBUFS)."""
        self._tell(ChangesLost())

    def drop_silently(self, address: VipAddress) -> None:
        """An address goes and its event is lost."""
        self.held.remove(address)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something that was done to the addresses makes ``condition()`` true."""
        await self.arrivals.until(condition)

    # The port.

    async def read(self, interfaces: Collection[str]) -> frozenset[VipAddress]:
        await asyncio.sleep(0)
        if self._failing_reads:
            raise self._failing_reads.popleft()
        return frozenset(a for a in self.held if a.interface in interfaces)

    async def links(self, interfaces: Collection[str]) -> dict[str, bool]:
        await asyncio.sleep(0)
        return {name: up for name, up in self.up.items() if name in interfaces}

    async def add(self, address: VipAddress) -> bool:
        await self._write(address)
        if address.interface not in self.up:
            raise KernelError(
                f"cannot add {address}: there is no interface {address.interface}:"
                " create it, or name another in the config (ip link shows them)",
                ENODEV,
            )
        if address in self.held:
            return False
        if address.address.version == 6 and any(
            (a.interface, a.address) == (address.interface, address.address) for a in self.held
        ):
            raise KernelError(f"cannot add {address}: it has another prefix length there", EEXIST)
        self.put(address)
        return True

    async def remove(self, address: VipAddress) -> bool:
        await self._write(address)
        if address.interface not in self.up or address not in self.held:
            return False
        self.drop(address)
        return True

    def changes(self) -> AsyncIterator[Change]:
        queue: asyncio.Queue[Change | None] = asyncio.Queue()
        if self.closed:
            queue.put_nowait(None)
        self._listeners.append(queue)
        return self._listen(queue)

    async def close(self) -> None:
        self.closed = True
        for queue in self._listeners:
            queue.put_nowait(None)

    async def _write(self, address: VipAddress) -> None:
        await asyncio.sleep(0)
        self.writes += 1
        for fault in list(self._faults):
            errno, which = fault
            if which in (None, address):
                self._faults.remove(fault)
                raise KernelError(f"cannot change {address}: {strerror(errno)}: injected", errno)

    def _tell(self, change: Change) -> None:
        for queue in self._listeners:
            queue.put_nowait(change)
        self.arrivals.happened()

    async def _listen(self, queue: asyncio.Queue[Change | None]) -> AsyncIterator[Change]:
        try:
            while (change := await queue.get()) is not None:
                yield change
        finally:
            with suppress(ValueError):
                self._listeners.remove(queue)
