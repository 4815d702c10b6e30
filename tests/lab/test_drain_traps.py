"""What makes a drain lose connections, or look over too early or never; each on a real kernel.

The traps are the kernel's. Each is shown to be one, and then that lvsguard does not fall into it.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import time
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import pytest

from lvsguard.admin.protocol import ClearOverride
from tests.support.director_config import NO_CHECK, Service, Setup
from tests.support.processes import wait_until
from tests.support.rolling import command
from tests.support.topology import VIP
from tests.support.trickle import start_trickle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.director_seed import Seed
    from tests.support.topology import Host

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

ADDRESSES = {"rs1": "10.0.0.42", "rs2": "10.0.0.43"}
OTHER = {"rs1": "rs2", "rs2": "rs1"}


def under(seed: Seed, service: Service, more: str = "") -> None:
    """Have the director run this service, with both realservers in."""
    seed.director.configure(Setup(services=(service,), more=more))
    seed.director.client.reload()
    seed.director.wait_for_weights(rs1=1, rs2=1)


def drain(seed: Seed, name: str, *options: str) -> tuple[int, str]:
    """Drain one and wait; exit status and all that was said."""
    return command(seed.director, "drain", ADDRESSES[name], "--wait", *options)


@pytest.fixture(autouse=True)
def no_override_stays(seed: Seed) -> Iterator[None]:
    """The next test finds nobody drained."""
    yield
    for override in seed.director.client.overrides().overrides:
        seed.director.client.clear_override(
            ClearOverride(target=override.target, kind=override.kind)
        )


@contextlib.contextmanager
def connected(
    client: Host, port: int, *, source: int = 0, kind: int = socket.SOCK_STREAM
) -> Iterator[socket.socket]:
    """A socket of the client's to the VIP."""
    with client.entered():
        sock = socket.socket(socket.AF_INET, kind)
    with sock:
        sock.settimeout(5)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((str(client.address), source))
        sock.connect((str(VIP), port))
        yield sock


def ask_from(client: Host, source: int) -> str:
    """Who answers a request from this port. The server closes first, so that the port is free."""
    with connected(client, 80, source=source) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n")
        answer = b""
        while received := sock.recv(4096):
            answer += received
    return answer.decode().rpartition("\r\n\r\n")[2].strip()


@pytest.mark.parametrize("scheduler", ["mh", "sh"])
def test_a_hashing_scheduler_does_not_drop_whom_it_had_hashed_to_the_drained_one(
    seed: Seed, scheduler: str
) -> None:
    """Both keep a realserver of weight 0 in their table, and drop its clients without fallback."""
    under(seed, Service(scheduler=scheduler))
    status, home = seed.client.get(VIP)
    assert status == 200
    status, said = drain(seed, home)
    assert (status, seed.client.get(VIP)) == (0, (200, OTHER[home])), said
    assert command(seed.director, "undrain", ADDRESSES[home], "--wait")[0] == 0
    assert seed.client.get(VIP) == (200, home)


@pytest.mark.parametrize("expires", [True, False])
def test_a_persistent_client_leaves_or_the_drain_waits_for_its_template(
    seed: Seed, expires: bool
) -> None:
    """A template leads its client to weight 0, too, unless expire_quiescent_template is on."""
    # A template outlives its time for as long as a connection of it is remembered.
    more = '[ipvs]\ntcp_fin_timeout = "2s"\n'
    more += "" if expires else "expire_quiescent_template = false"
    under(seed, Service(more='persistence = "5s"'), more)
    home = seed.client.get(VIP)[1]
    assert {seed.client.get(VIP)[1] for _ in range(3)} == {home}
    begun = time.monotonic()
    command(seed.director, "drain", ADDRESSES[home])
    seed.director.wait_for_weights(**{home: 0})
    assert seed.client.get(VIP)[1] == (OTHER[home] if expires else home)
    status, said = drain(seed, home, "--timeout", "30s")
    assert status == 0, said
    if expires:
        assert "persistent" not in seed.director.status().services[0].waits_for
    else:
        assert time.monotonic() - begun > 5, said
        assert seed.client.get(VIP)[1] == OTHER[home]


