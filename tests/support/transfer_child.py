"""The transfer process, run for a test, and the test's end of its socket."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lvsguard.vrrp.transfer_message import (
    PACKET_MAX,
    FromTransfer,
    Hello,
    ToTransfer,
    decode_from_transfer,
    encode,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class TransferChild:
    """A transfer process that waits."""

    process: subprocess.Popen[bytes]
    sock: socket.socket

    def send(self, message: ToTransfer) -> None:
        self.sock.send(encode(message))

    def receive(self) -> FromTransfer:
        return decode_from_transfer(self.sock.recv(PACKET_MAX))

    def ask(self, message: ToTransfer) -> FromTransfer:
        self.send(message)
        return self.receive()

    def cpu_s(self) -> float:
        """Processor seconds that it has used."""
        with open(f"/proc/{self.process.pid}/stat") as file:  # noqa: PTH123 - the shorter
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100


@contextlib.contextmanager
def transfer_child(namespace: str | None = None) -> Iterator[TransferChild]:
    """Start it, in a network namespace if one is named, and wait until it is ready."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(60)
    within = ["ip", "netns", "exec", namespace] if namespace else []
    with ours:
        with theirs:
            process = subprocess.Popen(
                [*within, sys.executable, "-m", "lvsguard.vrrp.transfer", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        try:
            child = TransferChild(process, ours)
            assert isinstance(child.receive(), Hello)
            yield child
        finally:
            ours.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()
            process.wait()
