"""The transfer process: ``python -m lvsguard.vrrp.transfer FD``, started beforehand and waiting.

It sends the connection table of this host to the peer's sync daemon when it is told so over the
socket FD (``transfer_message``), and ends when that closes. It is a process of its own because a
table of 100,000 connections takes most of a second to read, which neither an advert nor the
controller's loop may wait for. It receives no sync messages: that is the kernel's.
"""

from __future__ import annotations

import asyncio
import gc
import os
import select
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Mapping
from contextlib import closing, suppress
from ipaddress import ip_address
from typing import Final

from lvsguard.core.model import ServiceKey, VirtualService
from lvsguard.kernel.ipvs import LinuxIpvs
from lvsguard.kernel.port import KernelError
from lvsguard.vrrp.conntable import ConnectionTable, Scope, Tally
from lvsguard.vrrp.flow_facts import FlowFacts
from lvsguard.vrrp.sync_codec import Packer
from lvsguard.vrrp.sync_sender import SyncSender
from lvsguard.vrrp.transfer_message import (
    PACKET_MAX,
    VERSION,
    Again,
    Begin,
    Failed,
    FromTransfer,
    Hello,
    MessageError,
    Prepare,
    Prepared,
    Sent,
    Stop,
    ToTransfer,
    decode_to_transfer,
    encode,
)

SMALL: Final = 4000
"""Entries up to which Again sends the whole table, in a tenth of a second: a message that was lost
is then made good."""
GARBAGE_MAX: Final = 200_000
"""Objects made and not freed before the collector looks; entries make no cycles."""


class Stopped(Exception):
    """The transfer was told to stop."""


class Closed(Exception):
    """The VRRP process is gone."""


class Control:
    """The socket to the VRRP process. Read between messages, it lets a transfer be stopped."""

    def __init__(self, sock: socket.socket) -> None:
        """``sock``: of type SOCK_SEQPACKET."""
        self._socket = sock
        self._waiting: deque[ToTransfer] = deque()

    def next(self) -> ToTransfer:
        """The next message, whenever it comes. Raises Closed, MessageError."""
        if self._waiting:
            return self._waiting.popleft()
        return self._receive()

    def pause(self, seconds: float) -> None:
        """Wait, at most until Stop comes. Raises Stopped, Closed, MessageError."""
        until = time.monotonic() + seconds
        while seconds > 0:
            readable, _, _ = select.select((self._socket,), (), (), seconds)
            if not readable:
                return
            message = self._receive()
            if isinstance(message, Stop):
                self._waiting.clear()
                raise Stopped
            self._waiting.append(message)
            seconds = until - time.monotonic()

    def answer(self, message: FromTransfer) -> None:
        """Say something. Raises Closed."""
        try:
            self._socket.send(encode(message))
        except OSError as error:
            raise Closed from error

    def _receive(self) -> ToTransfer:
        try:
            packet = self._socket.recv(PACKET_MAX)
        except OSError as error:
            raise Closed from error
        if not packet:
            raise Closed
        return decode_to_transfer(packet)


class Transfer:
    """What was asked for last, and the table as far as it has been sent."""

    def __init__(self, control: Control) -> None:
        """Args: control: where to hear that it should stop."""
        self._control = control
        self._services: Mapping[ServiceKey, VirtualService] | None = None
        self._begun: Begin | None = None
        self._table: ConnectionTable | None = None
        self._entries = 0
        """Entries sent so far; 0 also when that was given up."""

    def answer(self, message: ToTransfer) -> FromTransfer | None:
        """Do what a message asks for; None: nothing was under way that could be stopped."""
        try:
            if isinstance(message, Prepare):
                return self._prepare()
            if isinstance(message, Begin):
                return self._begin(message)
            if isinstance(message, Again):
                return self._again()
        except (KernelError, ValueError) as error:
            return Failed(str(error))
        return None

    def _prepare(self) -> Prepared:
        begun = time.monotonic()
        self._services = services = asyncio.run(_read_services())
        if self._table is not None:
            self._table.learn(FlowFacts(services))
        return Prepared(len(services), time.monotonic() - begun)

    def _begin(self, message: Begin) -> Sent:
        services = self._services
        if services is None:
            services = asyncio.run(_read_services())
        # What is prepared serves once: it may be old the next time.
        self._services = None
        addresses, marks = message.addresses, message.marks
        scope = Scope(
            None if addresses is None else frozenset(ip_address(a).packed for a in addresses),
            None if marks is None else frozenset(marks),
        )
        self._table = ConnectionTable(FlowFacts(services), scope)
        self._begun = message
        return self._send(self._table, message, whole=True)

    def _again(self) -> Sent:
        if self._table is None or self._begun is None:
            raise ValueError("nothing was sent that could be sent again: begin first")
        return self._send(self._table, self._begun, whole=self._entries <= SMALL)

    def _send(self, table: ConnectionTable, message: Begin, *, whole: bool) -> Sent:
        begun = time.monotonic()
        tally, stopped = Tally(), False
        # What is given up in the middle was read and not sent: Again then sends the whole.
        entries_before, self._entries = self._entries, 0
        target = message.target
        with closing(SyncSender(target, time.monotonic, self._control.pause)) as sender:
            packer = Packer(target.syncid, sender.size_max)
            try:
                for entries in table.read(tally, new_only=not whole):
                    for entry in entries:
                        full = packer.add(entry)
                        if full is not None:
                            sender.send(full)
                rest = packer.rest()
                if rest is not None:
                    sender.send(rest)
            except Stopped:
                stopped = True
        if not stopped:
            self._entries = tally.entries + (0 if whole else entries_before)
        return Sent(
            entries=tally.entries,
            messages=sender.messages,
            seconds=time.monotonic() - begun,
            whole=whole,
            stopped=stopped,
            unknown=tally.unknown,
            left_out=tally.left_out,
            unreadable=tally.unreadable,
        )


async def _read_services() -> Mapping[ServiceKey, VirtualService]:
    ipvs = LinuxIpvs(load_modules=False)
    try:
        return (await ipvs.read()).services
    finally:
        await ipvs.close()


def serve(sock: socket.socket) -> int:
    """Answer until the VRRP process is gone; returns the exit status."""
    control = Control(sock)
    transfer = Transfer(control)
    try:
        control.answer(Hello(VERSION))
        while True:
            answer = transfer.answer(control.next())
            if answer is not None:
                control.answer(answer)
    except Closed:
        return 0
    except MessageError as error:
        with suppress(Closed):
            control.answer(Failed(str(error)))
        sys.stderr.write(f"transfer: {error}\n")
        return 2


def main(argv: list[str]) -> int:
    """Run on the socket whose file descriptor is the one argument; returns the exit status."""
    # The terminal's and the service manager's signals are the parent's to act on.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # A parent with real-time priority hands it on; a transfer must never keep an advert waiting.
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_MAX)
    with socket.socket(fileno=int(argv[0])) as sock:
        return serve(sock)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
