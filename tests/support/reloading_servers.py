"""Web servers that reload without dropping a request, each as its makers would have it done.

All answer 200 to everything on port 80 of a realserver. nginx starts workers anew and tells the old
ones to finish; Apache and HAProxy do so with processes, Caddy (written in Go) inside of one.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.processes import Process
    from tests.support.topology import Host

NGINX = """\
daemon off; user root; pid {folder}/pid; error_log stderr warn; worker_processes 2;
worker_shutdown_timeout 1s;
events {{ worker_connections 1024; }}
http {{
  access_log off; default_type text/plain; types {{ }}
  keepalive_timeout {idle}s; client_header_timeout {idle}s;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 80 backlog=4096;
    location / {{ return 200 "rs1\\n"; }}
  }}
}}
"""
APACHE = """\
ServerRoot {folder}
PidFile {folder}/pid
ServerName rs1
Listen 80
LoadModule mpm_{model}_module /usr/lib/apache2/modules/mod_mpm_{model}.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so
AliasMatch .* {folder}/answer
ErrorLog {folder}/error.log
KeepAliveTimeout {idle}
{more}
<Directory />
  Require all granted
</Directory>
"""
HAPROXY = """\
global
  stats socket {folder}/stats mode 600 level admin expose-fd listeners
defaults
  mode http
  timeout client {idle}s
  timeout http-request {idle}s
  timeout connect 1s
  timeout server 1s
frontend web
  bind :80
  http-request return status 200 content-type text/plain string "rs1"
"""
CADDY = """\
{{
  admin 127.0.0.1:2019
  auto_https off
  storage file_system {folder}
  servers {{
    timeouts {{
      idle {idle}s
      read_header {idle}s
    }}
  }}
}}
:80 {{
  respond "rs1"
}}
"""


@dataclass(frozen=True, slots=True)
class Reloading:
    """A running server, and how it is told to reload."""

    process: Process
    reload: Callable[[], object]


def nginx(host: Host, folder: Path, *, idle: int = 5) -> Reloading:
    """nginx with a master and two workers; connections may idle for so many seconds."""
    config = _written(folder, NGINX, idle=idle)
    process = _started(host, "nginx-reloading", "nginx", "-p", str(folder), "-c", str(config))
    return Reloading(process, lambda: process.signal(signal.SIGHUP))


def apache(host: Host, folder: Path, *, idle: int = 5, one_worker: bool = False) -> Reloading:
    """Apache with threads (event), or with one process that serves one connection at a time."""
    more = "StartServers 1\nServerLimit 1\nMaxRequestWorkers 1" if one_worker else ""
    model = "prefork" if one_worker else "event"
    config = _written(folder, APACHE, idle=idle, model=model, more=more)
    (folder / "answer").write_text("rs1\n")
    command = ("apache2", "-D", "FOREGROUND", "-f", str(config))
    process = _started(host, f"apache-{model}", *command)
    return Reloading(process, lambda: process.signal(signal.SIGUSR1))


def haproxy(host: Host, folder: Path, *, idle: int = 5) -> Reloading:
    """HAProxy with a master, that hands its listeners to the next worker."""
    config = _written(folder, HAPROXY, idle=idle)
    process = _started(host, "haproxy", "haproxy", "-W", "-db", "-f", str(config))
    return Reloading(process, lambda: process.signal(signal.SIGUSR2))


def caddy(host: Host, folder: Path, *, idle: int = 5) -> Reloading:
    """Caddy: a server in Go, which takes its new configuration without another process."""
    config = _written(folder, CADDY, idle=idle)
    named = ("--config", str(config), "--adapter", "caddyfile")
    process = _started(host, "caddy", "caddy", "run", *named)
    return Reloading(process, lambda: host.run("caddy", "reload", "--force", *named))


SERVERS: dict[str, Callable[[Host, Path], Reloading]] = {
    "nginx": nginx,
    "apache": apache,
    "haproxy": haproxy,
    "caddy": caddy,
}


def _written(folder: Path, config: str, **values: object) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "server.conf"
    path.write_text(config.format(folder=folder, **values))
    return path


def _started(host: Host, name: str, *command: str) -> Process:
    process = host.start(name, *command)

    def answers() -> bool:
        assert process.running, f"{name} ended:\n{process.text()}"
        try:
            return host.get(host.address)[0] == 200
        except OSError:
            return False

    wait_until(answers, 20, f"{name} answers")
    return process
