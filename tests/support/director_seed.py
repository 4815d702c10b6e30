"""The seed network under lvsguard: realservers by hand, nginx on them, the daemon on director1."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.director import make_director
from tests.support.director_config import Setup
from tests.support.topology_web import start_web

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.director import Director
    from tests.support.topology import Host, Network
    from tests.support.topology_web import Web


@dataclass(slots=True)
class Seed:
    """The seed network with nginx on its realservers, and lvsguard on director1."""

    network: Network
    director: Director
    webs: list[Web]

    @property
    def client(self) -> Host:
        return self.network.client

    def settle(self) -> None:
        """Be as at the start again, whatever a test before has left."""
        self._end_strangers()
        for host, web in zip(self.network.realservers, self.webs, strict=True):
            self.network.plug(host)
            web.set_health(well=True)
            if web.process.running:
                web.process.thaw()
            else:
                web.start()
        self.director.configure(Setup())
        if self.director.process is None or not self.director.process.running:
            self.director.start()
        else:
            self.director.client.reload()
        # Those that a test added leave at the next read, and not in the middle of the next test.
        gone = {f"rs{host.octet - 41}": None for host in self.network.realservers[2:]}
        self.director.wait_for_weights(rs1=1, rs2=1, **gone)
        self.director.wait_for_verdicts(rs1="up", rs2="up")  # and is told, where events are

    def _end_strangers(self) -> None:
        """End what a test that failed has left: a server in the place of nginx, a load. It may have
        failed in the middle of starting one, so that nobody knows of it."""
        own = {os.getsid(web.process.pid) for web in self.webs if web.process.running}
        for host in (self.client, *self.network.realservers):
            for pid in host.pids():
                with contextlib.suppress(ProcessLookupError):
                    if os.getsid(pid) not in own:
                        os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def seed_under_lvsguard(network: Network, setup: Setup | None = None) -> Iterator[Seed]:
    """Set up the realservers by hand and nginx on them, start lvsguard, wait until all are in."""
    for realserver in network.realservers:
        realserver.hold_vip()
    seed = Seed(
        network,
        make_director(network.director1, setup),
        [start_web(realserver) for realserver in network.realservers],
    )
    seed.director.start()
    yield seed
    if seed.director.running.running:
        seed.director.kill()
