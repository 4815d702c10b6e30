"""FRR's vrrpd as the other director: writes its config, makes its links, runs it on a host.

FRR elects for links that somebody else makes: one macvlan for each virtual router, with its MAC
address (RFC 9568 section 7.3) and the VIPs on it. In the backup state zebra takes the carrier from
that link (protodown) and leaves the addresses on it (FRR's manual, "VRRP").
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from ipaddress import ip_interface
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.processes import wait_until

if TYPE_CHECKING:
    from tests.support.processes import Process
    from tests.support.topology import Host

PROGRAMS = Path("/usr/lib/frr")
"""Where Debian's package `frr` has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """One virtual router of one address family."""

    vrid: int
    vips: tuple[str, ...]
    priority: int = 100
    version: int = 3
    interval: float = 1.0

    @property
    def family(self) -> int:
        return ip_interface(self.vips[0]).version

    @property
    def link(self) -> str:
        return f"vrrp{self.family}-{self.vrid}"

    @property
    def mac(self) -> str:
        return f"00:00:5e:00:{1 if self.family == 4 else 2:02x}:{self.vrid:02x}"

    @property
    def source6(self) -> str:
        """The link-local address that its adverts come from."""
        return f"fe80::5e:{self.vrid}"

    def text(self) -> str:
        word = "ip" if self.family == 4 else "ipv6"
        lines = [f"version {self.version}", f"priority {self.priority}"]
        lines += [f"advertisement-interval {round(self.interval * 1000)}"]
        lines += [f"{word} {ip_interface(vip).ip}" for vip in self.vips]
        return "\n".join(f" vrrp {self.vrid} {line}" for line in lines)


@dataclass(slots=True)
class Frr:
    """zebra and vrrpd on a host, in the foreground. zebra is there from the first start to the
    end; only vrrpd is stopped and killed."""

    host: Host
    place: Path
    """Pid files and sockets."""
    process: Process | None = field(default=None)
    _zebra: Process | None = field(default=None)
    _links: set[str] = field(default_factory=set)

    def start(self, *routers: Router) -> None:
        """Start vrrpd with these virtual routers, and wait until each of them is a backup."""
        for router in routers:
            if router.link not in self._links:
                self._make_link(router)
        if self._zebra is None:
            self._zebra = self._run("zebra", "-A", "127.0.0.1", config="log stdout\n")
            wait_until((self.place / "zserv.api").exists, 10, f"{self.host.name} runs zebra")
        texts = "\n".join(router.text() for router in routers)
        log = self.host.processes.logs / f"{self.host.name}.vrrpd.log"
        before = len(log.read_text()) if log.exists() else 0  # of runs that were
        self.process = self._run("vrrpd", config=f"log stdout\ninterface eth0\n{texts}\n")
        wait_until(
            lambda: log.read_text()[before:].count("Initialize -> Backup") >= len(routers),
            15,
            f"{self.host.name} runs vrrpd (log: {log})",
            every_s=0.05,
        )

    def held(self) -> set[str]:
        """The links with VIPs that have a carrier: the host answers for what is on them."""
        shown = json.loads(self.host.run("ip", "-json", "link", "show", "type", "macvlan").stdout)
        # what is no macvlan is an empty object
        return {one["ifname"] for one in shown if "LOWER_UP" in one.get("flags", ())}

    def stop(self) -> None:
        """End vrrpd as planned: it sends priority 0, and takes the carrier from its links."""
        assert self.process is not None, "vrrpd was not started"
        self.process.stop()
        self.process = None

    def crash(self) -> None:
        """End vrrpd at once; its links stay as they are."""
        assert self.process is not None, "vrrpd was not started"
        self.process.kill()
        self.process = None

    def close(self) -> None:
        """End all of it, and leave no link."""
        for process in (self.process, self._zebra):
            if process is not None:
                process.kill()
        self.process = self._zebra = None
        for link in self._links:
            self.host.run("ip", "link", "del", link)
        self._links.clear()
        shutil.rmtree(self.place, ignore_errors=True)

    def _run(self, program: str, *options: str, config: str) -> Process:
        file = self.place / f"{program}.conf"
        file.write_text(config)
        place = ("-f", file, "-i", self.place / f"{program}.pid", "-z", self.place / "zserv.api")
        command = (PROGRAMS / program, *place, "--vty_socket", self.place, "-P", "0", *options)
        return self.host.start(program, *map(str, command))

    def _make_link(self, router: Router) -> None:
        name, ip = router.link, ("ip", "link")
        kind = ("type", "macvlan", "mode", "bridge")
        self.host.run(*ip, "add", name, "link", "eth0", "address", router.mac, *kind)
        self._links.add(name)
        # The address that the MAC gives would be the same on every director.
        self.host.run(*ip, "set", name, "addrgenmode", "none")
        self.host.sysctl(f"net.ipv6.conf.{name}.accept_dad", 0)
        # The own address last: of several link-local ones vrrpd speaks from the youngest.
        own = (f"{router.source6}/64",) if router.family == 6 else ()
        for address in (*router.vips, *own):
            self.host.run("ip", "address", "add", address, "dev", name)
        self.host.run(*ip, "set", name, "up")


def make_frr(host: Host) -> Frr:
    """FRR on a host, not started. Its programs give up root for the user `frr`."""
    place = Path("/run", f"frr.{host.name}")
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    shutil.chown(place, "frr", "frr")
    return Frr(host, place)
