"""Schedulers and the one spelling of their flags.

The kernel knows three anonymous flags per service (linux/ip_vs.h IP_VS_SVC_F_SCHED1 to 3). What
they mean depends on the scheduler, and ipvsadm(8) takes both spellings: ``flag-1`` and
``sh-fallback`` are the same bit. Here a flag has one name: the scheduler's own where it has one,
``flag-1`` to ``flag-3`` elsewhere. Config and kernel both pass through ``normal_flags``, so that
desired and observed compare equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

SCHEDULERS: Final = frozenset(
    {
        *("rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh"),
        *("sed", "nq", "fo", "ovf", "mh", "twos"),
    }
)
"""The schedulers of Linux (net/netfilter/ipvs/ip_vs_*.c); a kernel may have others."""

GENERIC_FLAGS: Final = ("flag-1", "flag-2", "flag-3")

_OWN_FLAGS: Final[Mapping[str, tuple[str, str, str]]] = {
    "sh": ("sh-fallback", "sh-port", "flag-3"),
    "mh": ("mh-fallback", "mh-port", "flag-3"),
}


def flag_names(scheduler: str) -> tuple[str, str, str]:
    """The names of the three flags of a scheduler, lowest bit first."""
    return _OWN_FLAGS.get(scheduler, GENERIC_FLAGS)


def normal_flags(scheduler: str, flags: Iterable[str]) -> frozenset[str]:
    """The same flags in their one spelling. ValueError names what is not a flag there."""
    names = flag_names(scheduler)
    spelling = {**dict(zip(GENERIC_FLAGS, names, strict=True)), **{n: n for n in names}}
    flags = frozenset(flags)
    if unknown := sorted(flags - spelling.keys()):
        raise ValueError(
            f"scheduler {scheduler} has no flag {', '.join(unknown)}: allowed are"
            f" {', '.join(sorted(spelling))}"
        )
    return frozenset(spelling[flag] for flag in flags)
