"""keepalived as the other director: writes its config, runs it on a host, reads its log."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.processes import wait_until
from tests.support.topology import VIP

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Process
    from tests.support.topology import Host

_ENTERED = re.compile(r"\(V\) Entering (\w+) STATE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One `vrrp_instance`; the seed's when nothing is given."""

    vrid: int = 51
    priority: int = 100
    interval: str = "1"
    version: int = 3
    vips: tuple[str, ...] = (f"{VIP}/24",)
    source: str = ""
    """Of unicast adverts; the host's address if it is empty."""
    peers: tuple[str, ...] = ()
    password: str = ""
    virtual_mac: bool = False
    """Whether VIPs are on a macvlan of its own, and adverts come from its MAC address."""
    more: str = ""
    """Further lines."""

    def text(self, host: Host, number: int = 0) -> str:
        lines = [
            f"vrrp_instance V{number or ''} {{",
            "state BACKUP",
            "interface eth0",
            f"version {self.version}",
            f"virtual_router_id {self.vrid}",
            f"priority {self.priority}",
            f"advert_int {self.interval}",
        ]
        if self.peers:
            source = self.source or host.address
            lines += [f"unicast_src_ip {source}", "unicast_peer {", *self.peers, "}"]
        if self.password:
            lines += ["authentication {", "auth_type PASS", f"auth_pass {self.password}", "}"]
        lines += ["use_vmac"] if self.virtual_mac else []
        place = "" if self.virtual_mac else " dev eth0"
        addresses = [f"{vip}{place}" for vip in self.vips]
        lines += [self.more, "virtual_ipaddress {", *addresses, "}", "}"]
        return "\n".join(lines)


@dataclass(slots=True)
class Keepalived:
    """keepalived on a host; its VRRP process alone, in the foreground."""

    host: Host
    config: Path
    process: Process | None = field(default=None)
    _read: int = 0
    """Characters of the log that belong to runs before."""

    def start(self, *instances: Instance) -> None:
        """Start it with these instances, and wait until it has begun."""
        texts = [
            one.text(self.host, number) for number, one in enumerate(instances or [Instance()])
        ]
        head = f"global_defs {{\nrouter_id {self.host.name}\nvrrp_garp_master_delay 1\n}}\n"
        self.config.write_text(head + "\n".join(texts) + "\n")
        pids = [f"/run/keepalived.{self.host.name}.{one}.pid" for one in ("main", "vrrp")]
        command = ["keepalived", "--vrrp", "-n", "-l", "-D", "-f", str(self.config)]
        self.process = self.host.start("keepalived", *command, "-p", pids[0], "-r", pids[1])
        wait_until(
            lambda: self.text().count("BACKUP STATE") >= len(texts),
            10,
            f"{self.host.name} runs keepalived",
        )

    @property
    def running(self) -> Process:
        assert self.process is not None, "keepalived was not started"
        return self.process

    def text(self) -> str:
        """What this run has logged."""
        return self.running.text()[self._read :]

    @property
    def role(self) -> str:
        """What it says to be: master, backup or fault."""
        return str(_ENTERED.findall(self.text())[-1]).lower()

    def wait_for_role(self, role: str, within_s: float) -> float:
        def there() -> bool:
            assert self.running.running, self.text()
            return self.role == role

        return wait_until(there, within_s, f"keepalived is {role}:\n{self.text()}")

    def stop(self) -> None:
        """End it as planned: it sends priority 0 and takes its addresses off."""
        self.running.stop()
        self._read = len(self.running.text())
        self.process = None

    def crash(self) -> None:
        """End it at once; its addresses stay, as after a crash."""
        self.running.kill()
        self._read = len(self.running.text())
        self.process = None


def make_keepalived(host: Host) -> Keepalived:
    """keepalived on a host, not started."""
    return Keepalived(host, host.processes.logs / f"{host.name}.keepalived.conf")