@pytest.mark.parametrize(
    ("port", "expires", "reuse", "leaves"),
    [
        (7001, True, 1, True),
        (7002, False, 1, False),
        (7003, True, 0, None),
        (7004, False, 0, False),
        (7005, False, 2, True),
    ],
    ids=["usual", "kept", "mode-0", "kept-mode-0", "kept-mode-2"],
)
def test_a_port_that_is_used_again_goes_elsewhere_or_the_drain_waits_for_it(
    seed: Seed, port: int, expires: bool, reuse: int, leaves: bool | None
) -> None:
    """With direct routing a closed connection is in FIN_WAIT for 2 minutes, and a new one from its
    port follows it, whatever conn_reuse_mode 1 says; unless expire_nodest_conn is on, or bit 2 of
    conn_reuse_mode. With mode 0 it depends on the kernel (None) whether the former helps: the drain
    waits on every one."""
    more = f'[ipvs]\ntcp_fin_timeout = "2m"\nconn_reuse_mode = {reuse}\n'
    under(seed, Service(), more + ("" if expires else "expire_nodest_conn = false"))
    home = ask_from(seed.client, port)
    status, said = drain(seed, home, "--timeout", "30s" if leaves else "5s")
    if leaves:
        assert status == 0, said
    else:
        assert (status, "connection" in said) == (4, True), said
    followed = ask_from(seed.client, port)
    if leaves is not None:
        assert followed == (OTHER[home] if leaves else home)


@pytest.fixture
def trickles(seed: Seed) -> None:
    """A slow server on both realservers, port 81, until the next test."""
    for realserver in seed.network.realservers:
        start_trickle(realserver)


@pytest.mark.usefixtures("trickles")
def test_udp_clients_are_not_active_and_still_waited_for(seed: Seed) -> None:
    """The kernel calls none of them active, and one that goes on sending never leaves weight 0."""
    service = Service(name="names", address=f"{VIP}:81", protocol="udp", check=NO_CHECK)
    under(seed, service)
    with connected(seed.client, 81, kind=socket.SOCK_DGRAM) as sock:

        def name() -> str:
            sock.send(b"?")
            return sock.recv(100).decode()

        home = name()
        status, said = drain(seed, home, "--timeout", "3s")
        assert (status, name()) == (4, home), said
        status, said = drain(seed, home, "--timeout", "1s", "--then", "remove")
        assert (status, name()) == (4, OTHER[home]), said
    assert command(seed.director, "enable", ADDRESSES[home], "--wait")[0] == 0
    seed.director.wait_for_weights(rs1=1, rs2=1)


@pytest.mark.usefixtures("trickles")
def test_a_client_that_has_only_closed_its_own_side_is_waited_for(seed: Seed) -> None:
    """Direct routing hides the server's side: the client's FIN makes a connection inactive, and the
    answer still comes."""
    under(seed, Service(name="slow", address=f"{VIP}:81", check=NO_CHECK))
    with connected(seed.client, 81) as sock:
        sock.sendall(b"9\n")
        sock.shutdown(socket.SHUT_WR)
        home = sock.recv(100).decode().partition("\n")[0]
        command(seed.director, "drain", ADDRESSES[home])
        found = seed.director.realserver(ADDRESSES[home], "slow")
        wait_until(
            lambda: seed.director.realserver(ADDRESSES[home], "slow").connections.inactive == 1,
            5,
            f"it is inactive: {found}",
        )
        assert seed.director.realserver(ADDRESSES[home], "slow").connections.active == 0
        status, said = drain(seed, home, "--timeout", "30s")
        assert status == 0, said
        assert "without a packet" in said
        sock.settimeout(0.1)  # whole already: the drain was not over before
        answer = b""
        while received := sock.recv(4096):
            answer += received
        assert answer.count(b".") >= 44 - 5


@pytest.mark.usefixtures("trickles")
def test_a_client_that_stays_ends_the_wait_at_its_deadline_or_by_ctrl_c(seed: Seed) -> None:
    under(seed, Service(name="slow", address=f"{VIP}:81", check=NO_CHECK))
    with connected(seed.client, 81) as sock:
        sock.sendall(b"0")
        wait_until(
            lambda: any(
                r.connections.active for r in seed.director.status().services[0].realservers
            ),
            5,
            "it is counted",
        )
        realservers = seed.director.status().services[0].realservers
        home = next(r.address for r in realservers if r.connections.active)
        status, said = command(seed.director, "drain", home, "--wait", "--timeout", "3s")
        assert (status, said.splitlines()[0]) == (4, f"{home}: drained")
        assert "not empty after 3s: the drain is on\n" in said
        assert f"  {home}:81 in slow: 1 connection" in said
        socket_option = ("--socket", str(seed.director.place / "lvsguard.sock"))
        waiting = seed.director.host.start(
            "drain", "lvsguard", "drain", home, "--wait", *socket_option
        )
        waiting.wait_for("1 connection left")
        waiting.signal(signal.SIGINT)
        assert waiting.wait() == 130
        assert "the drain is on" in waiting.text()
        assert seed.director.realserver(IPv4Address(home), "slow").admin == "drain"
    assert command(seed.director, "undrain", home, "--wait")[0] == 0
