"""What a probe of the VIP may find beside what every probe finds, in words. Pure."""

from __future__ import annotations

import errno
from typing import Final

from lvsguard.core.health import FailureClass
from lvsguard.probes import icmp, outcome
from lvsguard.probes.outcome import Outcome

HERE: Final = Outcome(False, "SOCKERR", "this director is the realserver", FailureClass.LOCAL)
"""Nothing goes out over a link to one's own address: ask it plainly."""


def own_fault(number: int) -> Outcome:
    """The director itself could not ask."""
    if number in (errno.EPERM, errno.EACCES):
        reason = (
            'this director may not send frames of its own, which via = "vip" needs: give'
            " CAP_NET_RAW, and AF_PACKET and AF_NETLINK, in the systemd unit"
        )
        return Outcome(False, "SOCKERR", reason, FailureClass.LOCAL)
    return outcome.local(number)


def no_way(why: str) -> Outcome:
    """The realserver cannot be asked as dr sends."""
    reason = f'{why}: via = "vip" asks as dr sends, over the link; leave via out for it'
    return Outcome(False, "SOCKERR", reason, FailureClass.LOCAL)


def unreachable(code: int, version: int) -> Outcome:
    """What ICMP said, by its code."""
    return Outcome(False, "L4CON", f"{icmp.words(code, version)} (ICMP)", FailureClass.WRONG)
