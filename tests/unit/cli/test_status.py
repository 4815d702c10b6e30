"""status: table, plain lines, JSON."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import signal
import subprocess
import sys
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from lvsguard.admin import status
from lvsguard.admin.status_reply import HealthReply, Status
from lvsguard.cli.render import plain, table
from lvsguard.core.health import Verdict
from lvsguard.core.model import Protocol, RealserverKey, ServiceKey
from lvsguard.core.override import Admin
from lvsguard.core.snapshot import ForeignStatus, Role, VipStatus
from lvsguard.serving import Slices
from tests.support.golden import Golden
from tests.support.published import (
    NOON,
    OTHER,
    UNFIT,
    VIP,
    WELL,
    Picture,
    realserver,
    seed_services,
    service,
)
from tests.unit.cli.conftest import Run, Served

TLS = ServiceKey.at(Protocol.TCP, VIP.address, 443)


def busy() -> Picture:
    """A director with something of everything."""
    web = replace(seed_services()[0])
    rs1 = realserver(
        "10.0.0.44",
        name="rs3",
        admin=Admin.DRAIN,
        weight=0,
        reason="drained by alice (uid 1000): kernel update of the whole rack, until further notice",
    )
    tls = service(
        rs1,
        realserver("10.0.0.45", 443, verdict=Verdict.UNKNOWN, weight=None, reason="not probed yet"),
        realserver("2001:db8::46", 443, admin=Admin.DISABLED, weight=None, reason="off"),
        name="tls",
        key=TLS,
    )
    tls = replace(
        tls,
        sorry_server=RealserverKey(ip_address("10.0.0.50"), 443),
        sorry=True,
        why=("sorry server 10.0.0.50:443 has all new connections: quorum is lost",),
    )
    share = "PANIC: 20% of the weight is live, less than 50%"
    marked = replace(
        service(name="marked", key=ServiceKey.marked(7), need=0),
        panic=True,
        why=(f"{share}: realservers that are down are in all the same",),
    )
    stranger = ForeignStatus(
        ServiceKey.at(Protocol.UDP, ip_address("10.0.0.99"), 53),
        "wlc",
        {RealserverKey(ip_address("10.0.0.42"), 53): 1},
    )
    backup = VipStatus(
        "mail",
        (VIP,),
        frozenset(),
        Role.BACKUP,
        NOON - 90061,
        51,
        50,
        "10.0.0.40",
        ready=True,
        why=("service tls has lost its quorum (live weight 0, needs 1): priority -50",),
        held_back=True,
    )
    unfit = VipStatus(
        "news",
        (VIP,),
        frozenset(),
        Role.FAULT,
        NOON - 5,
        52,
        1,
        ready=False,
        why=("file /run/maintenance is there", "interface eth1 is down"),
        problem="interface eth0 is down: look at its cable",
    )
    pulse = replace(
        WELL,
        programmed=False,
        trouble=("interface eth0 is down: look at its cable and `ip link show eth0`",),
        probers=1,
        probers_wanted=2,
    )
    picture = Picture([web, tls, marked], pulse, (stranger,))
    return replace(picture, groups=(*picture.groups, backup, unfit), reload_ok=False)


def absent() -> Picture:
    """A director on whose kernel there is no IPVS; its checks pass."""
    out = [realserver(address, weight=None) for address in ("10.0.0.42", "10.0.0.43")]
    web = replace(service(*out), present=False, quorum_have=2)
    lacks = ("this kernel has no IPVS: run `modprobe ip_vs`",)
    return Picture([web], replace(WELL, programmed=False, trouble=lacks))


async def documents(picture: Picture) -> tuple[Status, HealthReply]:
    """What the daemon would answer."""
    raw = b"".join([piece async for piece in status.status_json(picture, Slices())])
    return msgspec.json.decode(raw, type=Status), status.health(picture)


def pictured(name: str) -> Picture:
    """The picture of a golden file."""
    match name:
        case "busy":
            return busy()
        case "absent":
            return absent()
        case "directors":
            return Picture(others=(OTHER, UNFIT))
    return Picture()


@pytest.mark.parametrize("name", ["seed", "busy", "directors", "absent"])
async def test_the_table_fits_80_columns(name: str, golden: Golden) -> None:
    picture = pictured(name)
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, no_color=True, highlight=False)
    console.print(table(*await documents(picture), NOON))
    text = "\n".join(line.rstrip() for line in _without_styles(out.getvalue()).splitlines()) + "\n"
    assert max(map(len, text.splitlines())) <= 80
    golden.check(f"cli/status-{name}.txt", text)


def _without_styles(text: str) -> str:
    """no_color keeps bold and dim."""
    parts = text.split("\x1b[")
    return parts[0] + "".join(part.partition("m")[2] for part in parts[1:])


@pytest.mark.parametrize("name", ["seed", "busy", "directors", "absent"])
async def test_plain_lines_cut_nothing(name: str, golden: Golden) -> None:
    picture = pictured(name)
    text = "\n".join(plain(*await documents(picture), NOON)) + "\n"
    golden.check(f"cli/status-{name}-plain.txt", text)


async def test_what_realservers_answer_cannot_draw_on_the_terminal() -> None:
    rude = Picture([service(realserver(reason="L7STS \x1b]0;owned\x07 [red]503[/red]"))])
    out = io.StringIO()
    console = Console(file=out, width=120, force_terminal=True, highlight=False)
    console.print(table(*await documents(rude), NOON))
    assert r"\x1b]0;owned\x07 [red]503[/red]" in out.getvalue()
    assert "\x07" not in out.getvalue()
    assert r"\x1b]0;owned" in "\n".join(plain(*await documents(rude), NOON))


def test_json_is_the_public_document(run: Run, served: Served) -> None:
    done = run("status", "--json", "--socket", str(served.socket))
    document = json.loads(done.out)
    assert set(document) == {
        "director",
        "version",
        "config_hash",
        "vips",
        "sync",
        "peers",
        "services",
        "foreign",
    }
    assert done.out.startswith("{\n  ")


async def test_json_says_whether_the_kernel_has_a_service() -> None:
    (there,), (lacking,) = [
        (await documents(picture))[0].services for picture in (Picture(), absent())
    ]
    assert (there.present, lacking.present) == (True, False)


def test_a_pipe_gets_plain_lines(run: Run, served: Served) -> None:
    done = run("status", "--socket", str(served.socket))
    assert done.status == 0
    assert "\x1b" not in done.out
    assert "rs2 10.0.0.43:80  down" in done.out


@pytest.mark.parametrize("no_color", [False, True])
def test_a_terminal_gets_colours_unless_told_not_to(served: Served, no_color: bool) -> None:
    ours, theirs = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLORTERM")}
    environment |= {"TERM": "xterm-256color", "COLUMNS": "80"}
    if no_color:
        environment["NO_COLOR"] = "1"
    command = [sys.executable, "-m", "lvsguard", "status", "--socket", str(served.socket)]
    process = subprocess.Popen(command, stdout=theirs, env=environment)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # EIO: the other end is closed (pty(7))
        pass
    os.close(ours)
    assert process.wait(10) == 0
    assert b"10.0.0.43:80" in shown
    assert (b"\x1b[31m" in shown) is not no_color


def test_watching_goes_on_until_it_is_interrupted(served: Served) -> None:
    command = [sys.executable, "-m", "lvsguard", "status", "--watch", "--interval", "0.05s"]
    with subprocess.Popen(
        [*command, "--socket", str(served.socket)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        seen = 0
        for line in process.stdout:
            seen += "rs2 10.0.0.43:80  down" in line
            if seen == 3:
                break
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    assert process.returncode == 0


@pytest.mark.parametrize("form", ["plain", "json"])
def test_watching_goes_on_when_the_daemon_is_restarted(served: Served, form: str) -> None:
    command = [sys.executable, "-m", "lvsguard", "status", "--watch", "--interval", "0.05s"]
    command += ["--json"] if form == "json" else []
    pipes = subprocess.PIPE
    with subprocess.Popen(
        [*command, "--socket", str(served.socket)], stdout=pipes, stderr=pipes, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        away = served.socket.rename(served.socket.with_name("elsewhere"))
        assert "waiting for the daemon: no lvsguard listens on" in process.stderr.readline()
        away.rename(served.socket)
        assert any("the daemon answers again" in line for line in process.stderr)
        shown = process.stdout.readline()  # it says so before it shows what it was answered
        process.send_signal(signal.SIGINT)
        shown += process.stdout.read()
    assert process.returncode == 0
    for line in shown.splitlines() if form == "json" else ():
        assert json.loads(line)["director"] == "director1"
    assert shown


def test_watching_where_no_daemon_ever_answered_fails(run: Run, tmp_path: Path) -> None:
    done = run("status", "--watch", "--socket", str(tmp_path / "none"))
    assert (done.status, done.out) == (3, "")


def test_watching_a_terminal_shows_when_the_daemon_is_gone(served: Served) -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    command = [sys.executable, "-m", "lvsguard", "status", "--watch", "--interval", "0.05s"]
    process = subprocess.Popen(
        [*command, "--socket", str(served.socket)], stdout=theirs, env=environment
    )
    os.close(theirs)
    read_until(ours, b"10.0.0.43:80")
    served.socket.rename(served.socket.with_name("elsewhere"))
    read_until(ours, b"no lvsguard listens on")
    process.send_signal(signal.SIGINT)
    while process.poll() is None:
        with contextlib.suppress(OSError):
            os.read(ours, 65536)
    os.close(ours)
    assert process.returncode == 0


def read_until(terminal: int, wanted: bytes) -> None:
    """Read what a terminal shows; ends with OSError when its program ends before."""
    shown = b""
    while wanted not in shown:
        shown += os.read(terminal, 65536)
