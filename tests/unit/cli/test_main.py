"""The command line as a whole: help, what is loaded for it, exit statuses."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lvsguard import __version__
from lvsguard.cli import reference
from lvsguard.cli.exits import Exit
from lvsguard.cli.main import build_parser
from tests.support.golden import Golden
from tests.unit.cli.conftest import Run, Served

DOCS = Path(__file__).resolve().parents[3] / "docs" / "reference"
CONTRACT = (
    "run", "check", "plan", "status", "drain", "undrain", "disable", "enable", "weight",
    "failover", "why", "events", "reload", "realserver", "init", "version", "completion",
    "peer-key", "metrics",
)  # fmt: skip
HEAVY = ("asyncio", "aiohttp", "msgspec", "pydantic", "pyroute2", "rich", "http.client", "shtab")


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Every command that does something."""
    subs = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    for sub in subs:
        for one in sub.choices.values():
            yield from parsers(one)
    if not subs:
        yield parser


def test_every_command_of_the_contract_is_there() -> None:
    (commands,) = (a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction))
    assert set(commands.choices) == set(CONTRACT)


@pytest.mark.parametrize("parser", list(parsers(build_parser())), ids=lambda parser: parser.prog)
def test_every_command_teaches(parser: argparse.ArgumentParser) -> None:
    assert parser.description
    assert parser.epilog
    assert f"examples:\n  {parser.prog}" in parser.epilog
    assert "exit status:\n  0  done" in parser.epilog
    for action in parser._actions:
        assert action.help, action.dest


@pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="argparse of each Python version sets help otherwise"
)
@pytest.mark.parametrize("command", ["", "drain", "plan", "realserver up"])
def test_help_is_as_it_was_read_last(
    run: Run, golden: Golden, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = run(*command.split(), "--help")
    assert done.status == 0
    assert max(map(len, done.out.splitlines())) <= 80
    golden.check(f"cli/help-{command.replace(' ', '-') or 'lvsguard'}.txt", done.out)


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import json, sys; from lvsguard.cli.main import build_parser;"
        "build_parser().format_help();"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert set(json.loads(done.stdout)).isdisjoint(HEAVY)


def test_an_override_loads_no_server_and_no_table() -> None:
    script = (
        "import json, sys; from lvsguard.cli.main import main;"
        "main(['drain', '10.0.0.42', '--socket', '/nonexistent.sock']);"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    heavy = {"asyncio", "aiohttp", "pydantic", "pyroute2", "rich"}
    assert set(json.loads(done.stdout)).isdisjoint(heavy)


def test_the_reference_page_is_current() -> None:
    """Otherwise: python -m tests.support.reference"""
    assert (DOCS / "commands.md").read_text() == reference.page(build_parser())


def test_no_command_is_bad_usage(run: Run) -> None:
    done = run()
    assert done.status == Exit.USAGE
    assert "COMMAND" in done.err


def test_an_unknown_command_is_bad_usage(run: Run) -> None:
    assert run("explode").status == Exit.USAGE


def test_version_is_told_alone_and_with_the_daemons(run: Run, served: Served) -> None:
    assert run("--version").out == f"lvsguard {__version__}\n"
    alone = json.loads(run("version", "--json", "--socket", "/nonexistent.sock").out)
    assert (alone["version"], alone["daemon"]) == (__version__, None)
    served.desk.picture.version = "0.0.9"
    both = run("version", "--socket", str(served.socket))
    assert both.status == 0
    assert "the running daemon is 0.0.9: restart it" in both.err


def test_a_reader_who_has_had_enough_is_no_trouble(served: Served) -> None:
    command = f"{sys.executable} -m lvsguard status --json --socket {served.socket} | head -1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("{\n", "")


def test_something_else_behind_the_socket_is_no_daemon(run: Run, served: Served) -> None:
    served.desk.picture.director = "x" * 10
    odd = served.socket.with_name("odd.sock")
    odd.write_text("")
    done = run("status", "--socket", str(odd))
    assert done.status == Exit.UNREACHABLE
    assert "systemctl start lvsguard" in done.err


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_is_a_script_that_the_shell_reads(run: Run, shell: str, tmp_path: Path) -> None:
    done = run("completion", shell)
    assert done.status == 0
    for word in ("realserver", "--reason", "undrain"):
        assert word in done.out
    if shell == "bash":
        (tmp_path / "script").write_text(done.out)
        subprocess.run(["bash", "-n", str(tmp_path / "script")], check=True)


def test_bash_completes_commands_and_options(run: Run, tmp_path: Path) -> None:
    (tmp_path / "script").write_text(run("completion", "bash").out)
    ask = (
        f"source {tmp_path / 'script'}; COMP_WORDS=(lvsguard $1); COMP_CWORD=$(($# > 1 ? 2 : 1));"
        'COMP_WORDS=(lvsguard "$@"); _shtab_lvsguard; echo "${COMPREPLY[@]}"'
    )

    def complete(*words: str) -> list[str]:
        done = subprocess.run(
            ["bash", "-c", ask, "bash", *words], capture_output=True, text=True, check=True
        )
        return done.stdout.split()

    assert complete("und") == ["undrain"]
    assert complete("drain", "--rea") == ["--reason"]
