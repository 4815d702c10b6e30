"""Sends requests for the connection table as fast as it can.

`python -m tests.support.table_flood SECONDS KIND ADDRESS PORT` prints how many, in what time.
KIND: `noise` (random octets), `near` (all right but the TTL), `meant` (all right, another nonce
each time).
"""

from __future__ import annotations

import random
import socket
import sys
import time

from lvsguard.vrrp.table_request import TTL, Request, encode


def main(seconds: float, kind: str, address: str, port: int) -> None:
    made = [encode(Request(51, 4, random.randbytes(8)), None) for _ in range(500)]
    if kind == "noise":
        made = [random.randbytes(20) for _ in made]
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, TTL - (kind == "near"))
        sock.connect((address, port))
        begin = time.monotonic()
        while (taken := time.monotonic() - begin) < seconds:
            for packet in made:
                sock.send(packet)
            sent += len(made)
    print(sent, taken, flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
