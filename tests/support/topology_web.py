"""nginx on a realserver: answers its own name at `/`, and at `/health` what the test says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.processes import Process, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.topology import Host

# One process, so that killing it is killing nginx. Keep-alive has no end of its own: a connection
# that breaks was broken by what is tested.
CONFIG = """\
daemon off; master_process off; user root; pid {folder}/pid; error_log stderr warn;
events {{ worker_connections 8192; }}
http {{
  access_log off; default_type text/plain; types {{ }} tcp_nodelay on;
  keepalive_timeout 1h; keepalive_requests 100000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen {port} backlog=4096; listen [::]:{port} backlog=4096;
    location / {{ return 200 "{name}\\n"; }}
    location = /health {{
      if (-f {folder}/unhealthy) {{ return 503 "{name} is unwell\\n"; }}
      return 200 "{name} is well\\n";
    }}
  }}
}}
"""


@dataclass(slots=True)
class Web:
    """A web server on a realserver, started; it can be killed, started again, and made unwell."""

    host: Host
    folder: Path
    port: int
    process: Process

    def kill(self) -> None:
        """End it at once; its connections get what a killed process's kernel sends."""
        self.process.kill()

    def start(self) -> None:
        """Start it again and wait until it answers."""
        self.process = _start(self.host, self.folder, self.port)

    def set_health(self, well: bool) -> None:
        """Let `/health` answer 200 or 503; `/` goes on as before."""
        if well:
            (self.folder / "unhealthy").unlink(missing_ok=True)
        else:
            (self.folder / "unhealthy").touch()


AS_URGENT = ("nice", "-n", "-5")
"""As the director is. A realserver has CPUs of its own; in user-mode Linux all share one."""


def start_web(host: Host, port: int = 80) -> Web:
    """Start nginx on a host and wait until it answers there."""
    folder = host.processes.logs / f"{host.name}.nginx"
    folder.mkdir(exist_ok=True)
    (folder / "nginx.conf").write_text(CONFIG.format(folder=folder, name=host.name, port=port))
    return Web(host, folder, port, _start(host, folder, port))


def _start(host: Host, folder: Path, port: int) -> Process:
    command = (*AS_URGENT, "nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"))
    process = host.start("nginx", *command)

    def answers() -> bool:
        assert process.running, f"nginx ended:\n{process.text()}"
        try:
            return host.get(host.address, port=port) == (200, host.name)
        except OSError:
            return False

    wait_until(answers, 10, f"nginx on {host.name} answers")
    return process
