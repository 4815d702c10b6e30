"""User-mode Linux as the lab's kernel: boot it on the host's root, run one job, power off.

The guest's first process is `guest-init`. The job's output comes over serial lines of its own, so
kernel messages never mix with it; they go to a log that is shown when the guest fails.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.relay import Relay, open_relay

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.machine import Job

INIT = Path(__file__).resolve().parent / "guest-init"
MODULES = Path("/usr/lib/uml/modules")
LIMIT_STATUS = 124
FAILED_STATUS = 125
PACKAGES = "user-mode-linux kmod iproute2"


def problem() -> str:
    """Return why UML cannot serve, or "" when it can."""
    if shutil.which("linux.uml") is None or not MODULES.is_dir():
        return f"user-mode Linux is missing (Debian: apt-get install {PACKAGES}, or make deps)"
    if shutil.which("modprobe", path="/usr/sbin:/sbin:/usr/bin") is None:
        return f"modprobe is missing (Debian: apt-get install {PACKAGES}, or make deps)"
    return ""


def run(job: Job) -> int:
    """Boot, run the job, power off; return the job's exit status."""
    kernel_log = job.control / "kernel.log"
    with open_relay() as relay, kernel_log.open("wb") as log, _own_cpu() as cpu:
        process = subprocess.Popen(
            _command(job, relay),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=relay.guest_fds,
            env={**os.environ, "TMPDIR": _memory_folder(job)},
            # A group of its own: one signal ends the kernel with all its helper processes.
            start_new_session=True,
            preexec_fn=partial(_begin, cpu),  # noqa: PLW1509 (this process has no threads)
        )
        try:
            relay.close_guest_side()
            ended = relay.copy_until_exit(process, time.monotonic() + job.limit_s)
        finally:
            _end(process)
    if not ended:
        print(f"tests/lab/run: no end within {job.limit_s:g} s, ended it", file=sys.stderr)
        return LIMIT_STATUS
    return _status(job, kernel_log)


def _command(job: Job, relay: Relay) -> list[str]:
    if relay.terminal:  # one line, which is read as well
        lines = [f"ssl0=fd:{relay.guest_fds[0]}"]
    else:
        lines = [f"ssl{number}=null,fd:{fd}" for number, fd in enumerate(relay.guest_fds)]
    return [
        "linux.uml",
        f"mem={job.memory}",
        *("root=/dev/root", "rootfstype=hostfs", "hostfs=/", "rw", f"init={INIT}"),
        *("con=null", "con0=null,fd:1", "ssl=null", *lines),
        # pid files and the management socket, which would else be written to ~/.uml
        *(f"uml_dir={job.control}/", "umid=guest"),
        # The rest becomes the environment of guest-init.
        f"LAB_CONTROL={job.control}",
        f"LAB_OUT={job.out or ''}",
        f"LAB_IPVS={int(job.load_ipvs)}",
        f"LAB_TERMINAL={int(relay.terminal)}",
    ]


@contextlib.contextmanager
def _own_cpu() -> Iterator[int]:
    """A CPU that no other guest of this host has, as long as there is one.

    A guest's kernel and its programs are processes that take turns at each system call. On one CPU
    such a call takes 13 us; where the host moves them between two it takes 14 to 50.
    """
    cpus = sorted(os.sched_getaffinity(0), reverse=True)
    with contextlib.ExitStack() as stack:
        for cpu in cpus:
            with contextlib.suppress(OSError):  # another guest has it, or another user's guest had
                place = Path(tempfile.gettempdir(), f"lvsguard-lab-cpu{cpu}")
                file = stack.enter_context(place.open("w"))
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
        else:
            cpu = random.choice(cpus)
        yield cpu


def _begin(cpu: int) -> None:
    """Keep the guest on its CPU, and let a SIGKILL of this process end it too (prctl(2),
    PR_SET_PDEATHSIG). SIGTERM, since its kernel then ends its helper processes before itself."""
    os.sched_setaffinity(0, {cpu})
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _memory_folder(job: Job) -> str:
    """Return where the guest's memory file goes: /dev/shm, unless a container keeps that small."""
    shm = Path("/dev/shm")
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    size = int(job.memory.rstrip("KMGkmg")) * units.get(job.memory[-1:].upper(), 1)
    return str(shm) if shm.is_dir() and shutil.disk_usage(shm).free > size else str(job.control)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave no process of the guest behind, whether it powered off or not."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _status(job: Job, kernel_log: Path) -> int:
    status = job.control / "status"
    if status.exists() and status.read_text().strip():
        return int(status.read_text())
    why = job.control / "why"
    text = why.read_text().strip() if why.exists() else "the guest ended before the command did"
    tail = kernel_log.read_text(errors="replace").splitlines()[-15:]
    print(f"tests/lab/run: {text}; its last words:", *tail, sep="\n  ", file=sys.stderr)
    return FAILED_STATUS
