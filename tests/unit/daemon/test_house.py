"""The house serves what the configuration wants, and no more."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest

from lvsguard.admin.journal import Journal
from lvsguard.config.load import loads
from lvsguard.core.config import Config
from lvsguard.daemon.house import House
from lvsguard.kernel.address import LinuxAddresses
from tests.support.fake_kernel import FakeAddresses
from tests.support.remote_admin import free_port
from tests.unit.admin.asking import parse
from tests.unit.config.samples import PLAIN

HOST = "127.0.0.1"


async def _status(port: int, path: str) -> int:
    """Of the answer, once there is somebody to give one."""
    async with asyncio.timeout(5):
        while True:
            try:
                reader, writer = await asyncio.open_connection(HOST, port)
                break
            except ConnectionRefusedError:
                await asyncio.sleep(0.01)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        try:
            return parse(await reader.read()).status
        finally:
            writer.close()


@pytest.mark.parametrize(("wanted", "page"), [("true", 200), ("false", 404)])
async def test_the_status_page_can_be_turned_off_and_the_metrics_stay(
    tmp_path: Path, wanted: str, page: int
) -> None:
    port = free_port()
    config = loads(
        f"""{PLAIN}
        [telemetry]
        listen = "{HOST}:{port}"
        status_page = {wanted}
        [admin]
        socket = "{tmp_path}/admin.sock"
        """
    )

    async def load(text: str | None) -> Config:
        raise AssertionError("nobody reloads")

    async def face(config: Config) -> Config:
        raise AssertionError("no address comes")

    journal = Journal(tmp_path, lambda trouble: None)
    await journal.open()
    addresses = cast("LinuxAddresses", FakeAddresses())  # of which nothing is asked here
    house = House(config, journal, addresses, config_path="config.toml", load=load, face=face)
    serving = asyncio.create_task(house.telemetry(HOST, port))
    try:
        assert [await _status(port, path) for path in ("/", "/page.js", "/metrics")] == [
            page,
            page,
            200,
        ]
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
        await journal.close()
