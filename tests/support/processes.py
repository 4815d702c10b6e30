"""Programs that a test starts: run to the end, or kept running with a log and a pid.

Every program that is started here is ended here, by its own pid; none is ever looked up by name.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.pace import slowness

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


def wait_until(
    holds: Callable[[], bool], within_s: float, what: str, *, every_s: float = 0.01
) -> float:
    """Wait until `holds()` and return how many seconds that took; fail, naming `what`, if not.

    In a slow guest it may take as much longer as a system call does there.
    """
    start, limit_s = time.monotonic(), within_s
    while not holds():
        if time.monotonic() - start > limit_s:
            limit_s = within_s * slowness() if limit_s == within_s else limit_s
            if time.monotonic() - start > limit_s:
                raise AssertionError(f"not within {within_s:g} s: {what}")
        time.sleep(every_s)
    return time.monotonic() - start


def run(
    command: Sequence[str], *, check: bool = True, given: str = "", timeout_s: float = 30
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; with `check`, a failure raises with all that it said."""
    done = subprocess.run(
        command, input=given, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    if check and done.returncode != 0:
        said = (done.stdout + done.stderr).strip()
        raise AssertionError(f"{' '.join(command)}: exit {done.returncode}\n{said}")
    return done


@dataclass(slots=True)
class Process:
    """A running program in a session of its own; its stdout and stderr go to `log`."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def running(self) -> bool:
        return self.popen.poll() is None

    def text(self) -> str:
        """Return what it has written so far."""
        return self.log.read_text(errors="replace")

    def wait_for(self, text: str, within_s: float = 10) -> float:
        """Wait until it has written `text`; return the seconds waited."""

        def written() -> bool:
            if text in self.text():
                return True
            assert self.running, f"{self.name} ended with {self.popen.returncode}:\n{self.text()}"
            return False

        return wait_until(written, within_s, f"{self.name} writes {text!r} (log: {self.log})")

    def wait(self, within_s: float = 10) -> int:
        """Wait for its end; return its exit status, negative for a signal."""
        return self.popen.wait(within_s)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this one process; nothing when it has ended."""
        self.popen.send_signal(number)

    def stop(self, within_s: float = 10) -> int:
        """End it by SIGTERM, and by SIGKILL when that takes too long; return the exit status."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.signal(signal.SIGTERM)
            self.popen.wait(within_s)
        return self.kill()

    def kill(self) -> int:
        """End it and every process that it started, at once, by SIGKILL of its session."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        return self.popen.wait(10)

    def freeze(self) -> None:
        """Stop the whole session (SIGSTOP): it holds its sockets and answers nothing."""
        os.killpg(self.popen.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen session go on."""
        os.killpg(self.popen.pid, signal.SIGCONT)


@dataclass(slots=True)
class Processes:
    """Starts programs with logs in one folder, and ends all of them when it is closed."""

    logs: Path
    started: list[Process] = field(default_factory=list)

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> Process:
        """Start a program; a second one of the same name adds to the same log."""
        log = self.logs / f"{name}.log"
        with log.open("ab") as output:
            popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **(environment or {})},
            )
        process = Process(name, popen, log)
        self.started.append(process)
        return process

    def close(self) -> None:
        """End what still runs, the last one first."""
        for process in reversed(self.started):
            process.kill()
        self.started.clear()
