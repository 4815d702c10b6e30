"""The daemon as a process: without root, under a service manager, with logs for machines."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.director import make_director, tell
from tests.support.processes import wait_until
from tests.support.topology import VIP
from tests.support.topology_web import start_web

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.director import Director
    from tests.support.topology import Network

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

NOBODY = 65534
CAP_NET_ADMIN, CAP_NET_RAW = 12, 13


def somebody() -> int:
    """A user without rights who can read Python and the checkout: the owner of the checkout, or,
    when that is root, nobody. The lab's /root is its own, so it may be opened."""
    owner = Path(__file__).stat().st_uid
    if owner == 0:
        root = Path("/root")
        root.chmod(root.stat().st_mode | 0o001)
    return owner or NOBODY


def unprivileged(*capabilities: str) -> tuple[str, ...]:
    """A command prefix: run as somebody, with these capabilities and no way to more."""
    only = ",".join(["-all", *(f"+{name}" for name in capabilities)])
    who = (f"--reuid={somebody()}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs")
    caps = (f"--inh-caps={only}", f"--ambient-caps={only}", f"--bounding-set={only}")
    return ("setpriv", *who, *caps)


@dataclass(slots=True)
class Manager:
    """A service manager's end of sd_notify(3)."""

    path: Path
    socket: socket.socket
    heard: list[str] = field(default_factory=list)

    def messages(self) -> list[str]:
        """Every message so far, but for the watchdog's and the status lines."""
        self.listen()
        return [m for m in self.heard if not m.startswith(("WATCHDOG=", "STATUS="))]

    def listen(self) -> list[str]:
        """Every message so far."""
        while True:
            try:
                self.heard.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return self.heard


@pytest.fixture(scope="module")
def manager() -> Iterator[Manager]:
    path = Path("/run/lvsguard.notify")
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as ours:
        ours.bind(str(path))
        path.chmod(0o666)
        yield Manager(path, ours)


