"""`make lab`: a shell in the seed network, where nginx answers on the realservers.

Nothing of LVS is set up, so everything in docs/tutorial.md can be tried as it is written there.
Each host is a command: `rs1 ip addr` runs there, `rs1` alone opens a shell there.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.processes import run
from tests.support.topology import Network, seed_network
from tests.support.topology_web import start_web

if TYPE_CHECKING:
    from collections.abc import Iterator

WELCOME = """\
The seed network. Each host is a command: `rs1 ip addr` runs there, `rs1` alone
opens a shell there.

  client 10.0.0.100   director1 10.0.0.41   director2 10.0.0.40
  rs1 10.0.0.42       rs2 10.0.0.43         nginx answers on both

The VIP is to be 10.0.0.8; docs/tutorial.md goes on from here. All of it is gone
when this shell ends (Ctrl-D).
"""
INSIDE = Path(__file__).with_name("inside")
"""Gives a host its name, and folders of its own where it needs them."""
COMMAND = """\
#!/bin/sh
[ $# -gt 0 ] || {{ export PS1="{name}# "; set -- bash --norc -i; }}
exec ip netns exec {name} {inside} {name} "$@"
"""


@contextlib.contextmanager
def playground(logs: Path) -> Iterator[Network]:
    """Yield the network with nginx on both realservers, and a place for lvsguard's files."""
    # As an installation does (deploy/sysusers.d): the daemon gives its socket to this group.
    run(["groupadd", "--force", "--system", "lvsguard"])
    Path("/etc/lvsguard").mkdir(exist_ok=True)
    with seed_network(logs) as network:
        for realserver in network.realservers:
            start_web(realserver)
        yield network


def main() -> int:
    """Open a shell in the network; return its exit status."""
    with tempfile.TemporaryDirectory() as scratch, playground(Path(scratch)) as network:
        commands = Path(scratch, "bin")
        commands.mkdir()
        for host in network.hosts:
            command = commands / host.name
            command.write_text(COMMAND.format(name=host.name, inside=INSIDE))
            command.chmod(0o755)
        print(WELCOME, flush=True)
        environment = {**os.environ, "PATH": f"{commands}:{os.environ['PATH']}", "PS1": "lab# "}
        return subprocess.run(["bash", "--norc", "-i"], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
