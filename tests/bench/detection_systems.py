"""Who looks after the realservers in the comparison: one director, the same service and check.

What is not named here is each program's default. None is asked what it found: that is the
kernel's table to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tests.support.director import make_director
from tests.support.director_config import Service, Setup
from tests.support.topology import VIP

if TYPE_CHECKING:
    from tests.support.processes import Process
    from tests.support.topology import Host

CHECK = 'kind = "http", path = "/health", interval = "1s", timeout = "1s"'
KEEPALIVED = f"""\
global_defs {{
  router_id director1
}}
virtual_server {VIP} 80 {{
  delay_loop 1
  lb_algo rr
  lb_kind DR
  protocol TCP
@
}}
"""
REAL_SERVER = """\
  real_server 10.0.0.{octet} 80 {{
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
  }}
"""


class System(Protocol):
    """A program that looks after the realservers."""

    name: str

    def start(self, host: Host) -> Process:
        """Start it on a director without tables."""


class Lvsguard:
    """lvsguard: with all that it does by itself, or with the check alone."""

    def __init__(self, name: str, check: str = "", service: str = "") -> None:
        self.name = name
        self._service = Service(check=f"{{ {CHECK}{check} }}", more=service)

    def start(self, host: Host) -> Process:
        director = make_director(host, Setup(services=(self._service,)))
        return director.launch()


class Keepalived:
    """keepalived's checkers; the VIP is there already."""

    name = "keepalived"

    def start(self, host: Host) -> Process:
        host.run("ip", "address", "replace", f"{VIP}/24", "dev", "eth0")
        config = host.processes.logs / "keepalived.detection.conf"
        servers = "".join(REAL_SERVER.format(octet=octet) for octet in (42, 43))
        config.write_text(KEEPALIVED.replace("@", servers))
        pids = [
            str(host.processes.logs / f"keepalived.{what}.pid") for what in ("main", "checkers")
        ]
        command = ["keepalived", "--check", "-n", "-l", "-D", "-f", str(config)]
        return host.start("keepalived", *command, "-p", pids[0], "-c", pids[1])


SYSTEMS: tuple[System, ...] = (
    Keepalived(),
    Lvsguard("the check alone", ", canary = false, arp = false", "passive = false"),
    Lvsguard("lvsguard"),
)
