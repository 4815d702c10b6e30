"""Whether another director is fit to take over now, from what it says of itself and from what this
one sees. Pure.

A reason says what is wrong in the words of the director that looks, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lvsguard.core.clock import Offset
from lvsguard.core.config_keys import KeyDifference
from lvsguard.core.peer import Account, Comparison, shortened

CLOCK_S: Final = 2.0
"""Clocks that are further apart make the later word of two operators the wrong one."""
MASTER: Final = "master"
NOTHING: Final = Comparison()
TAKES_OVER: Final = frozenset({"backup", MASTER})


class Why(StrEnum):
    """What makes a director unfit. Public: in the status, in that order."""

    SILENT = "silent"
    CONFIG = "config"
    STANDING = "standing"
    MODULES = "modules"
    KERNEL = "kernel"
    CHECKS = "checks"
    PROBERS = "probers"
    SYNC = "sync"
    TABLE = "table"
    OVERRIDES = "overrides"
    CLOCK = "clock"


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that is wrong with it."""

    why: Why
    text: str
    """What, and what to do."""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class PeerFacts:
    """All that is known of another director."""

    account: Account | None
    """What it tells of itself; None: nothing is heard of it."""
    problem: str = ""
    """Why not."""
    by_etcd: bool = False
    """They meet there, and not on the channel of their own."""
    same_config: bool = True
    differing: tuple[KeyDifference, ...] | None = ()
    """Keys that differ; None: it has not told yet."""
    seen: Comparison = NOTHING
    """What both see of the services."""
    same_overrides: bool = True
    refused: str = ""
    """Why its overrides were not taken."""
    clock: Offset | None = None
    """None: not measured yet."""


def unfit(facts: PeerFacts, vips: Collection[str] | None = None) -> tuple[Reason, ...]:
    """Why it is not fit to take over these VIP groups (None: all) now; empty: it is."""
    account = facts.account
    if account is None:
        way = (
            "its [cluster] is the same and etcd answers it: lvsguard status there"
            if facts.by_etcd
            else "the [peer] port is open both ways"
        )
        return (
            Reason(
                Why.SILENT,
                f"nothing is heard of it ({facts.problem or 'no word yet'}): see that lvsguard runs"
                f" there, and that {way}",
            ),
        )
    return (
        *_config(facts),
        *_standing(account, vips),
        *_kernel(account),
        *_checks(facts),
        *_connections(account),
        *_overrides(facts),
        *_clock(facts),
    )


def _config(facts: PeerFacts) -> Iterator[Reason]:
    if facts.same_config:
        return
    if facts.differing is None:
        yield Reason(
            Why.CONFIG,
            "its config is another one, and it has not told yet in which keys: make the files the"
            " same and reload",
        )
        return
    keys = [str(one) for one in facts.differing if one.shared]
    if keys:
        yield Reason(
            Why.CONFIG,
            f"its config differs in {shortened(keys)}: make the files the same and reload",
        )


def _standing(account: Account, vips: Collection[str] | None) -> Iterator[Reason]:
    for vip in account.vips:
        if vips is not None and vip.name not in vips:
            continue
        if vip.role not in TAKES_OVER:
            yield Reason(
                Why.STANDING,
                f"VIP {vip.name}: it is {vip.role}{_because(vip.why)}: lvsguard status there",
            )
        elif not vip.ready:
            yield Reason(
                Why.STANDING,
                f"VIP {vip.name}: it stands back{_because(vip.why)}: lvsguard status there",
            )


def _because(why: str) -> str:
    return f" ({why})" if why else ""


def _kernel(account: Account) -> Iterator[Reason]:
    if account.modules_lacking:
        names = ", ".join(account.modules_lacking)
        yield Reason(
            Why.MODULES,
            f"its kernel lacks {names}: there, modprobe -a {' '.join(account.modules_lacking)}",
        )
    if not account.programmed:
        told = account.trouble[0] if account.trouble else "lvsguard status there says why"
        yield Reason(Why.KERNEL, f"its IPVS table is not what it should be: {told}")


def _checks(facts: PeerFacts) -> Iterator[Reason]:
    account, worse = facts.account, facts.seen.worse
    if worse:
        yield Reason(
            Why.CHECKS,
            f"checks fail from there that pass from here ({shortened(worse)}): mend its way to the"
            " realservers",
        )
    if account is not None and account.probers_lacking:
        yield Reason(
            Why.PROBERS,
            f"{account.probers_lacking} of its probers do not run, so its verdicts are old: look at"
            " lvsguard events there",
        )


def _connections(account: Account) -> Iterator[Reason]:
    if account.sync_lacking:
        yield Reason(
            Why.SYNC,
            f"the kernel's sync daemon ({', '.join(account.sync_lacking)}) does not run there, so"
            " connections would break: lvsguard status there",
        )
    if account.table_lacks:
        yield Reason(
            Why.TABLE,
            f"it may not know all connections ({account.table_lacks}): restart lvsguard there, and"
            " it asks for them again",
        )


def _overrides(facts: PeerFacts) -> Iterator[Reason]:
    if facts.refused:
        yield Reason(Why.OVERRIDES, f"its overrides were not taken: {facts.refused}")
    elif not facts.same_overrides:
        yield Reason(
            Why.OVERRIDES, "it does not know the same drains and other overrides yet: a moment"
        )


def _clock(facts: PeerFacts) -> Iterator[Reason]:
    if facts.clock is not None and facts.clock.least > CLOCK_S:
        yield Reason(Why.CLOCK, f"its clock is {facts.clock}: set both (timedatectl)")
