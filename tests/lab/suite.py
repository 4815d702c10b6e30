"""The whole test suite, each part on the kernel that it needs, with one count at the end.

`python -m tests.lab.suite [PYTEST OPTION...]` runs every phase even when one fails; its last line
is "N passed, N failed, N skipped", and its exit status is 0 only when every phase ran and passed.
Where kernels are booted as processes two of them run at a time, each with a CPU of its own, and
beside them what needs no kernel, which waits more than it works. What is measured in seconds runs
last and alone, since two CPUs are often the two halves of one core.

Many tests have bounds in milliseconds, and a neighbour can spoil any of them. A few that failed are
therefore run once more, with nothing beside them, and count as they end then. Each is named at the
end: one that is named often has a fault, or a bound that says nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

from tests.lab import machine

CHECKOUT = Path(__file__).resolve().parents[2]
RESULTS = CHECKOUT / ".lab"
LIMIT_S = 4200
"""Of one phase on a slow machine."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One run of pytest."""

    name: str
    markers: str
    paths: tuple[str, ...] = ()
    """Files and folders, or options that leave some out; all of them when empty."""
    kernel: bool = True
    """On a kernel with IPVS; else on the host as it is, in two processes."""
    without_ipvs: bool = False
    alone: bool = False
    """Not beside another phase."""

    @property
    def launcher(self) -> list[str]:
        """What runs pytest."""
        if not self.kernel:
            return []
        out = ["--out", str(RESULTS / self.name), "--limit", str(LIMIT_S)]
        return [str(CHECKOUT / "tests/lab/run"), *out, *["--without-ipvs"] * self.without_ipvs]


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


def found(*patterns: str) -> tuple[str, ...]:
    """Test files and folders by pattern, as pytest is told them."""
    return tuple(
        sorted(str(p.relative_to(CHECKOUT)) for one in patterns for p in CHECKOUT.glob(one))
    )


KERNEL = "(kernel or lab) and not without_ipvs"
CONTRACT = found("tests/contract")
OPERATED = ("drain_*", "rolling_*", "why", "status_page", "hooks", "peer*")
PAGES = found("tests/lab/test_d[eo]*.py", *(f"tests/lab/test_{name}.py" for name in OPERATED))
PAIRS = found("tests/interop", "tests/lab/test_vrrp_*.py", "tests/lab/test_sync_*.py")
ALONE = ("scale", "dump_cost", "hint_storm", "silence_storm")
MEASURED = found(*(f"tests/lab/test_{name}.py" for name in ALONE))
OTHERS = ("tests/browser", *CONTRACT, *PAGES, *PAIRS, *MEASURED)
AGAIN_MOST = 20
"""So many failures may be the neighbours' doing; more are not."""
PHASES = (
    Phase("kernel-pairs", KERNEL, PAIRS),
    Phase(
        "kernel",
        KERNEL,
        ("tests", *(f"--ignore={path}" for path in OTHERS)),
    ),
    Phase("kernel-contract", KERNEL, CONTRACT),
    Phase("kernel-pages", KERNEL, PAGES),
    Phase("host", "not kernel and not lab and not without_ipvs", kernel=False),
    Phase("without-ipvs", "without_ipvs", without_ipvs=True),
    Phase("kernel-measured", KERNEL, MEASURED, alone=True),
)
"""The longest first, so that two that run at a time end together."""


def main(options: list[str]) -> int:
    """Run every phase, print the sum, return the exit status."""
    RESULTS.mkdir(exist_ok=True)
    total, failed_phases, again = Count(), [], []
    for phase, (status, count) in run_all(options):
        total += count
        failures = failed(report_of(phase))
        if status == 1 and failures and count.passed:
            again.append((phase, failures))
        elif status != 0 or count.failed or not count.passed:
            failed_phases.append(phase.name)
    if not failed_phases and sum(len(tests) for _phase, tests in again) <= AGAIN_MOST:
        total, failed_phases = run_again(again, options, total)
    else:
        failed_phases += [phase.name for phase, _tests in again]
    if failed_phases:
        # A phase that ended before it could count (no kernel, out of time) is a failure too.
        total += Count(failed=0 if total.failed else len(failed_phases))
        print(f"\nfailed: {', '.join(failed_phases)}; logs and captures are in {RESULTS}")
    print(f"\n{total}", flush=True)
    return 1 if failed_phases else 0


