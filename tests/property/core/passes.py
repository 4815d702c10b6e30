"""What must hold while a plan is applied, and a pass that some steps of fail.

The state is changed step by step under the kernel's own rules, by code that is not the planner's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from lvsguard.core.model import IPAddress, KernelState, ServiceKey, VipAddress, VirtualService
from lvsguard.core.plan import held_back, in_phases, plan
from lvsguard.core.step import (
    AddAddress,
    AddRealserver,
    AddService,
    DeleteRealserver,
    DeleteService,
    EditRealserver,
    EditService,
    RemoveAddress,
    Step,
    Subject,
    subject,
)


def after(state: KernelState, step: Step) -> KernelState:
    """The state after one step; AssertionError where Linux would refuse the step as it is."""
    if isinstance(step, AddAddress | RemoveAddress):
        return KernelState(state.services, _addresses_after(state.addresses, step))
    services = dict(state.services)
    key = step.service
    assert (key in services) is not isinstance(step, AddService), f"refused: {step}"
    match step:
        case AddService(_, wanted):
            services[key] = replace(wanted, realservers={})
        case EditService(_, wanted):
            services[key] = replace(wanted, realservers=services[key].realservers)
        case DeleteService():
            del services[key]
        case _:
            services[key] = _realservers_after(services[key], step)
    return KernelState(services, state.addresses)


def fits(state: KernelState, step: Step) -> bool:
    """Whether the kernel would take this step now."""
    try:
        after(state, step)
    except AssertionError:
        return False
    return True


def _addresses_after(
    addresses: frozenset[VipAddress], step: AddAddress | RemoveAddress
) -> frozenset[VipAddress]:
    if isinstance(step, RemoveAddress):
        assert step.address in addresses, f"refused: {step}"
        return addresses - {step.address}
    assert not _clashes(addresses, step.address), f"refused: {step}"
    return addresses | {step.address}


def _clashes(addresses: frozenset[VipAddress], new: VipAddress) -> list[VipAddress]:
    """What an address cannot stand beside: itself, and for IPv6 any prefix on its interface."""
    return [
        a
        for a in addresses
        if (a.interface, a.address) == (new.interface, new.address)
        and (a.prefix == new.prefix or new.address.version == 6)
    ]


def _realservers_after(
    service: VirtualService, step: AddRealserver | EditRealserver | DeleteRealserver
) -> VirtualService:
    realservers = dict(service.realservers)
    present = step.realserver in realservers
    assert present is not isinstance(step, AddRealserver), f"refused: {step}"
    if isinstance(step, DeleteRealserver):
        del realservers[step.realserver]
    else:
        realservers[step.realserver] = step.wanted
    return replace(service, realservers=realservers)


# -- invariants --------------------------------------------------------------------------------


def broken(state: KernelState, start: KernelState, end: KernelState) -> list[str]:
    """What is wrong with a state on the way from ``start`` to ``end``; empty: nothing."""
    return [*_missing(state, start, end), *_emptied(state, start, end), *_gone(state, start, end)]


def _missing(state: KernelState, start: KernelState, end: KernelState) -> Iterator[str]:
    """A VIP points at a service that is not there, though neither end has it like that."""
    held, at_start, at_end = (_held(s) for s in (state, start, end))
    for key in start.services.keys() | end.services.keys():
        if key.address not in held or key in state.services:
            continue
        was_so = key.address in at_start and key not in start.services
        will_be_so = key.address in at_end and key not in end.services
        if not was_so and not will_be_so:
            yield f"{key.address} points at {key}, which is missing"


def _emptied(state: KernelState, start: KernelState, end: KernelState) -> Iterator[str]:
    for key in start.services.keys() & end.services.keys():
        if _live(start, key) and _live(end, key) and not _live(state, key):
            yield f"{key} has no live realserver, though it has some at both ends"


def _gone(state: KernelState, start: KernelState, end: KernelState) -> Iterator[str]:
    """A VIP that both ends have is nowhere.

    Linux has an IPv6 address once on an interface, so there a new prefix means a short absence.
    """
    for address in (_held(start) & _held(end)) - _held(state):
        interfaces = [
            {a.interface for a in s.addresses if a.address == address} for s in (start, end)
        ]
        if address.version == 4 or not interfaces[0] & interfaces[1]:
            yield f"{address} is gone, though both ends have it"


def _held(state: KernelState) -> set[IPAddress]:
    return {a.address for a in state.addresses}


def _live(state: KernelState, key: ServiceKey) -> bool:
    return (
        any(r.weight for r in state.services[key].realservers.values())
        if (key in state.services)
        else False
    )


def part(state: KernelState, of: Subject) -> KernelState:
    """What of a state belongs to one address or firewall mark."""
    return KernelState(
        {k: s for k, s in state.services.items() if (k.address or k) == of},
        frozenset(a for a in state.addresses if a.address == of),
    )


def subjects(*states: KernelState) -> set[Subject]:
    """Every address and firewall mark in these states."""
    services: set[Subject] = {k.address or k for s in states for k in s.services}
    return services | {a.address for s in states for a in s.addresses}


# -- a pass ------------------------------------------------------------------------------------


@dataclass(slots=True)
class Pass:
    """What one pass left behind."""

    state: KernelState
    failed: list[Step] = field(default_factory=list)
    held: list[Step] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    @property
    def harmed(self) -> set[Subject]:
        """Addresses and marks with a failed step."""
        return {subject(s) for s in self.failed}


def run_pass(
    desired: KernelState,
    start: KernelState,
    fails: Callable[[Step], bool],
    origin: KernelState | None = None,
) -> Pass:
    """Plan and apply phase by phase; a step for which ``fails`` is true changes nothing.

    Every state on the way is checked against the invariants between ``origin`` (default:
    ``start``) and ``desired``.
    """
    done = Pass(start)
    for steps in in_phases(plan(desired, start)).values():
        go, held = held_back(steps, done.failed, done.state)
        done.held.extend(held)
        failed = []
        for step in go:
            if fails(step) or _refused_after(done, step):
                failed.append(step)
                continue
            done.state = after(done.state, step)
            done.violations.extend(broken(done.state, origin or start, desired))
        done.failed.extend(failed)
    return done


def _refused_after(done: Pass, step: Step) -> bool:
    """Whether Linux refuses an IPv6 address because its old place could not be given up."""
    return (
        isinstance(step, AddAddress)
        and step.address.address in done.harmed
        and bool(_clashes(done.state.addresses, step.address))
    )


def states_on_the_way(start: KernelState, steps: Iterable[Step]) -> Iterator[KernelState]:
    """The start, then the state after each step."""
    state = start
    yield state
    for step in steps:
        state = after(state, step)
        yield state
