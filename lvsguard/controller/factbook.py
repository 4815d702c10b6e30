"""The facts and what follows from them, kept current service by service.

A fact that changes marks the services it touches; only those are decided anew. Nothing here
reads or writes the kernel.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import islice

from lvsguard.controller.rulebook import RuleBook
from lvsguard.core.agent import NOT_ASKED, Agent, Standing
from lvsguard.core.config import Check, Config, RealserverConfig, ServiceConfig
from lvsguard.core.desired import programmed
from lvsguard.core.health import Health, Verdict
from lvsguard.core.model import (
    IPAddress,
    KernelState,
    Observation,
    Realserver,
    RealserverKey,
    ServiceKey,
    VipAddress,
    VirtualService,
)
from lvsguard.core.override import Override, OverrideKind, Target
from lvsguard.core.peer import DOWN_MAX, ServiceHealth
from lvsguard.core.placement import Facts
from lvsguard.core.rules import Decision

_NO_WORD = Health()


class FactBook:
    """Config, verdicts, overrides, and the weights found in the kernel."""

    def __init__(self, config: Config) -> None:
        """Begin with a config and no other fact; nothing is adopted yet."""
        self.config = config
        self.health: dict[Check, Health] = {}
        self.heard: dict[Agent, Standing] = {}
        self.adopted: dict[ServiceKey, dict[RealserverKey, int]] = {}
        self.addresses: frozenset[VipAddress] = config.lone_addresses
        self.rules = RuleBook()
        self._now = 0.0
        self._overrides: dict[tuple[Target, OverrideKind], Override] = {}
        self._by_check: dict[Check | Agent, list[ServiceConfig]] = {}
        self._by_place: dict[tuple[object, ...], list[Agent]] = {}
        self._by_address: dict[IPAddress, list[Check]] = {}
        self._by_key: dict[ServiceKey, ServiceConfig] = {}
        self._wanted: dict[ServiceKey, VirtualService] = {}
        self._dirty: set[ServiceKey] = set()
        self._leaving: dict[tuple[ServiceKey, RealserverKey], tuple[Realserver, float]] = {}
        self._sights: dict[str, ServiceHealth] = {}
        self.checks: frozenset[Check] = frozenset()
        """Every check that the config asks for."""
        self.agents: frozenset[Agent] = frozenset()
        """Every agent that the config asks."""
        self._index()

    def _index(self) -> None:
        self._by_check.clear()
        self._by_key = {s.key: s for s in self.config.services}
        for service in self.config.services:
            for realserver in service.realservers:
                jobs: tuple[Check | Agent, ...] = (*realserver.checks, *_agent(realserver))
                for check in jobs:
                    users = self._by_check.setdefault(check, [])
                    if not users or users[-1] is not service:
                        users.append(service)
        self._dirty = set(self._by_key)
        self.checks = frozenset(one for one in self._by_check if isinstance(one, Check))
        self.agents = frozenset(one for one in self._by_check if isinstance(one, Agent))
        self._by_place.clear()
        for agent in self.agents:
            self._by_place.setdefault(agent.place, []).append(agent)
        self._by_address.clear()
        for check in self.checks:
            self._by_address.setdefault(check.address, []).append(check)

    @property
    def overrides(self) -> tuple[Override, ...]:
        """Overrides in force."""
        return tuple(self._overrides.values())

    @property
    def sights(self) -> Mapping[str, ServiceHealth]:
        """How healthy each service was found when it was decided last, by name. The mapping is
        another one after each change, and is never changed itself."""
        return self._sights

    @property
    def wanted(self) -> Mapping[ServiceKey, VirtualService]:
        """The IPVS table as it was decided last. A view of this book, not a copy; a service that
        has not changed is the same object."""
        return self._wanted

    @property
    def changed(self) -> Collection[ServiceKey]:
        """Services whose facts have changed since they were decided last. A view of this book."""
        return self._dirty

    @property
    def idle(self) -> tuple[Override, ...]:
        """Overrides that are about nothing in the config."""
        return tuple(o for o in self.overrides if not self._about(o.target))

    @property
    def facts(self) -> Facts:
        """The facts as ``core.desired`` wants them. Views of this book, not copies."""
        return Facts(
            self.config,
            self.health,
            self.overrides,
            self.adopted,
            self.addresses,
            self.rules.memory,
            self._now,
            self.heard,
        )

    def checks_of(self, realserver: IPAddress) -> Collection[Check]:
        """Every check of a realserver, on whichever port."""
        return self._by_address.get(realserver, ())

    def asking(self, check: Check) -> tuple[str, ...]:
        """Names of the services that this check decides about."""
        return tuple(service.name for service in self._by_check.get(check, ()))

    def name_of(self, key: ServiceKey) -> str:
        """A service's name; empty where the config does not name it."""
        service = self._by_key.get(key)
        return "" if service is None else service.name

    def record(self, check: Check, health: Health) -> bool:
        """Take a prober's word. Whether a verdict or a failure class changed."""
        if check not in self._by_check:
            return False  # a late word on a check that a reload dropped
        before = self.health.get(check, _NO_WORD)
        self.health[check] = health
        if _same(before, health):
            return False
        self._dirty.update(s.key for s in self._by_check[check])
        return True

    def asked_as(self, agent: Agent) -> tuple[Agent, ...]:
        """Whom an agent's word is of: of those in its place where a reload changed how it is
        asked, which the prober may not know yet; empty: a reload dropped it."""
        return (agent,) if agent in self._by_check else tuple(self._by_place.get(agent.place, ()))

    def hear(self, agent: Agent, standing: Standing) -> bool:
        """Take an agent's word. Whether it changes a decision."""
        if agent not in self._by_check:
            return False  # a late word of an agent that a reload dropped
        before = self.heard.get(agent, NOT_ASKED)
        self.heard[agent] = standing
        if before.decides == standing.decides:
            return False
        self._dirty.update(s.key for s in self._by_check[agent])
        return True

    def held(self, target: Target, kind: OverrideKind) -> Override | None:
        """The override of that target and kind that is in force."""
        return self._overrides.get((target, kind))

    def put(self, override: Override) -> None:
        """Set an override, in the place of an older one of the same target and kind."""
        self._overrides[override.key] = override
        self._touch(override.target)

    def drop(self, target: Target, kind: OverrideKind) -> Override | None:
        """Clear an override; None when there was none."""
        gone = self._overrides.pop((target, kind), None)
        if gone is not None:
            self._touch(target)
        return gone

    def expired(self, now: float) -> tuple[Override, ...]:
        """Overrides whose time is over at ``now`` (wall clock)."""
        return tuple(o for o in self._overrides.values() if o.expired(now))

    def _touch(self, target: Target) -> None:
        self._dirty.update(self._about(target))

    def _about(self, target: Target) -> set[ServiceKey]:
        return {
            service.key
            for service in self.config.services
            if any(target.matches(service.name, r.key) for r in service.realservers)
        }

    def adopt(self, table: dict[ServiceKey, VirtualService]) -> int:
        """Take over what the kernel holds of the config's services. Count of realservers."""
        self.adopted = {
            key: {r: entry.weight for r, entry in service.realservers.items()}
            for key, service in table.items()
            if key in self._by_key
        }
        self.rules.adopt(self.config.services, table)
        self._dirty.update(self.adopted)
        return sum(len(realservers) for realservers in self.adopted.values())

    def configure(self, config: Config, now: float) -> None:
        """Put a new config in force. What is known of unchanged checks stays known.

        A realserver that stays keeps its weight until its changed checks have a verdict; one that
        is new enters at weight 0; one that is dropped finishes its connections at weight 0.
        """
        before = {s.key: {r.key for r in s.realservers} for s in self.config.services}
        adopted: dict[ServiceKey, dict[RealserverKey, int]] = {}
        for service in config.services:
            if service.key not in before:
                continue
            wanted = self._wanted[service.key].realservers if service.key in self._wanted else {}
            staying = {r.key for r in service.realservers}
            adopted[service.key] = {key: r.weight for key, r in wanted.items()} | dict.fromkeys(
                staying - before[service.key], 0
            )
            if service.sorry_server is not None:
                staying.add(service.sorry_server.key)
            for key, entry in wanted.items():
                if key not in staying:
                    leaving = (replace(entry, weight=0), now + config.removal_grace)
                    self._leaving.setdefault((service.key, key), leaving)
                else:
                    self._leaving.pop((service.key, key), None)
        self.config = config
        self.addresses = config.lone_addresses
        self.adopted = adopted
        self._index()
        self.rules.configure(self._by_key)
        self.health = {c: h for c, h in self.health.items() if c in self._by_check}
        self.heard = self._still_said()
        self._wanted = {k: v for k, v in self._wanted.items() if k in self._by_key}
        names = {service.name for service in config.services}
        self._sights = {name: sight for name, sight in self._sights.items() if name in names}
        self._leaving = {k: v for k, v in self._leaving.items() if k[0] in self._by_key}

    def _still_said(self) -> dict[Agent, Standing]:
        """What agents have said, of those asked now: one asked in another way said it, too."""
        places = {agent.place: standing for agent, standing in self.heard.items()}
        return {
            agent: self.heard.get(agent, places[agent.place])
            for agent in self.agents
            if agent.place in places
        }

    def preview(self, config: Config, now: float) -> FactBook:
        """What this book would be with another config; this one stays as it is."""
        book = FactBook(self.config)
        book.health = dict(self.health)
        book.heard = dict(self.heard)
        book.adopted = dict(self.adopted)
        book._overrides = dict(self._overrides)
        book._wanted = dict(self._wanted)
        book._leaving = dict(self._leaving)
        book.rules = self.rules.copy()
        book.configure(config, now)
        return book

    def part(self, seen: Observation, now: float) -> None:
        """Let go of dropped realservers that have no active connection left, or no time.

        A count means that only when the kernel had weight 0 already: before, another connection
        may come between the count and the removal.
        """
        for (service, realserver), (_, deadline) in list(self._leaving.items()):
            held = seen.services.get(service)
            entry = held.realservers.get(realserver) if held is not None else None
            count = seen.counters.get((service, realserver))
            idle = entry is None or (entry.weight == 0 and (count is None or count.active == 0))
            if idle or now >= deadline:
                del self._leaving[service, realserver]
                self._dirty.add(service)

    def decide(self, now: float) -> tuple[KernelState, frozenset[ServiceKey]]:
        """The state wanted at ``now`` (monotonic), and the services decided anew since the last
        call: those whose facts changed, and those in which a slow start is a step further."""
        self._now = now
        anew = frozenset(self._dirty | self.rules.due(now))
        facts = self.facts
        sights: dict[str, ServiceHealth] = {}
        for key in anew:
            service = self._by_key.get(key)
            if service is not None:
                decision = self.rules.follow(service, facts)
                self._wanted[key] = self._with_leaving(key, programmed(service, decision))
                sights[service.name] = _sight(service, decision)
        self._dirty.clear()
        if any(self._sights.get(name) != sight for name, sight in sights.items()):
            self._sights = {**self._sights, **sights}
        return KernelState(self._wanted, self.addresses), anew

    def awaits_verdicts(self, service: ServiceConfig) -> bool:
        """Whether a service is decided to forward to nobody, for want of first verdicts."""
        wanted = self._wanted.get(service.key)
        if wanted is not None and any(entry.weight for entry in wanted.realservers.values()):
            return False
        return any(
            any(self.health.get(c, _NO_WORD).verdict is Verdict.UNKNOWN for c in realserver.checks)
            or any(not self.heard.get(a, NOT_ASKED).tried for a in _agent(realserver))
            for realserver in service.realservers
        )

    @property
    def awaits_first_verdicts(self) -> bool:
        """Whether there is a check of which no word has come, or none that was believed."""
        return len(self.health) < len(self.checks)

    def settle(self, found: KernelState) -> None:
        """The kernel holds what is wanted: hold the same objects, so that the next comparison of
        an unchanged service is one of identity."""
        for key in self._wanted:
            self._wanted[key] = found.services[key]

    def _with_leaving(self, key: ServiceKey, service: VirtualService) -> VirtualService:
        leaving = {r: entry for (s, r), (entry, _) in self._leaving.items() if s == key}
        if not leaving:
            return service
        return replace(service, realservers={**leaving, **service.realservers})


def _agent(realserver: RealserverConfig) -> tuple[Agent, ...]:
    return () if realserver.agent is None else (realserver.agent,)


def _sight(service: ServiceConfig, decision: Decision) -> ServiceHealth:
    verdicts = [placed.verdict for placed in decision.placements]
    named = zip(service.realservers, verdicts, strict=True)
    down = (realserver.name for realserver, verdict in named if verdict is Verdict.DOWN)
    return ServiceHealth(
        verdicts.count(Verdict.UP),
        verdicts.count(Verdict.UNKNOWN),
        len(verdicts),
        decision.live,
        tuple(islice(down, DOWN_MAX)),
    )


def _same(before: Health, after: Health) -> bool:
    """Whether a probe's word changes no decision: the verdict, and what a failure does to flows."""
    one = before.cause.failure if before.cause else None
    other = after.cause.failure if after.cause else None
    return before.verdict is after.verdict and one is other
