"""The other director, as one of the day's directors knows it over the peer channel."""

from __future__ import annotations

import math
from dataclasses import replace

from lvsguard.core.clock import Offset
from lvsguard.core.config_keys import How, KeyDifference
from lvsguard.core.fitness import PeerFacts, Reason, Why, unfit
from lvsguard.core.peer import Account, Comparison, VipPart
from lvsguard.core.snapshot import PeerStatus, Role
from lvsguard.daemon.peers import FROZEN
from tests.support import day_script as script
from tests.support.day_script import MIDNIGHT
from tests.support.published import OTHER

DIGESTS = ("0123456789ab", "4f1e9c7a2b60")
"""Of the configuration in the morning, and of the one after its reload."""
SILENT = "no word within 5 s"
UNASKED = "https://10.0.0.50:2379: connection refused"
"""Why etcd cannot be asked."""
CHANGED = KeyDifference(("service", "web", "scheduler"), How.VALUE)
"""What the reload changes."""


def other_director(name: str, t: int, digest: str) -> PeerStatus:
    """How it is, for a director with this configuration."""
    heard = script.runs(name, t) and not script.one(script.CUT, t)
    about = replace(OTHER, name=name, address=script.DIRECTORS[name], last=MIDNIGHT + t - 0.5)
    if not heard:
        return replace(
            about,
            heard=False,
            same_config=None,
            same_overrides=None,
            programmed=None,
            problem=SILENT,
            unfit=unfit(PeerFacts(None, SILENT)),
            clock=None,
        )
    theirs = DIGESTS[t >= script.NEW_CONFIG[name]]
    same = theirs == digest
    differs = ("api: 1 of 3 healthy there, 3 here",) if script.one(script.BLIND, t) else ()
    facts = PeerFacts(
        _account(name, t, theirs),
        same_config=same,
        differing=() if same else (CHANGED,),
        seen=Comparison(differs=differs, worse=differs),
        clock=Offset(0.0006 + 0.0004 * math.sin(t / 9000), 0.0012),
    )
    return replace(
        about,
        config=theirs,
        same_config=same,
        differs=differs,
        programmed=script.one(script.UNFIT, t, name) is None,
        unfit=(*_frozen(t), *unfit(facts)),
        config_differs=() if same else (str(CHANGED),),
        clock=facts.clock,
    )


def _frozen(t: int) -> tuple[Reason, ...]:
    """While etcd cannot be asked nobody is fit."""
    if script.one(script.UNASKED, t) is None:
        return ()
    return (Reason(Why.SILENT, f"{FROZEN}: {UNASKED}"),)


def _account(name: str, t: int, digest: str) -> Account:
    fit = script.one(script.UNFIT, t, name) is None
    lacking = ("backup",) if script.one(script.OUT_OF_STEP, t, name) else ()
    roles = {
        vip: Role.MASTER if name in script.masters(vip, t) else Role.BACKUP for vip in script.VIPS
    }
    return Account(
        "0.1.0",
        digest,
        fit,
        tuple(VipPart(vip, role, fit) for vip, role in roles.items()),
        probers_lacking=int(script.one(script.STALLED, t, name) is not None),
        sync_lacking=lacking,
    )
