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
    steps: list[Step] = []
    steps.extend(RemoveAddress(a) for a in sorted(observed.addresses - desired.addresses, key=str))
    steps.extend(AddAddress(a) for a in sorted(desired.addresses - observed.addresses, key=str))
    for key, want in desired.services.items():
        have = observed.services.get(key)
        if have is not want:
            steps.extend(_service_steps(key, want, have))
    steps.extend(DeleteService(key) for key in observed.services if key not in desired.services)
    steps.sort(key=phase)
    return tuple(steps)


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
    at it; the retirement of a service whose VIP could not be withdrawn; and the removal of the
    last live realserver of a service whose growth failed. ``state`` is what the kernel holds now.
    """
    failed = tuple(failed)
    if not failed:
        return tuple(steps), ()
    missing = {s.service for s in failed if isinstance(s, AddService)}
    missing_at = {key.address for key in missing}
    stuck_at = {s.address.address for s in failed if isinstance(s, RemoveAddress)}
    stunted = {s.service for s in failed if isinstance(s, AddRealserver | EditRealserver)}
    services = dict(state.services)
    go: list[Step] = []
    held: list[Step] = []
    for step in steps:
        match step:
            case AddAddress(address):
                hold = address.address in missing_at
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
