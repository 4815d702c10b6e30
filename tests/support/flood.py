"""Sends VRRP packets as fast as it can: `python -m tests.support.flood SECONDS KIND`.

Out of eth0, to the group, with forged sources of 10.0.0.0/24. Prints how many and in what time.
KIND: `vrid` (of another virtual router), `noise` (random octets), `forged` (ours by its looks,
from 200 senders), `spoofed` (the same, all from the master's 10.0.0.40), `replayed` (the master's
own advert, again and again).
"""

from __future__ import annotations

import random
import socket
import sys
import time

GROUP = "224.0.0.18"
ADVERT = bytes.fromhex("313364010064ffffc0000264")  # vrid 51, a wrong checksum
_SO_BINDTODEVICE = 25


def packets(kind: str) -> list[bytes]:
    """Some hundred packets of a kind."""
    made = []
    for number in range(200):
        master = kind in ("spoofed", "replayed")
        source = "10.0.0.40" if master else f"10.0.0.{50 + number}"
        payload = {
            "vrid": b"\x31\x34" + ADVERT[2:],
            "noise": random.randbytes(40),
            "replayed": ADVERT[:6] + b"\xa8\x02" + ADVERT[8:],
        }.get(kind, ADVERT)
        header = bytes([0x45, 0xC0]) + bytes(6) + bytes([255, 112, 0, 0])
        made.append(header + socket.inet_aton(source) + socket.inet_aton(GROUP) + payload)
    return made


def main(seconds: float, kind: str) -> None:
    made, sent = packets(kind), 0
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
        sock.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, b"eth0\0")
        begin = time.monotonic()
        while (taken := time.monotonic() - begin) < seconds:
            for packet in made:
                sock.sendto(packet, (GROUP, 0))
            sent += len(made)
    print(sent, taken, flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2])
