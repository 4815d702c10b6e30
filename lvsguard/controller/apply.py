"""Puts a plan into the kernel phase by phase, and says what became of each step.

It holds back what relies on a refused step, and knows nothing of facts or events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lvsguard.core.model import KernelState
from lvsguard.core.plan import applied, held_back, in_phases
from lvsguard.core.step import AddAddress, RemoveAddress, Step, Subject, subject
from lvsguard.kernel.port import Ipvs, StepFailure
from lvsguard.vrrp.ownership import AddressOwner


@dataclass(slots=True)
class Progress:
    """How far a plan has come. ``left`` is true at every moment, also when applying breaks off."""

    left: KernelState
    """What the kernel holds now."""
    done: list[Step]
    """Steps that succeeded, without the repairs that the address owner tells itself."""
    failures: list[StepFailure]
    held: list[Step]
    """Steps that were not tried."""

    @property
    def well(self) -> bool:
        """Whether the kernel is now as planned."""
        return not self.failures and not self.held

    @property
    def lacking(self) -> frozenset[Subject]:
        """The addresses and marks that are not as planned."""
        return frozenset(map(subject, (*(one.step for one in self.failures), *self.held)))

    @property
    def stale(self) -> bool:
        """Whether the table was not as the plan took it to be."""
        return any(failure.stale for failure in self.failures)


def begin(left: KernelState) -> Progress:
    """Nothing is applied yet."""
    return Progress(left, [], [], [])


async def apply(steps: Sequence[Step], progress: Progress, ipvs: Ipvs, owner: AddressOwner) -> None:
    """Apply the steps. Raises KernelError when the kernel could not be asked at all."""
    lost = owner.held  # whose repair the owner tells itself
    for phase_steps in in_phases(steps).values():
        failed = (failure.step for failure in progress.failures)
        go, hold = held_back(phase_steps, failed, progress.left)
        progress.held.extend(hold)
        refused = await _write(go, ipvs, owner)
        progress.failures.extend(refused)
        broken = {id(failure.step) for failure in refused}
        succeeded = [step for step in go if id(step) not in broken]
        progress.left = applied(progress.left, succeeded)
        progress.done.extend(
            step
            for step in succeeded
            if not (isinstance(step, AddAddress) and step.address in lost)
        )


async def _write(steps: Sequence[Step], ipvs: Ipvs, owner: AddressOwner) -> tuple[StepFailure, ...]:
    address_steps = [s for s in steps if isinstance(s, AddAddress | RemoveAddress)]
    ipvs_steps = [s for s in steps if not isinstance(s, AddAddress | RemoveAddress)]
    failures: tuple[StepFailure, ...] = ()
    if ipvs_steps:
        failures += await ipvs.apply(ipvs_steps)
    if address_steps:
        failures += await owner.apply(address_steps)
    return failures