@pytest.fixture(scope="module")
def director(shared_network: Network, manager: Manager) -> Iterator[Director]:
    """The seed's director, without root, under a service manager, with JSON logs."""
    for realserver in shared_network.realservers:
        realserver.hold_vip()
        start_web(realserver)
    director = make_director(shared_network.director1)
    text = director.config.read_text().replace('group = "root"', 'group = "nogroup"')
    director.config.write_text(text)
    for path in (director.place, director.config):
        os.chown(path, somebody(), NOBODY)
    director.start(
        "--log-format",
        "json",
        under=unprivileged("net_admin", "net_raw"),
        environment={"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "1000000"},
    )
    director.wait_for_weights(rs1=1, rs2=1)
    yield director
    director.kill()


def test_a_user_with_two_capabilities_does_all_of_it(
    director: Director, shared_network: Network
) -> None:
    for pid in director.pids():
        status = dict(
            line.split(":\t", 1)
            for line in Path("/proc", str(pid), "status").read_text().split("\n")[:-1]
        )
        assert status["Uid"].split() == [str(somebody())] * 4
        assert int(status["CapEff"], 16) == 1 << CAP_NET_ADMIN | 1 << CAP_NET_RAW
    assert director.host.ipvs() == [
        f"-A -t {VIP}:80 -s rr",
        f"-a -t {VIP}:80 -r 10.0.0.42:80 -g -w 1",
        f"-a -t {VIP}:80 -r 10.0.0.43:80 -g -w 1",
    ]
    assert director.host.addresses() == ["10.0.0.41/24", f"{VIP}/24"]
    assert shared_network.client.get(VIP)[0] == 200
    director.host.run("ipvsadm", "-C")
    director.wait_for_weights(1.2, rs1=1, rs2=1)
    director.host.run("ip", "address", "del", f"{VIP}/24", "dev", "eth0")
    wait_until(lambda: f"{VIP}/24" in director.host.addresses(), 1, "the VIP is back")
    setting = director.host.run("sysctl", "-n", "net.ipv4.vs.expire_nodest_conn").stdout
    assert setting.strip() == "1"
    assert director.health().trouble == []


def test_the_service_manager_is_told_ready_reloading_and_fed(
    director: Director, manager: Manager
) -> None:
    wait_until(lambda: "READY=1" in manager.listen(), 5, "it is told that the daemon is ready")
    assert manager.messages() == ["READY=1"]
    assert any(
        m.startswith("STATUS=1 services, 2 checks, VIPs held: 1 of 1") for m in manager.heard
    )
    before = time.monotonic_ns() // 1000
    director.client.reload()
    wait_until(lambda: len(manager.messages()) == 3, 2, "the reload is told")
    reloading, ready = manager.messages()[1:]
    kind, since = reloading.split("\n")
    assert (kind, ready) == ("RELOADING=1", "READY=1")
    assert int(since.removeprefix("MONOTONIC_USEC=")) >= before
    fed = manager.listen().count("WATCHDOG=1")
    time.sleep(2)  # two of the service manager's periods: at least three meals
    fed = manager.listen().count("WATCHDOG=1") - fed
    assert fed >= 3
    tell("watchdog", period_s=1.0, fed_in_2_s=fed)


def test_every_log_line_is_json_and_an_event_has_its_fields(director: Director) -> None:
    lines = [json.loads(line) for line in director.text().splitlines()]
    assert all({"time", "level", "message"} <= line.keys() for line in lines)
    started = next(line for line in lines if line.get("event") == "started")
    assert (started["adopted"], started["level"]) == (0, "info")
    up = [line for line in lines if line.get("event") == "health" and line["after"] == "up"]
    assert {line["realserver"] for line in up} == {"10.0.0.42:80", "10.0.0.43:80"}


def test_a_stop_is_told_and_leaves_nothing_undone(director: Director, manager: Manager) -> None:
    """The last test of this file: it ends what the others share."""
    said = len(manager.messages())
    assert director.stop() == 0
    assert manager.messages()[said:] == ["STOPPING=1"]
    assert json.loads(director.text().splitlines()[-1])["event"] == "stopping"


@pytest.mark.parametrize("capabilities", [(), ("net_raw",)])
def test_without_cap_net_admin_it_ends_and_says_so(
    director: Director, capabilities: tuple[str, ...]
) -> None:
    table = director.table()
    process = director.launch(under=unprivileged(*capabilities))
    assert process.wait(20) == 1
    (line,) = process.text().splitlines()[-1:]
    assert "CAP_NET_ADMIN is needed" in line
    assert "AmbientCapabilities=CAP_NET_ADMIN" in line
    assert "Traceback" not in process.text()
    assert director.table() == table


def test_without_cap_net_raw_it_serves_and_says_what_it_cannot_do(
    director: Director, shared_network: Network
) -> None:
    director.start(under=unprivileged("net_admin"))
    try:
        director.wait_for_weights(rs1=1, rs2=1)
        wait_until(lambda: bool(director.health().trouble), 5, "it says what is wrong")
        assert shared_network.client.get(VIP)[0] == 200
        (trouble,) = director.health().trouble
        assert "cannot watch for other holders of the VIPs on eth0" in trouble
        assert "check that the systemd unit gives CAP_NET_RAW" in trouble

        def unasked() -> list[bool]:
            """Whether status says that a realserver is not asked by ARP, and what to do."""
            served = [r for service in director.status().services for r in service.realservers]
            return ["the systemd unit must give CAP_NET_RAW" in str(r) for r in served]

        wait_until(lambda: unasked() == [True, True], 5, "it says what it cannot ask")
        assert "Traceback" not in director.text()
    finally:
        status = director.stop()
    assert status == 0


def test_an_interrupt_stops_it_as_sigterm_does(director: Director) -> None:
    director.start(under=unprivileged("net_admin", "net_raw"))
    director.running.signal(signal.SIGINT)
    assert director.running.wait(10) == 0
    assert len(director.table()) == 3