def run_again(
    again: list[tuple[Phase, list[str]]], options: list[str], total: Count
) -> tuple[Count, list[str]]:
    """Run what failed once more, alone; return the new sum, and the phases that failed again."""
    failed_phases = []
    for phase, tests in again:
        alone = replace(phase, name=f"{phase.name}-again", paths=tuple(tests))
        status, count = run(alone, options, log_of(alone))
        print(f"\n== {alone.name}\n{log_of(alone).read_text(errors='replace')}", flush=True)
        left = failed(report_of(alone))
        if status != 0 or count.passed + count.failed != len(tests):
            failed_phases.append(phase.name)
            left = left or tests
        total += Count(passed=len(tests) - len(left), failed=len(left) - len(tests))
        for test in sorted({*tests} - {*left}):
            print(f"passed only alone: {test}", flush=True)
    return total, failed_phases


def log_of(phase: Phase) -> Path:
    """Where a phase's output goes until it has ended."""
    return RESULTS / f"{phase.name}.log"


def report_of(phase: Phase) -> Path:
    """Its JUnit report."""
    return RESULTS / f"{phase.name}.xml"


def run_all(options: list[str]) -> Iterator[tuple[Phase, tuple[int, Count]]]:
    """Run all phases; print each when it has ended."""
    # The host's own kernel has one IPVS module with one set of tables behind all namespaces' backs.
    own = machine.choose("auto", load_ipvs=True)[0] == "host"
    workers = 1 if own else min(os.cpu_count() or 1, 2)
    print(f"\n== {len(PHASES)} phases, {workers} kernels at a time", flush=True)
    for phases in ([p for p in PHASES if not p.alone], [p for p in PHASES if p.alone]):
        with ThreadPoolExecutor(workers) as kernels, ThreadPoolExecutor(1) as host:
            running = {
                (kernels if one.kernel else host).submit(run, one, options, log_of(one)): one
                for one in phases
            }
            for future in as_completed(running):
                phase = running[future]
                print(f"\n== {phase.name}: pytest -m '{phase.markers}'", flush=True)
                print(log_of(phase).read_text(errors="replace"), flush=True)
                yield phase, future.result()


def run(phase: Phase, options: list[str], log: Path) -> tuple[int, Count]:
    """Run one phase, which prints to ``log``; return pytest's exit status and what it counted."""
    report = report_of(phase)
    report.unlink(missing_ok=True)
    inside = RESULTS / phase.name / "report.xml" if phase.kernel else report
    inside.unlink(missing_ok=True)
    command = [*phase.launcher, sys.executable, "-m", "pytest", "-q", "-m", phase.markers]
    command += [] if phase.kernel else ["-n", "2", "--dist", "loadfile"]
    command += [f"--junitxml={inside}", "-o", "junit_family=xunit1", *phase.paths, *options]
    environment = {**os.environ, "LVSGUARD_REQUIRE_KERNEL": "1"}
    with log.open("w") as output:
        ended = subprocess.run(
            command,
            cwd=CHECKOUT,
            env=environment,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    if inside != report and inside.exists():
        inside.rename(report)
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


def failed(report: Path) -> list[str]:
    """Return the tests that failed by a JUnit report, as pytest is told them."""
    if not report.exists():
        return []
    cases = ElementTree.parse(report).getroot().iter("testcase")
    bad = (c for c in cases if c.find("failure") is not None or c.find("error") is not None)
    return sorted({_address(case) for case in bad})


def _address(case: ElementTree.Element) -> str:
    file, owner, name = (case.get(key, "") for key in ("file", "classname", "name"))
    module = file.removesuffix(".py").replace("/", ".")
    classes = owner.removeprefix(module).removeprefix(".").split(".")
    return "::".join((file, *filter(None, classes), name))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
