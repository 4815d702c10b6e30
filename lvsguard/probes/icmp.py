"""What an ICMP error says of a realserver that could not be connected to. Pure.

The number that connect(2) ends with does not tell a host that is gone from one that lives and whose
firewall rejects: for IPv4 both are EHOSTUNREACH (icmp_err_convert[] in net/ipv4/icmp.c). The code
of the message does, and who sent it.
"""

from __future__ import annotations

import errno
from typing import Final, NamedTuple

from lvsguard.core.health import FailureClass
from lvsguard.core.model import IPAddress
from lvsguard.probes import outcome
from lvsguard.probes.outcome import Outcome

PROHIBITED: Final = {4: frozenset({9, 10, 13}), 6: frozenset({1, 5, 6})}
"""Codes that a rule sends, whoever it is, and no host that is missing."""

UNSURE: Final = frozenset(
    {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENONET, errno.EACCES}
)
"""What connect(2) says of a host that is gone, and of one whose firewall rejects."""

_CODES: Final = {
    4: {
        0: "network unreachable",
        1: "host unreachable",
        2: "protocol unreachable",
        3: "port unreachable",
        9: "network prohibited",
        10: "host prohibited",
        13: "prohibited",
    },
    6: {
        0: "no route",
        1: "prohibited",
        3: "address unreachable",
        4: "port unreachable",
        5: "source address rejected",
        6: "route rejected",
    },
}


class Unreachable(NamedTuple):
    """A message of type destination unreachable that ended a connection request."""

    code: int
    sender: IPAddress
    own: IPAddress
    """The director's own address, which the request came from."""


def words(code: int, version: int) -> str:
    """Name a code of type destination unreachable (RFC 792, RFC 1812 section 5.2.7.1; RFC 4443
    section 3.1)."""
    return _CODES[version].get(code, f"unreachable, code {code}")


def connect_failed(number: int, said: Unreachable | None, realserver: IPAddress) -> Outcome:
    """The network's answer to a connection request. ``said``: what the kernel kept of it, for a
    number of ``UNSURE``."""
    if said is None or number not in UNSURE:
        return outcome.connect_failed(number)
    version = said.sender.version
    what, prohibited = words(said.code, version), said.code in PROHIBITED[version]
    if said.sender == realserver:
        gone = "" if prohibited else ", or what it passes connections on to is gone"
        reason = (
            f"{what} (ICMP from the realserver itself): its firewall rejects the probe{gone};"
            " look there, and let this director in"
        )
    elif not prohibited:
        return outcome.connect_failed(number)
    elif said.sender == said.own:
        return outcome.local(errno.EPERM)
    else:
        reason = (
            f"{what} (ICMP from {said.sender}): a firewall on the way rejects the probe;"
            " look there, and let this director through"
        )
    return Outcome(False, "L4CON", reason, FailureClass.WRONG)
