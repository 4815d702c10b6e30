"""The host's own kernel as the lab's: new namespaces, so that the host is left as it was."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.lab.machine import Job

INIT = Path(__file__).resolve().parent / "host-init"
LIMIT_STATUS = 124


def problem() -> str:
    """Return why the host's kernel cannot serve, or "" when it can."""
    if os.geteuid() != 0:
        return "not root (use sudo)"
    if not Path("/proc/net/ip_vs").exists() and not _load():
        return "its kernel has no ip_vs (modprobe ip_vs fails)"
    unshare = shutil.which("unshare")
    if unshare is None:
        return "unshare is missing (apt-get install util-linux)"
    tried = subprocess.run(
        [unshare, "--net", "--mount", "--pid", "--fork", "true"], capture_output=True, check=False
    )
    return "" if tried.returncode == 0 else "it allows no new namespaces here"


def run(job: Job) -> int:
    """Run the job in new network, mount and process namespaces; return its exit status."""
    command = ["unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--kill-child"]
    command += ["--mount-proc", str(INIT), str(job.script), str(job.out or "")]
    # The process stays in our group, so that a terminal's Ctrl-C reaches the command itself.
    with subprocess.Popen(command) as process:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return _status(process.wait(timeout=job.limit_s))
        except subprocess.TimeoutExpired:
            print(f"tests/lab/run: no end within {job.limit_s:g} s, ended it", file=sys.stderr)
            return LIMIT_STATUS
        finally:
            signal.signal(signal.SIGINT, before)
            process.kill()


def _status(returncode: int) -> int:
    return 128 - returncode if returncode < 0 else returncode


def _load() -> bool:
    modprobe = shutil.which("modprobe", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if modprobe is None:
        return False
    return subprocess.run([modprobe, "-q", "ip_vs"], check=False).returncode == 0
