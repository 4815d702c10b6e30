"""`tests/lab/run`: find a kernel with IPVS and run one command on it as root.

Two kernels will do: the host's own, in namespaces that nothing leaves, or user-mode Linux (a
kernel that runs as a process). Standard library only, since it runs before any venv exists.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.lab import hostkernel, uml

CHECKOUT = Path(__file__).resolve().parents[2]
NO_KERNEL = 125

# What of the caller's environment the command sees: terminal, locale, test settings.
PASSED = {"CI", "COLORTERM", "FORCE_COLOR", "HOME", "LANG", "NO_COLOR", "TERM", "USER"}
PASSED_PREFIXES = ("HYPOTHESIS_", "LC_", "LVSGUARD_", "PY", "COVERAGE_")

USAGE = """\
Run COMMAND as root on a kernel with IPVS and exit with its status.

The host's kernel serves where it has ip_vs and the caller is root: the command then runs in new
network, mount and process namespaces. Elsewhere user-mode Linux is booted (about 3 s) on an
overlay of the host's root. Either way nothing that the command writes stays, except under the
folder of --out, and nothing of the host's network is touched. The checkout, its .venv, the
working folder and the terminal are the caller's. The command sees LVSGUARD_LAB=1, and
LVSGUARD_ARTIFACTS=DIR when --out is given.
"""
STATUS = "exit status: the command's; 124 when --limit ran out; 125 when there is no kernel for it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One command for a kernel: a script to run, and what it may use."""

    script: Path
    """A bash script that ends by exec of the command."""
    control: Path
    """A private folder for the messages between the kernel's first process and this one."""
    out: Path | None
    limit_s: float
    memory: str
    load_ipvs: bool


def main(arguments: list[str]) -> int:
    """Run the command line and return the exit status."""
    options = _parser().parse_args(arguments)
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        _parser().error("no COMMAND given; for a shell: tests/lab/run bash")
    kernel, problem = choose(options.kernel, load_ipvs=not options.without_ipvs)
    if kernel == "":
        print(f"tests/lab/run: {problem}", file=sys.stderr)
        return NO_KERNEL
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    out = options.out.resolve() if options.out else None
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lvsguard-lab.") as folder:
        control = Path(folder)
        script = control / "job"
        script.write_text(job_script(command, out, dict(os.environ)))
        job = Job(
            script=script,
            control=control,
            out=out,
            limit_s=options.limit,
            memory=options.mem,
            load_ipvs=not options.without_ipvs,
        )
        status = hostkernel.run(job) if kernel == "host" else uml.run(job)
        if out is not None:
            take_goldens(out)
        return status


def take_goldens(out: Path, into: Path = CHECKOUT / "tests/golden") -> None:
    """Bring the golden files that the command left for it (`pytest --update-golden`, see
    `tests/support/golden.py`) to where they belong."""
    written = out / "golden"
    if written.is_dir():
        shutil.copytree(written, into, dirs_exist_ok=True)
        shutil.rmtree(written)
        print(f"tests/lab/run: golden files are written anew: git diff {into}", file=sys.stderr)


def choose(wanted: str, *, load_ipvs: bool) -> tuple[str, str]:
    """Return the kernel to use ("host" or "uml"), or "" and what to do about it.

    The host's ip_vs cannot be taken away for one command, so without it means UML.
    """
    host_problem = hostkernel.problem() if load_ipvs else "the host's ip_vs cannot be left out"
    uml_problem = uml.problem()
    if wanted in ("auto", "host") and not host_problem:
        return "host", ""
    if wanted in ("auto", "uml") and not uml_problem:
        return "uml", ""
    problems = {"host": host_problem, "uml": uml_problem}
    shown = [wanted] if wanted != "auto" else ["host", "uml"]
    return "", "no kernel with IPVS: " + "; ".join(f"{name}: {problems[name]}" for name in shown)


def job_script(command: list[str], out: Path | None, environment: dict[str, str]) -> str:
    """Return the bash script that runs the command as the caller would here."""
    path = [str(CHECKOUT / ".venv/bin"), *environment.get("PATH", "").split(":")]
    path += ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin"]
    passed = {
        name: value
        for name, value in environment.items()
        if name in PASSED or name.startswith(PASSED_PREFIXES)
    }
    passed["PATH"] = ":".join(dict.fromkeys(entry for entry in path if entry))
    passed["LVSGUARD_LAB"] = "1"
    # The guest's clock of a file that the host wrote is right, but nothing written is kept.
    passed["PYTHONDONTWRITEBYTECODE"] = "1"
    passed.setdefault("HOME", "/root")
    if out is not None:
        passed["LVSGUARD_ARTIFACTS"] = str(out)
    lines = ["#!/bin/bash"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in passed.items()]
    lines += [f"cd {shlex.quote(str(Path.cwd()))} || exit 126", f"exec {shlex.join(command)}"]
    return "\n".join(lines) + "\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tests/lab/run",
        usage="%(prog)s [options] COMMAND...",
        description=USAGE,
        epilog=STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder whose writes are kept")
    parser.add_argument("--mem", default="1536M", metavar="M", help="guest memory (%(default)s)")
    parser.add_argument(
        "--limit", type=float, default=900, metavar="S", help="seconds it may take (%(default)s)"
    )
    parser.add_argument(
        "--kernel", choices=("auto", "host", "uml"), default="auto", help="which kernel"
    )
    parser.add_argument(
        "--without-ipvs", action="store_true", help="boot with ip_vs present but not loaded"
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND...")
    return parser
