"""The two programs of the comparison, each as a pair of directors of the seed's service.

Both get the same priorities, advert interval, VRRP version and health checks; what is not named
here is their default. Neither is asked what it does: that is the watch's and the kernel's to say.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tests.support.director import Director, make_director
from tests.support.director_config import HTTP_CHECK, Service, Setup
from tests.support.topology import VIP

if TYPE_CHECKING:
    from tests.support.processes import Process
    from tests.support.topology import Host

PRIORITY = {"director1": 150, "director2": 100}
SERVICE = f"{VIP}:80"
VRID = 51


def master_down_s(interval: float) -> float:
    """Longest silence of director1 that director2 bears (RFC 9568, 6.1)."""
    return 3 * interval + (256 - PRIORITY["director2"]) * interval / 256


class System(Protocol):
    """A program that makes a director of a host."""

    name: str

    def configure(self, host: Host, interval: float, *, sync: bool) -> None:
        """Write the host's config. `sync` is about the kernel's sync daemons, where optional."""

    def launch(self, host: Host) -> Process:
        """Start it on a host and return at once."""

    def stop(self, host: Host) -> None:
        """End it as its service manager would (SIGTERM) and wait for its end."""


class Lvsguard:
    """lvsguard, as its config's defaults are."""

    name = "lvsguard"

    def __init__(self) -> None:
        self._directors: dict[str, Director] = {}

    def configure(self, host: Host, interval: float, *, sync: bool) -> None:
        priority = ", ".join(f"{name} = {value}" for name, value in PRIORITY.items())
        vrrp = f'vrid = {VRID}\npriority = {{ {priority} }}\ninterval = "{interval * 1000:g}ms"\n'
        setup = Setup(services=(Service(check=HTTP_CHECK),), vrrp=vrrp)
        self._directors[host.name] = make_director(host, setup)

    def launch(self, host: Host) -> Process:
        return self._directors[host.name].launch()

    def stop(self, host: Host) -> None:
        _end(self._directors[host.name].running)


class Keepalived:
    """keepalived: `vrrp_instance`, `virtual_server`, and `lvs_sync_daemon` when asked for."""

    name = "keepalived"

    def __init__(self) -> None:
        self._configs: dict[str, Path] = {}
        self._running: dict[str, Process] = {}

    def configure(self, host: Host, interval: float, *, sync: bool) -> None:
        config = host.processes.logs / f"{host.name}.keepalived.conf"
        config.write_text(_keepalived_config(host, interval, sync=sync))
        self._configs[host.name] = config

    def launch(self, host: Host) -> Process:
        command = ["keepalived", "-n", "-l", "-D", "-f", str(self._configs[host.name])]
        for option, what in (("-p", "main"), ("-r", "vrrp"), ("-c", "checkers")):
            file = Path(f"/run/keepalived.{host.name}.{what}.pid")
            file.unlink(missing_ok=True)  # of before a death: a host loses its /run with it
            command += [option, str(file)]
        self._running[host.name] = host.start("keepalived", *command)
        return self._running[host.name]

    def stop(self, host: Host) -> None:
        _end(self._running[host.name])


def _end(process: Process) -> None:
    assert process.running, f"it had ended before it was stopped:\n{process.text()}"
    process.popen.terminate()
    process.wait(20)


def _keepalived_config(host: Host, interval: float, *, sync: bool) -> str:
    checks = "\n".join(
        f"""  real_server 10.0.0.{octet} 80 {{
    weight 1
    HTTP_GET {{
      url {{
        path /health
        status_code 200
      }}
      connect_timeout 1
      retry 1
      delay_before_retry 1
    }}
  }}"""
        for octet in (42, 43)
    )
    daemon = f"  lvs_sync_daemon eth0 V id {VRID}\n" if sync else ""
    return f"""global_defs {{
  router_id {host.name}
{daemon}}}
vrrp_instance V {{
  state BACKUP
  interface eth0
  version 3
  virtual_router_id {VRID}
  priority {PRIORITY[host.name]}
  advert_int {interval:g}
  virtual_ipaddress {{
    {VIP}/24 dev eth0
  }}
}}
virtual_server {VIP} 80 {{
  delay_loop 1
  lb_algo rr
  lb_kind DR
  protocol TCP
{checks}
}}
"""
