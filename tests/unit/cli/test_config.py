"""check, reload, init."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from lvsguard.config.load import load
from tests.unit.cli.conftest import Run, Served

SEED = (
    "--interface", "eth0", "--vip", "10.0.0.8/24",
    "--realserver", "10.0.0.42", "--realserver", "10.0.0.43",
)  # fmt: skip


@pytest.fixture
def seed(run: Run, tmp_path: Path) -> Path:
    path = tmp_path / "etc" / "config.toml"
    done = run("init", *SEED, "--director", "director1", "-o", str(path))
    assert (done.status, done.err) == (0, "")
    return path


def test_init_writes_a_config_that_loads(seed: Path) -> None:
    config = load(seed)
    assert config.director == "director1"
    (web,) = config.services
    assert str(web.key) == "tcp 10.0.0.8:80"
    assert [str(r.key) for r in web.realservers] == ["10.0.0.42:80", "10.0.0.43:80"]


def test_init_keeps_a_file_that_exists(run: Run, seed: Path) -> None:
    before = seed.read_text()
    done = run("init", *SEED, "--port", "8080", "-o", str(seed))
    assert (done.status, seed.read_text()) == (1, before)
    assert "overwrite it with --force" in done.err
    assert run("init", *SEED, "--port", "8080", "--force", "-o", str(seed)).status == 0
    assert "10.0.0.8:8080" in seed.read_text()


def test_init_prints_on_request(run: Run) -> None:
    done = run("init", *SEED, "-o", "-")
    assert done.status == 0
    assert done.out.startswith("# lvsguard")
    assert done.out.endswith("\n")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("--interface", "eth0"), "give --vip, --realserver, or run this on a terminal"),
        ((*SEED, "--vip", "10.0.0.8"), "--vip: '10.0.0.8': give an address with its prefix"),
        ((*SEED, "--port", "0"), "--port: '0': give a port from 1 to 65535"),
        ((*SEED, "--realserver", "rs1"), "--realserver: 'rs1' is no IP address"),
        ((*SEED, "--scheduler", "best"), "these answers do not fit together"),
    ],
)
def test_init_refuses_what_cannot_be(
    run: Run, tmp_path: Path, argv: tuple[str, ...], says: str
) -> None:
    path = tmp_path / "config.toml"
    done = run("init", *argv, "-o", str(path))
    assert done.status == 2
    assert says in done.err
    assert not path.exists()


def test_init_asks_on_a_terminal_until_it_can_use_the_answer(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "lvsguard", "init", "-o", str(path)]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    os.write(ours, b"eth1\nnonsense\n10.0.0.8/24\n\n10.0.0.42, 10.0.0.43\n")
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # EIO: the other end is closed (pty(7))
        pass
    os.close(ours)
    assert process.wait(10) == 0
    assert b"'nonsense': give an address with its prefix length" in shown
    config = load(path)
    assert config.interface == "eth1"
    assert str(config.services[0].key) == "tcp 10.0.0.8:80"


def test_check_tells_what_is_in_a_good_file(run: Run, seed: Path) -> None:
    done = run("check", "-c", str(seed))
    assert done.status == 0
    assert "good: director director1, 1 VIP, 1 service, 2 realservers, 2 checks" in done.out
    as_json = json.loads(run("check", "-c", str(seed), "--json").out)
    assert as_json == {"ok": True, "digest": load(seed).digest, "problems": []}


def test_check_tells_every_problem_with_its_line(run: Run, seed: Path) -> None:
    seed.write_text(seed.read_text().replace("weight = 1 ", "weight = 99999 "))
    done = run("check", "-c", str(seed))
    assert done.status == 2
    first, *problems = done.err.splitlines()
    assert first == f"lvsguard: {seed} has 2 problems:"
    assert all(p.startswith(f"{seed}:") and "weight" in p for p in problems)
    as_json = run("check", "-c", str(seed), "--json")
    assert as_json.status == 2
    assert [p["key"] for p in json.loads(as_json.out)["problems"]] == [
        "service[0].realserver[0].weight",
        "service[0].realserver[1].weight",
    ]


def test_check_asks_for_key_files_only_on_the_host_that_is_meant(run: Run, seed: Path) -> None:
    election = (
        "[vip.vrrp]\nvrid = 51\n"
        'auth = { keys = { 1 = "file:/nowhere/vrrp.key", 2 = "KEY" }, send_key = 1 }\n'
    ).replace("KEY", "5ec2e7" * 12)
    text = seed.read_text()
    first, rest = text.split("\n[[service]]", 1)
    seed.write_text(f"{first}\n{election}\n[[service]]{rest}")
    for flags in ((), ("--json",)):
        done = run("check", *flags, "-c", str(seed))
        assert done.status == 0
        assert "5ec2e7" not in done.out
        done = run("check", "--here", *flags, "-c", str(seed))
        assert done.status == 2
        assert "/nowhere/vrrp.key" in done.out + done.err
        assert "5ec2e7" not in done.out + done.err


def test_check_prints_the_schema(run: Run) -> None:
    assert json.loads(run("check", "--schema").out)["$schema"].startswith("https://json-schema.org")


def test_the_config_may_be_named_by_a_variable(
    run: Run, seed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LVSGUARD_CONFIG", str(seed))
    assert str(seed) in run("check").out


def test_reload_tells_what_is_in_force(run: Run, served: Served) -> None:
    done = run("reload", "--socket", str(served.socket))
    assert done.out == "configuration ba9876543210 is in force: 3 kernel steps\n"
    as_json = run("reload", "--json", "--socket", str(served.socket))
    assert json.loads(as_json.out) == {"digest": "ba9876543210", "steps": 3}


def test_a_refused_reload_is_a_bad_config(run: Run, served: Served) -> None:
    served.desk.problems = ("config.toml:3: weight: too big",)
    done = run("reload", "--socket", str(served.socket))
    assert done.status == 2
    assert "nothing was changed" in done.err
    assert "config.toml:3: weight: too big" in done.err
