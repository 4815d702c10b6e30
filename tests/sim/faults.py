"""What goes wrong in a world, and when: drawn from its random generator."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

from tests.sim.book import FATES

if TYPE_CHECKING:
    from tests.sim.host import Host
    from tests.sim.world import World

Link = tuple[int, int]


class Faults:
    """Faults come as a Poisson process, each for a while, and overlap as they like."""

    def __init__(self, world: World, kinds: tuple[str, ...] = ()) -> None:
        self._world = world
        self._random = world.random
        every: dict[str, Callable[[], None]] = {
            "crash": self._crash,
            "process": self._process,
            "stall": self._stall,
            "freeze": self._freeze,
            "partition": self._partition,
            "cut": self._cut,
            "storm": self._storm,
            "stop": self._stop,
            "failover": self._failover,
            "unready": self._unready,
            "link": self._link,
            "priority": self._priority,
        }
        self._kinds = [every[kind] for kind in kinds or every]

    def begin(self) -> None:
        """Start all directors at about the same time, then let faults come."""
        for host in self._world.hosts:
            self._world.after(self._random.uniform(0, 3), self._boot, host)
        if self._world.scenario.fault_every:
            self._world.after(10.0, self._strike)

    def _strike(self) -> None:
        self._random.choice(self._kinds)()
        every = self._world.scenario.fault_every
        self._world.after(self._random.expovariate(1 / every), self._strike)

    def _while(self) -> float:
        """Seconds for which a fault lasts: many intervals, or less than one."""
        return 10 ** self._random.uniform(-1.5, 1.3)

    def _awake(self) -> Host | None:
        hosts = [host for host in self._world.hosts if host.awake]
        return self._random.choice(hosts) if hosts else None

    def _told(self, host: Host, what: str) -> None:
        self._world.count("faults")
        self._world.tell(None, f"director {host.index}: {what}")

    # Of a director.

    def _boot(self, host: Host) -> None:
        if host.group is None and not host.frozen:
            hold = self._random.choice((0.0, 0.0, 5.0))
            ready_in = None if host.ready else self._random.choice((0.0, 0.1, 2.0))
            self._told(host, "starts")
            host.boot(ready_in=ready_in, hold=hold)
            if hold:
                self._world.after(self._random.uniform(0.1, 6.0), self._transferred, host)
            self._world.look()

    def _transferred(self, host: Host) -> None:
        host.hold_preempt(False)

    def _crash(self) -> None:
        host = self._awake()
        if host is not None:
            host.crash()
            self._told(host, "crashes")
            self._world.after(self._while(), self._boot, host)
            self._world.look()

    def _process(self) -> None:
        """A process is killed, also one that hangs; often in the middle of what it does."""
        hosts = [host for host in self._world.hosts if host.group and not host.frozen]
        if hosts:
            host = self._random.choice(hosts)
            fate = self._random.choice((*FATES, *["kept"] * 4))
            steps = self._random.choice((0, 0, 0, 1, 2, 3))
            host.die(fate, steps=steps, then=partial(self._died, host, fate))

    def _died(self, host: Host, fate: str) -> None:
        self._told(host, f"its process is killed, the logbook is {fate}")
        self._world.count("processes killed")
        seconds = self._random.choice((0.0, self._while(), self._while()))
        stood_still = self._random.choice((0.0, 0.0, 0.0, seconds))
        host.frozen = stood_still > 0  # it is suspended before another one is started
        self._world.look()
        self._world.after(seconds, self._replace, host, stood_still)

    def _replace(self, host: Host, stood_still: float) -> None:
        if stood_still:
            host.frozen = False
            host.stand_still(stood_still)
        self._boot(host)

    def _stall(self) -> None:
        host = self._awake()
        if host is not None:
            host.stall()
            self._told(host, "stalls")
            self._world.after(self._while(), self._wake, host, host.group, 0.0)
            self._world.look()

    def _freeze(self) -> None:
        host = self._awake()
        if host is not None:
            seconds = self._while()
            stood_still = self._random.choice((0.0, seconds))
            host.freeze()
            self._told(host, f"freezes, clock {'stops' if stood_still else 'goes on'}")
            self._world.after(seconds, self._wake, host, host.group, stood_still)
            self._world.look()

    def _wake(self, host: Host, slept: object, stood_still: float) -> None:
        if host.group is slept:
            self._told(host, "goes on")
            host.go_on(clock_stood_still=stood_still)
            self._world.look()

    def _stop(self) -> None:
        host = self._awake()
        if host is not None:
            self._told(host, "is stopped")
            host.stop()
            self._world.after(self._while() + 1.0, self._boot, host)
            self._world.look()

    def _failover(self) -> None:
        host = self._awake()
        if host is not None:
            self._told(host, "fails over")
            host.fail_over()
            self._world.after(self._while(), self._resume, host)
            self._world.look()

    def _resume(self, host: Host) -> None:
        if host.awake:
            host.resume()

    def _unready(self) -> None:
        host = self._awake()
        if host is not None:
            self._told(host, "is not ready")
            host.set_ready(False)
            self._world.look()
            self._world.after(self._while(), self._ready, host)

    def _ready(self, host: Host) -> None:
        host.set_ready(True)
        self._world.look()

    def _link(self) -> None:
        hosts = [host for host in self._world.hosts if not host.stalled and not host.frozen]
        if hosts:
            host = self._random.choice(hosts)
            self._told(host, "has no link")
            host.set_link(False)
            self._world.look()
            self._world.after(self._while(), self._relink, host)

    def _relink(self, host: Host) -> None:
        host.set_link(True)
        self._world.look()

    def _priority(self) -> None:
        host = self._awake()
        if host is not None:
            priority = self._random.randint(1, 254)
            self._told(host, f"has priority {priority}")
            host.set_priority(priority)
            self._world.look()

    # Of the network.

    def _partition(self) -> None:
        hosts = [host.index for host in self._world.hosts]
        side = set(self._random.sample(hosts, self._random.randrange(1, len(hosts))))
        rest = set(hosts) - side
        self._apart([*product(side, rest), *product(rest, side)])

    def _cut(self) -> None:
        one, other = self._random.sample(range(len(self._world.hosts)), 2)
        self._apart([(one, other)] if self._random.random() < 0.7 else [(one, other), (other, one)])

    def _apart(self, links: list[Link]) -> None:
        self._world.count("faults")
        self._world.tell(None, f"cut: {sorted(links)}")
        self._world.cuts.update(links)
        self._world.watch.network_changed()
        self._world.after(self._while(), self._heal, links)

    def _heal(self, links: list[Link]) -> None:
        self._world.tell(None, f"healed: {sorted(links)}")
        self._world.cuts.subtract(links)
        self._world.cuts += type(self._world.cuts)()  # drops the zeros
        self._world.watch.network_changed()

    def _storm(self) -> None:
        self._world.count("faults")
        loss = self._random.choice((0.3, 0.6, 0.95))
        self._world.tell(None, f"storm: {loss} lost")
        self._world.storm += loss
        self._world.after(self._while() / 4, self._calm, loss)

    def _calm(self, loss: float) -> None:
        self._world.storm = max(0.0, self._world.storm - loss)
        if self._world.storm < 1e-6:
            self._world.storm = 0.0
