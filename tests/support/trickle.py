"""A program for tests of drains: tells its name by UDP, and by TCP as slowly as it is asked.

`python -m tests.support.trickle NAME PORT` prints its pid and "listens". A TCP client sends a
number of seconds and a line feed, and gets the name, a byte every 0.2 s, and the end after so many
seconds; what else the client does, a FIN of its own too, changes nothing.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, cast

from tests.support.topology import VIP

if TYPE_CHECKING:
    from tests.support.processes import Process
    from tests.support.topology import Host

EVERY_S = 0.2


def start_trickle(host: Host, port: int = 81) -> Process:
    """Start it on a host and wait until it listens."""
    process = host.start("trickle", sys.executable, "-m", __name__, host.name, str(port))
    word = f"{process.pid} listens"  # an earlier one has written to the same log
    process.wait_for(word)
    return process


class _Names(asyncio.DatagramProtocol):
    def __init__(self, name: str) -> None:
        self._name = name.encode()
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        self._transport.sendto(self._name, addr)


async def _main(name: str, port: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            seconds = float(await reader.readline() or 0)
            writer.write(name.encode() + b"\n")
            for _ in range(round(seconds / EVERY_S)):
                await asyncio.sleep(EVERY_S)
                writer.write(b".")
                await writer.drain()
        except (ConnectionError, ValueError):
            pass
        writer.close()

    loop = asyncio.get_running_loop()
    # An answer must come from the address that was asked.
    await loop.create_datagram_endpoint(lambda: _Names(name), (str(VIP), port))
    await asyncio.start_server(serve, "0.0.0.0", port)
    print(os.getpid(), "listens", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
