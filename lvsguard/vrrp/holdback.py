"""Holds back what would end connections that a successor does not know yet.

For the short overlap of a planned handover the new master knows most connections from the kernel's
sync and from the transfer, and hears of the last ones a moment later. A TCP reset in between would
end them; held back, the client sends again 0.2 s later and is known. ``arm`` while still a backup:
a backup says nothing in the VIP's name, so the filter harms nobody, and nothing slow (a module to
load) is left for the takeover. ``release`` at most 1.5 s after becoming master, at once when there
was no plan: to know of a dead connection is better than to wait.

It has no clock and no thread: when to release is the caller's to say, and a process that begins
releases what one before it may have left. Calls are short: the kernel answers inside the send.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from errno import EEXIST, EINVAL, ENODEV, ENOENT, EOPNOTSUPP, EPERM, ETIMEDOUT
from os import strerror
from typing import Final

from lvsguard.core.bpf import Instruction
from lvsguard.core.model import IPAddress
from lvsguard.kernel.netlink import NLMSG_DONE, NLMSG_ERROR, Message, ack, messages
from lvsguard.kernel.netlink_socket import NetlinkSocket
from lvsguard.kernel.port import KernelError
from lvsguard.vrrp.refusal_filter import (
    PREFERENCE,
    RTM_NEWQDISC,
    RTM_NEWTFILTER,
    VIPS_MAX,
    add_qdisc,
    delete_filter,
    delete_filters,
    delete_qdisc,
    dump_filters,
    get_qdisc,
    is_clsact,
    program,
    set_filter,
)

_NETLINK_ROUTE: Final = 0
_RECEIVE_BUFFER: Final = 1 << 18


class Holdback:
    """The filters of one VIP group, on the interfaces by which its clients are reached."""

    def __init__(self, interfaces: Sequence[str], vips: Iterable[IPAddress]) -> None:
        """Open it and take away what an earlier process left. Raises KernelError."""
        self._interfaces = tuple(dict.fromkeys(interfaces))
        self._programs = _programs(vips)
        self._made: set[int] = set()
        """Interfaces that have their clsact qdisc from here."""
        self._armed: set[int] = set()
        self._netlink = NetlinkSocket(_NETLINK_ROUTE, receive_buffer=_RECEIVE_BUFFER)
        try:
            for name in self._interfaces:
                with suppress(OSError):
                    self._delete(socket.if_nametoindex(name))
        except BaseException:
            self._netlink.close()
            raise

    @property
    def armed(self) -> bool:
        """Whether anything is held back."""
        return bool(self._armed)

    def arm(self) -> None:
        """Hold back from now on; idempotent. Raises KernelError, and then nothing is held back."""
        try:
            for name in self._interfaces:
                self._arm(name)
        except KernelError:
            with suppress(KernelError):
                self.release()
            raise

    def replace(self, vips: Iterable[IPAddress]) -> None:
        """Hold back these VIPs from now on, and none: nothing. What stays is held back meanwhile,
        too. Raises KernelError, and then nothing is held back."""
        before, self._programs = len(self._programs), _programs(vips)
        if not self._programs:
            self.release()
            return
        surplus = range(len(self._programs) + 1, before + 1) if self._armed else ()
        self.arm()
        for link in self._armed:
            for number in surplus:
                sequence = self._netlink.next_sequence()
                self._ask(delete_filter(link, number, sequence), sequence)

    def release(self) -> None:
        """Hold back nothing any more; idempotent. Raises KernelError."""
        for link in tuple(self._armed):
            self._delete(link)
            self._armed.discard(link)

    def close(self) -> None:
        """Release, take away the qdiscs that are from here and empty, and give the socket back."""
        try:
            with suppress(KernelError):
                self.release()
                for link in self._made:
                    if not self._filters(link):
                        sequence = self._netlink.next_sequence()
                        self._ask(delete_qdisc(link, sequence), sequence)
        finally:
            self._netlink.close()

    def _arm(self, name: str) -> None:
        try:
            link = socket.if_nametoindex(name)
        except OSError as error:
            raise _cannot(name, ENODEV) from error
        self._attach(name, link)
        self._armed.add(link)
        for number, instructions in enumerate(self._programs, 1):
            sequence = self._netlink.next_sequence()
            code = self._ask(set_filter(link, number, instructions, sequence), sequence)
            if code:
                raise _cannot(name, code)

    def _attach(self, name: str, link: int) -> None:
        """See that the interface has a clsact qdisc."""
        sequence = self._netlink.next_sequence()
        code = self._ask(add_qdisc(link, sequence), sequence)
        if not code:
            self._made.add(link)
            return
        if code != EEXIST:
            raise _cannot(name, code)
        sequence = self._netlink.next_sequence()
        self._netlink.send(get_qdisc(link, sequence))
        for raw, message in self._answers(sequence):
            if message.type == RTM_NEWQDISC and not is_clsact(raw, message):
                raise _cannot(name, EEXIST)

    def _delete(self, link: int) -> None:
        sequence = self._netlink.next_sequence()
        code = self._ask(delete_filters(link, sequence), sequence)
        if code not in (0, ENOENT, EINVAL, ENODEV, EOPNOTSUPP):
            raise KernelError(
                f"cannot stop holding back resets on interface {link}: {strerror(code)}: do it by"
                f" tc filter del dev INTERFACE egress pref {PREFERENCE}",
                code,
            )

    def _filters(self, link: int) -> int:
        """How many filters hang on the qdisc, whoever's."""
        found = 0
        for egress in (False, True):
            sequence = self._netlink.next_sequence()
            self._netlink.send(dump_filters(link, sequence, egress=egress))
            for _, message in self._answers(sequence):
                found += message.type == RTM_NEWTFILTER
        return found

    def _ask(self, request: bytes, sequence: int) -> int:
        """Send a request; the errno that it is answered with, 0 when it is done."""
        self._netlink.send(request)
        raw, last = self._answers(sequence)[-1]
        return ack(raw, last).errno

    def _answers(self, sequence: int) -> list[tuple[bytes, Message]]:
        """The answers to a request, up to the one that ends them."""
        answers = []
        while (raw := self._netlink.receive_now()) is not None:
            for message in messages(raw):
                if message.sequence != sequence:
                    continue
                answers.append((raw, message))
                if message.type in (NLMSG_ERROR, NLMSG_DONE):
                    return answers
        raise KernelError(
            "the kernel did not answer about traffic control: it is asked again at the next"
            " change of role",
            ETIMEDOUT,
        )


def _programs(vips: Iterable[IPAddress]) -> list[tuple[Instruction, ...]]:
    ordered = sorted(vips, key=lambda vip: (vip.version, vip))
    return [
        program(ordered[start : start + VIPS_MAX]) for start in range(0, len(ordered), VIPS_MAX)
    ]


def _cannot(name: str, code: int) -> KernelError:
    hint = _HINTS.get(
        code, "a handover goes on without, and may reset connections that are just being opened"
    )
    return KernelError(f"cannot hold back resets on {name}: {strerror(code)}: {hint}", code)


_HINTS: Final = {
    EPERM: "CAP_NET_ADMIN is needed: give it in the systemd unit"
    " (AmbientCapabilities=CAP_NET_ADMIN)",
    ENODEV: "there is no such interface: see ip link",
    ENOENT: "the kernel's modules sch_ingress and cls_bpf are missing: load them (modprobe)",
    EEXIST: "the interface has an ingress qdisc, which has no egress side: put a clsact qdisc in"
    " its place (tc qdisc replace dev INTERFACE clsact)",
}
