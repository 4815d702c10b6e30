"""A program in the place of the transfer process, for hosts without IPVS: it reads no table, sends
nothing, and answers as the real one: `python -m tests.support.transfer_double [HOW [LOG]] FD`.

HOW: `well` (the default: 50 connections), `mute` (never answers), `nonsense`, `ends` (at the first
request). LOG: the file that gets what it was asked, one message a line.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from pathlib import Path

from lvsguard.vrrp.transfer_message import (
    PACKET_MAX,
    VERSION,
    Hello,
    Prepare,
    Prepared,
    Sent,
    decode_to_transfer,
    encode,
)


def main(sock: socket.socket, how: str = "well", log: str = "/dev/null") -> None:
    sock.send(encode(Hello(VERSION)))
    while packet := sock.recv(PACKET_MAX):
        with Path(log).open("a") as file:
            file.write(packet.decode() + "\n")
        if how == "ends":
            return
        if how == "nonsense":
            sock.send(b"?")
        elif how == "well":
            prepared = isinstance(decode_to_transfer(packet), Prepare)
            sent = Sent(entries=50, messages=2, seconds=0.1, whole=True)
            sock.send(encode(Prepared(1, 0.0) if prepared else sent))


if __name__ == "__main__":
    *arguments, descriptor = sys.argv[1:]
    with socket.socket(fileno=int(descriptor)) as end, contextlib.suppress(OSError):
        main(end, *arguments)
