"""An HTTP server that can close its listener and keep its connections, and open it again.

`python -m tests.support.closing_server [PORT]`: SIGUSR1 closes, SIGUSR2 opens; each opening prints
"listens". Every request gets 200, and a client that wants so is left.
"""

from __future__ import annotations

import asyncio
import signal
import sys

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nrs1\n"


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        kept = True
        while kept:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            kept = b"http/1.1" in head and b"connection: close" not in head
            writer.write(ANSWER)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    writer.close()


async def main(port: int) -> None:
    """Serve for ever."""
    loop = asyncio.get_running_loop()
    wanted: asyncio.Queue[bool] = asyncio.Queue()
    loop.add_signal_handler(signal.SIGUSR1, wanted.put_nowait, False)
    loop.add_signal_handler(signal.SIGUSR2, wanted.put_nowait, True)
    wanted.put_nowait(True)
    server: asyncio.Server | None = None
    while True:
        if await wanted.get():
            if server is None:
                server = await asyncio.start_server(_serve, "0.0.0.0", port, backlog=4096)
            print("listens", flush=True)
        elif server is not None:
            server.close()
            server = None


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 80))
