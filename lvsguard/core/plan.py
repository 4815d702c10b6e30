"""From observed to desired in small ordered steps. The safety order is here and nowhere else.

Grow before shrink, serve before announce, withdraw before retire. A step that fails holds back
only the steps that rely on it (``held_back``), so the harm stays with its own address.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from lvsguard.core.model import (
    KernelState,
    Realserver,
    RealserverKey,
    ServiceKey,
    VipAddress,
    VirtualService,
)
from lvsguard.core.step import (
    AddAddress,
    AddRealserver,
    AddService,
    DeleteRealserver,
    DeleteService,
    EditRealserver,
    EditService,
    Phase,
    RemoveAddress,
    Step,
    phase,
)


def plan(desired: KernelState, observed: KernelState) -> tuple[Step, ...]:
    """The steps that turn ``observed`` into ``desired``, in the order of their phases.

    ``observed`` holds only what the director owns: whatever is in it and not desired is removed.
    ``plan(x, x) == ()``.
    """
    steps: list[Step] = list(_address_steps(desired.addresses, observed.addresses))
    for key, want in desired.services.items():
        have = observed.services.get(key)
        if have is not want:
            steps.extend(_service_steps(key, want, have))
    steps.extend(DeleteService(key) for key in observed.services if key not in desired.services)
    steps.sort(key=phase)
    return tuple(steps)


def _address_steps(
    desired: frozenset[VipAddress], observed: frozenset[VipAddress]
) -> Iterator[Step]:
    coming = sorted(desired - observed, key=str)
    for address in sorted(observed - desired, key=str):
        yield RemoveAddress(address, moved=_moves(address, coming))
    yield from map(AddAddress, coming)


def _moves(old: VipAddress, coming: Iterable[VipAddress]) -> bool:
    """Whether the VIP can stand in its new place before it leaves the old one.

    Linux has an IPv6 address once on an interface (EEXIST, whatever the prefix); IPv4 may overlap.
    """
    new = [a for a in coming if a.address == old.address]
    if old.address.version == 6 and old.interface in {a.interface for a in new}:
        return False
    return bool(new)


def _service_steps(
    key: ServiceKey, want: VirtualService, have: VirtualService | None
) -> Iterator[Step]:
    if have is None:
        yield AddService(key, want)
        have = replace(want, realservers={})
    elif not same_settings(want, have):
        yield EditService(key, want, have)
    for realserver, wanted in want.realservers.items():
        was = have.realservers.get(realserver)
        if was is None:
            yield AddRealserver(key, realserver, wanted)
        elif was is not wanted and was != wanted:
            yield EditRealserver(key, realserver, wanted, was)
    for realserver in have.realservers:
        if realserver not in want.realservers:
            yield DeleteRealserver(key, realserver)


def same_settings(one: VirtualService, other: VirtualService) -> bool:
    """Whether two services differ at most in their realservers."""
    return (
        one.scheduler == other.scheduler
        and one.flags == other.flags
        and one.persistence == other.persistence
        and one.one_packet == other.one_packet
    )


def in_phases(steps: Iterable[Step]) -> dict[Phase, list[Step]]:
    """The steps by phase, the phases in their order."""
    phases: dict[Phase, list[Step]] = {}
    for step in steps:
        phases.setdefault(phase(step), []).append(step)
    return dict(sorted(phases.items()))


def applied(state: KernelState, steps: Iterable[Step]) -> KernelState:
    """The state after these steps have succeeded, in this order.

    A step that does not fit (an edit of what is not there) is an error of the caller: KeyError.
    """
    services = dict(state.services)
    addresses = set(state.addresses)
    for step in steps:
        match step:
            case AddAddress(address):
                addresses.add(address)
            case RemoveAddress(address):
                addresses.discard(address)
            case AddService(key, wanted):
                services[key] = replace(wanted, realservers={})
            case EditService(key, wanted):
                services[key] = replace(wanted, realservers=services[key].realservers)
            case DeleteService(key):
                del services[key]
            case AddRealserver(key, realserver, entry) | EditRealserver(key, realserver, entry):
                services[key] = _with(services[key], realserver, entry)
            case DeleteRealserver(key, realserver):
                services[key] = _with(services[key], realserver, None)
    return KernelState(services, frozenset(addresses))


def _with(
    service: VirtualService, key: RealserverKey, realserver: Realserver | None
) -> VirtualService:
    realservers = dict(service.realservers)
    if realserver is None:
        del realservers[key]
    else:
        realservers[key] = realserver
    return replace(service, realservers=realservers)


def live(service: VirtualService | None) -> bool:
    """Whether new connections find a realserver."""
    return service is not None and any(r.weight > 0 for r in service.realservers.values())


def held_back(
    steps: Iterable[Step], failed: Iterable[Step], state: KernelState
) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """Split one phase's steps into (may go, held back) after ``failed`` steps of earlier phases.

    Held back is: everything in a service that could not be created, and the VIP that would point
    at it; the retirement of a service whose VIP could not be withdrawn; the removal of the last
    live realserver of a service where a live one could not be added; and the old place of a moved
    VIP that does not stand in its new one. ``state`` is what the kernel holds now.
    """
    steps, failed = tuple(steps), tuple(failed)
    if not failed:
        return steps, ()
    missing = {s.service for s in failed if isinstance(s, AddService)}
    missing_at = {key.address for key in missing}
    stuck_at = {s.address.address for s in failed if isinstance(s, RemoveAddress)}
    stunted = {
        s.service
        for s in failed
        if isinstance(s, AddRealserver | EditRealserver) and s.wanted.weight > 0
    }
    leaving = {s.address for s in steps if isinstance(s, RemoveAddress)}
    standing = {a.address for a in state.addresses - leaving}
    services = dict(state.services)
    go: list[Step] = []
    held: list[Step] = []
    for step in steps:
        match step:
            case AddAddress(address):
                hold = address.address in missing_at
            case RemoveAddress(address, moved):
                hold = moved and address.address not in standing
            case DeleteService(key):
                hold = key.address is not None and key.address in stuck_at
            case AddRealserver(key):
                hold = key in missing
            case EditRealserver(key) | DeleteRealserver(key):
                hold = key in missing or (key in stunted and _empties(services, key, step))
            case _:
                hold = False
        (held if hold else go).append(step)
    return tuple(go), tuple(held)


def _empties(services: dict[ServiceKey, VirtualService], key: ServiceKey, step: Step) -> bool:
    """Whether this shrinking step takes the last live realserver; records it when it does not."""
    if phase(step) is not Phase.SHRINK:
        return False
    after = applied(KernelState({key: services[key]}), (step,)).services[key]
    if live(services[key]) and not live(after):
        return True
    services[key] = after
    return False


def owned_part(
    services: Mapping[ServiceKey, VirtualService], owned: Iterable[ServiceKey]
) -> dict[ServiceKey, VirtualService]:
    """What of a table the director owns; the rest is foreign and stays out of every plan."""
    return {key: services[key] for key in owned if key in services}
