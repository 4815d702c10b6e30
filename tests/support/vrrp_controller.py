"""The controller's side of the VRRP process in a test: a real `VrrpClient` inside a host."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from lvsguard.core.config import Config, VipConfig
from lvsguard.vrrp.client import COMMAND, VrrpClient
from lvsguard.vrrp.message import Failed, Mended, State, Told
from tests.support.topology import Host


def config(vips: Iterable[VipConfig], grace: float = 30.0) -> Config:
    """A config of VIP groups alone."""
    return Config("director1", "eth0", tuple(vips), (), digest="0" * 12, vrrp_grace=grace)


@dataclass
class Controller:
    """A client and what it was told."""

    client: VrrpClient
    told: list[Told | Mended | Failed] = field(default_factory=list)
    died: list[str] = field(default_factory=list)
    changes: list[State] = field(default_factory=list)

    def role(self, name: str = "web") -> str:
        state = self.client.states.get(name)
        return state.role if state else ""

    def stand(self, config: Config) -> None:
        """This director can serve all of them."""
        for vip in config.vips:
            assert vip.vrrp is not None
            self.client.stand(vip.name, ready=True, priority=vip.vrrp.priority)

    async def until(self, holds: Callable[[], bool], what: str, within: float = 5.0) -> float:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while not holds():
            text = f"not within {within:g} s: {what}: {self.client.states} {self.died}"
            assert loop.time() - begun < within, text
            await asyncio.sleep(0.01)
        return loop.time() - begun


@contextlib.asynccontextmanager
async def controller(host: Host, command: Sequence[str] = COMMAND) -> AsyncIterator[Controller]:
    """A client that runs on a host until the block ends. A process that it started goes on, as
    after the death of a controller."""
    told: list[Told | Mended | Failed] = []
    changes: list[State] = []
    died: list[str] = []
    with host.entered():
        client = VrrpClient(
            told=told.append, changed=changes.append, died=died.append, command=command
        )
        running = asyncio.create_task(client.run())
        try:
            yield Controller(client, told, died, changes)
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
            client.close()
