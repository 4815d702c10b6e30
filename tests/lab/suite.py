"""The whole test suite, each part on the kernel that it needs, with one count at the end.

`python -m tests.lab.suite [PYTEST OPTION...]` runs every phase even when one fails; its last line
is "N passed, N failed, N skipped", and its exit status is 0 only when every phase ran and passed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

CHECKOUT = Path(__file__).resolve().parents[2]
RESULTS = CHECKOUT / ".lab"
LAB = [str(CHECKOUT / "tests/lab/run"), "--out", str(RESULTS), "--limit", "1500"]


@dataclass(frozen=True, slots=True)
class Phase:
    """One run of pytest."""

    name: str
    markers: str
    launcher: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Count:
    """How many tests ended how; errors count as failed."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(
            self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped
        )

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


KERNEL = "(kernel or lab) and not without_ipvs"
PHASES = (
    Phase("host", "not kernel and not lab and not without_ipvs"),
    Phase("kernel", KERNEL, tuple(LAB)),
    Phase("without-ipvs", "without_ipvs", (*LAB, "--without-ipvs")),
)


def main(options: list[str]) -> int:
    """Run every phase, print the sum, return the exit status."""
    RESULTS.mkdir(exist_ok=True)
    total, failed_phases = Count(), []
    for phase in PHASES:
        print(f"\n== {phase.name}: pytest -m '{phase.markers}'", flush=True)
        status, count = run(phase, options)
        total += count
        if status != 0 or count.failed or not count.passed:
            failed_phases.append(phase.name)
    if failed_phases:
        # A phase that ended before it could count (no kernel, out of time) is a failure too.
        total += Count(failed=0 if total.failed else len(failed_phases))
        print(f"\nfailed: {', '.join(failed_phases)}; logs and captures are in {RESULTS}")
    print(f"\n{total}", flush=True)
    return 1 if failed_phases else 0


def run(phase: Phase, options: list[str]) -> tuple[int, Count]:
    """Run one phase; return pytest's exit status and what it counted."""
    report = RESULTS / f"{phase.name}.xml"
    report.unlink(missing_ok=True)
    command = [*phase.launcher, sys.executable, "-m", "pytest", "-q", "-m", phase.markers]
    command += [f"--junitxml={report}", "-o", "junit_family=xunit1", *options]
    environment = {**os.environ, "LVSGUARD_REQUIRE_KERNEL": "1"}
    ended = subprocess.run(command, cwd=CHECKOUT, env=environment, check=False)
    return ended.returncode, read(report)


def read(report: Path) -> Count:
    """Return the counts of a JUnit report; none of it when pytest did not write one."""
    if not report.exists():
        return Count()
    passed = failed = skipped = 0
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        tests, bad, not_run = (int(suite.get(key, "0")) for key in ("tests", "failures", "skipped"))
        bad += int(suite.get("errors", "0"))
        passed, failed, skipped = passed + tests - bad - not_run, failed + bad, skipped + not_run
    return Count(passed, failed, skipped)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
