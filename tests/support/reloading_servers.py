"""Web servers that reload without dropping a request, each as its makers would have it done.

All answer 200 to everything on port 80 of a realserver, nginx and HAProxy over TLS on port 443,
too. nginx starts workers anew and tells the old ones to finish; Apache and HAProxy do so with
processes, Caddy (written in Go) inside of one.
"""

from __future__ import annotations

import contextlib
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import trustme

from tests.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from tests.support.processes import Process
    from tests.support.topology import Host

TLS_NAME = "rs.example.org"
"""The name in the certificate of those that speak TLS; its authority is ``AUTHORITY``."""
AUTHORITY = "authority.pem"
"""In the server's folder."""
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
    listen 80 backlog=4096; listen 443 ssl backlog=4096;
    ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.pem;
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
  bind :443 ssl crt {folder}/server.pem
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
    generation: Callable[[], Hashable]
    """What is another after each reload."""


def nginx(host: Host, folder: Path, *, idle: int = 5) -> Reloading:
    """nginx with a master and two workers; connections may idle for so many seconds."""
    config = _written(folder, NGINX, idle=idle)
    process = _started(host, "nginx-reloading", "nginx", "-p", str(folder), "-c", str(config))
    return Reloading(process, lambda: process.signal(signal.SIGHUP), lambda: _children(process))


def apache(host: Host, folder: Path, *, idle: int = 5, one_worker: bool = False) -> Reloading:
    """Apache with threads (event), or with one process that serves one connection at a time."""
    more = "StartServers 1\nServerLimit 1\nMaxRequestWorkers 1"
    if not one_worker:  # fewer threads than by default: in the guest they take long to end
        more = "StartServers 2\nServerLimit 4\nThreadsPerChild 8\nMaxRequestWorkers 32"
    model = "prefork" if one_worker else "event"
    config = _written(folder, APACHE, idle=idle, model=model, more=more)
    (folder / "answer").write_text("rs1\n")
    command = ("apache2", "-D", "FOREGROUND", "-f", str(config))
    process = _started(host, f"apache-{model}", *command)
    return Reloading(process, lambda: process.signal(signal.SIGUSR1), lambda: _children(process))


def haproxy(host: Host, folder: Path, *, idle: int = 5) -> Reloading:
    """HAProxy with a master, that hands its listeners to the next worker."""
    config = _written(folder, HAPROXY, idle=idle)
    process = _started(host, "haproxy", "haproxy", "-W", "-db", "-f", str(config))
    return Reloading(process, lambda: process.signal(signal.SIGUSR2), lambda: _children(process))


def caddy(host: Host, folder: Path, *, idle: int = 5) -> Reloading:
    """Caddy: a server in Go, which takes its new configuration without another process."""
    config = _written(folder, CADDY, idle=idle)
    named = ("--config", str(config), "--adapter", "caddyfile")
    process = _started(host, "caddy", "caddy", "run", *named, XDG_CONFIG_HOME=str(folder))
    # It logs what it does, and has no process for it.
    return Reloading(
        process,
        lambda: host.run("caddy", "reload", "--force", *named),
        lambda: process.text().count("load complete"),
    )


SERVERS: dict[str, Callable[[Host, Path], Reloading]] = {
    "nginx": nginx,
    "apache": apache,
    "haproxy": haproxy,
    "caddy": caddy,
}


def _written(folder: Path, config: str, **values: object) -> Path:
    folder.mkdir(exist_ok=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / AUTHORITY))
    own = authority.issue_cert(TLS_NAME).private_key_and_cert_chain_pem
    own.write_to_path(str(folder / "server.pem"))
    (folder / "pid").unlink(missing_ok=True)  # of one that was killed: its number may be another's
    path = folder / "server.conf"
    path.write_text(config.format(folder=folder, **values))
    return path


def _children(process: Process) -> frozenset[int]:
    """The pids of those that it has started and that are there."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has just ended
            fields = stat.read_text().rpartition(")")[2].split()
            if fields[1] == str(process.pid) and fields[0] != "Z":
                found.append(int(stat.parts[2]))
    return frozenset(found)


def _started(host: Host, name: str, *command: str, **environment: str) -> Process:
    process = host.start(name, *command, environment=environment)

    def answers() -> bool:
        assert process.running, f"{name} ended:\n{process.text()}"
        try:
            return host.get(host.address)[0] == 200
        except OSError:
            return False

    wait_until(answers, 20, f"{name} answers")
    return process
