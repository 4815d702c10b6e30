"""What a probe found out, in HAProxy's codes, and what the errors of sockets mean in words.

Pure. An ``Outcome`` becomes a ``Result`` where the duration is known.
"""

from __future__ import annotations

import errno
import os
from typing import Final, NamedTuple, Protocol

from lvsguard.core.health import FailureClass, Result

REASON_MAX: Final = 200
"""Characters of a reason; part of it may come from a hostile peer."""


EXCERPT_MAX: Final = 80
"""Bytes of an answer that are kept as evidence."""

STALL_SHARE: Final = 0.25
"""A timeout of which the prober itself lost more than this share says nothing of the peer."""


class Outcome(NamedTuple):
    """A result without its duration. ``failure`` is None exactly when ``ok``."""

    ok: bool
    code: str
    reason: str
    failure: FailureClass | None = None
    seen: str = ""
    """The beginning of what the peer sent, where that decided (see ``excerpt``)."""
    expires: float = 0.0
    """Of the certificate that was shown (see ``core.health.Result``)."""

    def result(self, duration: float) -> Result:
        """The same, after so many seconds."""
        return Result(
            self.ok, self.code, self.reason, duration, self.failure, self.seen, self.expires
        )


class Conversation(Protocol):
    """What is said over one connection, without the connection: no socket, no clock.

    None means: go on. Once there is an outcome nothing more is asked of it.
    """

    request: bytes
    """What to send once connected; may be empty."""

    def sent(self) -> Outcome | None:
        """Take note that all of the request went out."""

    def feed(self, data: bytes) -> Outcome | None:
        """Take what the peer sent; never raises, whatever it is."""

    def closed(self) -> Outcome:
        """Take note of the end of the peer's stream."""

    def reset(self, error: OSError) -> Outcome:
        """Take note that the connection broke."""

    def expired(self, timeout: float) -> Outcome:
        """Take note that the time (seconds) is over, after connecting."""


def excerpt(data: bytes | bytearray) -> str:
    """The beginning of what a peer sent, as evidence: one printable line, bounded."""
    return plain(bytes(data[:EXCERPT_MAX]).decode("latin-1"))


def plain(text: str) -> str:
    """Make one bounded line for people out of text that may come from a hostile peer."""
    line = "".join(c if c.isprintable() else "?" for c in text[: REASON_MAX + 1])
    return line if len(line) <= REASON_MAX else line[: REASON_MAX - 3] + "..."


def seconds(value: float) -> str:
    """``1 s``, ``250 ms``."""
    return f"{value:g} s" if value >= 1 else f"{value * 1000:g} ms"


def connect_expired(timeout: float) -> Outcome:
    """No connection in time."""
    reason = f"no connection within {seconds(timeout)}"
    return Outcome(False, "L4TOUT", reason, FailureClass.TIMEOUT)


def connect_failed(number: int) -> Outcome:
    """The network's answer to a connection request (tcp(7), icmp(7)): it came from outside."""
    if number == errno.ECONNREFUSED:
        return Outcome(False, "L4CON", "connection refused", FailureClass.REFUSED)
    if number == errno.ETIMEDOUT:
        return Outcome(False, "L4TOUT", "no answer to SYN", FailureClass.TIMEOUT)
    failure = _FROM_OUTSIDE.get(number)
    if failure is None:
        return local(number)
    reason = _PROHIBITED if number == errno.EACCES else os.strerror(number).lower()
    return Outcome(False, "L4CON", reason, failure)


def local(number: int) -> Outcome:
    """The director itself could not ask: says nothing of the realserver."""
    hint = _LOCAL_HINTS.get(number, "see the director's routes, firewall and limits")
    reason = f"this director could not connect: {os.strerror(number).lower()}; {hint}"
    return Outcome(False, "SOCKERR", reason, FailureClass.LOCAL)


def stalled(lost: float) -> Outcome:
    """The prober itself did not run for a part of the time: the peer is not to blame."""
    reason = f"this director's prober did not get to run for {seconds(round(lost, 3))}, not counted"
    return Outcome(False, "SOCKERR", reason, FailureClass.LOCAL)


_PROHIBITED: Final = "prohibited (ICMPv6): a firewall or a router rejects it"
"""What the kernel makes EACCES of where ICMP for IPv4 says EHOSTUNREACH (icmpv6_err_convert() in
net/ipv6/icmp.c)."""

_FROM_OUTSIDE: Final = {
    errno.EHOSTUNREACH: FailureClass.HOST_DEAD,
    errno.ENETUNREACH: FailureClass.HOST_DEAD,
    errno.EHOSTDOWN: FailureClass.HOST_DEAD,
    errno.ENONET: FailureClass.HOST_DEAD,
    errno.ECONNRESET: FailureClass.WRONG,
    errno.EPIPE: FailureClass.WRONG,
    errno.ENOPROTOOPT: FailureClass.REFUSED,
    errno.EPROTO: FailureClass.WRONG,
    errno.EACCES: FailureClass.WRONG,
}

_LOCAL_HINTS: Final = {
    errno.EMFILE: "raise the prober's limit of open files (LimitNOFILE=)",
    errno.ENFILE: "raise the kernel's limit of open files (fs.file-max)",
    errno.ENOBUFS: "the kernel is short of socket memory",
    errno.ENOMEM: "the kernel is short of memory",
    errno.EADDRNOTAVAIL: "the check's source address is not on this director, or no local port is"
    " free (net.ipv4.ip_local_port_range)",
    errno.ENETUNREACH: "no route to the realserver",
    errno.EHOSTUNREACH: "the route to the realserver is of type unreachable",
    errno.EACCES: "a route or firewall rule of this director forbids it",
    errno.EPERM: "a firewall rule of this director forbids it",
    errno.EINVAL: "the check's source address does not fit the realserver's",
    errno.ENETDOWN: "the interface is down",
    errno.EAFNOSUPPORT: "this kernel lacks the realserver's address family",
}
