"""Directors that ask each other for connections: everything real but the kernel's IPVS.

Where the kernel has none the transfer itself fails, and that must harm nothing.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lvsguard.core.vrrp import HmacAuth, VrrpConfig
from lvsguard.vrrp.message import SyncTarget
from lvsguard.vrrp.table_request import TTL, Answer, Request, decode, encode
from tests.support.processes import wait_until
from tests.support.topology import Host
from tests.support.vrrp_child import FAST, Child, children, gaps, listening, vip_group
from tests.support.wire_pair import Pair, namespaces_problem, pair

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(namespaces_problem()), reason=f"no network namespaces: {namespaces_problem()}"
    ),
]
SYNC = SyncTarget(interface="eth0", sync_id=51, group="224.0.0.81", port=8848)
PORT = 8849
KEYS = HmacAuth({1: b"k" * 32}, 1)


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Pair]:
    with pair(tmp_path) as made:
        yield made


@pytest.fixture
def left(hosts: Pair, tmp_path: Path) -> Iterator[Child]:
    with children(tmp_path, hosts.left) as (made,):
        yield made


def master(child: Child, auth: HmacAuth | None = None, *addresses: str) -> Child:
    """Have it serve, and be master."""
    child.serve(
        vip_group("web", *addresses, vrrp=VrrpConfig(51, interval=FAST, auth=auth)), sync=SYNC
    )
    child.until_role("master")
    return child


def ask(
    host: Host,
    where: str,
    request: Request,
    *,
    auth: HmacAuth | None = None,
    ttl: int = TTL,
    port: int = PORT,
    within: float = 1.0,
) -> Answer | None:
    """What a director answers, if it does; asked again, as directors do, until it is time."""
    family = socket.AF_INET6 if ":" in where else socket.AF_INET
    level, option = (
        (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS)
        if family == socket.AF_INET6
        else (socket.IPPROTO_IP, socket.IP_TTL)
    )
    with host.entered(), socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(level, option, ttl)
        scope = socket.if_nametoindex("eth0") if where.startswith("fe80") else 0
        to = (where, port, 0, scope) if family == socket.AF_INET6 else (where, port)
        end = time.monotonic() + within
        heard = False
        while not heard and (left := end - time.monotonic()) > 0:
            sock.sendto(encode(request, auth), to)
            heard = bool(select.select([sock], [], [], min(left, 0.2))[0])
        if not heard:
            return None
        data, source = sock.recvfrom(64)
    assert source[0].partition("%")[0] == where
    answer = decode(data)
    assert isinstance(answer, Answer)
    return answer


def test_a_master_answers_at_once_from_the_address_that_was_asked(hosts: Pair, left: Child) -> None:
    hosts.left.run("ip", "address", "add", "10.0.0.99/24", "dev", "eth0")
    master(left, None, "10.0.0.8/24", "fd00::8/64")
    for where in ("10.0.0.41", "10.0.0.99"):
        request = Request(51, 4, os.urandom(8))
        assert ask(hosts.right, where, request) == Answer(request, None)
    for where in ("fe80::41", "fd00::41"):
        request = Request(51, 6, os.urandom(8))
        assert ask(hosts.right, where, request) == Answer(request, None)


def test_what_is_not_meant_is_not_answered(hosts: Pair, left: Child) -> None:
    master(left, KEYS)
    request = Request(51, 4, os.urandom(8))
    assert ask(hosts.right, "10.0.0.41", request, within=0.3) is None
    wrong = HmacAuth({1: b"x" * 32}, 1)
    assert ask(hosts.right, "10.0.0.41", request, auth=wrong, within=0.3) is None
    assert ask(hosts.right, "10.0.0.41", request, auth=KEYS, ttl=254, within=0.3) is None
    other = Request(52, 4, os.urandom(8))
    assert ask(hosts.right, "10.0.0.41", other, auth=KEYS, within=0.3) is None
    assert ask(hosts.right, "10.0.0.41", request, auth=KEYS) == Answer(request, None)


def test_a_backup_answers_nobody(hosts: Pair, left: Child, tmp_path: Path) -> None:
    with children(tmp_path, hosts.right) as (right,):
        master(left)
        right.serve(vip_group(vrrp=VrrpConfig(51, 50, FAST)), sync=SYNC)
        right.until_role("backup")
        request = Request(51, 4, os.urandom(8))
        assert ask(hosts.left, "10.0.0.40", request, within=0.3) is None


def test_the_port_follows_the_config_and_closes_with_the_sync(hosts: Pair, left: Child) -> None:
    group = vip_group("web", vrrp=VrrpConfig(51, interval=FAST))
    master(left)
    moved = SyncTarget(interface="eth0", sync_id=51, group="224.0.0.81", port=9000)
    left.serve(group, sync=moved)
    left.listen(0.3)
    request = Request(51, 4, os.urandom(8))
    assert ask(hosts.right, "10.0.0.41", request, port=9001) == Answer(request, None)
    assert ask(hosts.right, "10.0.0.41", request, within=0.3) is None
    left.serve(group)
    left.listen(0.3)
    assert ask(hosts.right, "10.0.0.41", request, port=9001, within=0.3) is None
    assert left.role() == "master"


def test_a_port_that_is_taken_is_told_once_and_elections_go_on(hosts: Pair, left: Child) -> None:
    with hosts.left.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("", PORT))
        master(left)
        master(left)
        left.listen(0.5)
    told = [str(one.fields["text"]) for one in left.told("vrrp")]
    assert [text for text in told if "ss -ulnp" in text and str(PORT) in text] != []
    assert len([text for text in told if "ss -ulnp" in text]) == 1


@pytest.mark.parametrize("kind", ["noise", "near", "meant"])
def test_a_flood_of_requests_delays_no_advert_and_costs_little(
    hosts: Pair, left: Child, kind: str
) -> None:
    master(left)
    begun = own_s(left)
    flood = [sys.executable, "-m", "tests.support.table_flood", "3", kind, "10.0.0.41", str(PORT)]
    with listening(hosts.right) as heard:
        attacker = hosts.right.start("flood", *flood)
        left.listen(3.5)
        used = own_s(left) - begun
        wait_until(lambda: bool(attacker.text().split()), 10, "the flood is over")
        sent, seconds = map(float, attacker.text().split()[-2:])
    adverts = heard[0].adverts("10.0.0.41", 100)
    worst = max(gaps(adverts))
    print(
        f"{kind}: {sent / seconds:.0f}/s, own CPU {used / 3.5:.1%}, worst gap {worst * 1000:.0f} ms"
    )
    assert left.role() == "master"
    assert len(adverts) >= 30
    assert used / 3.5 < 0.3  # a hundredth on a quiet machine; all of it without the bounds
    assert worst < 3 * FAST


def own_s(child: Child) -> float:
    """Seconds of CPU in the process' own code: the kernel charges whoever runs just now for the
    packets of others."""
    fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) / os.sysconf("SC_CLK_TCK")


def test_the_transfer_process_may_be_killed_at_any_moment(hosts: Pair, left: Child) -> None:
    def transfer() -> int:
        shown = Path(f"/proc/{left.pid}/task/{left.pid}/children").read_text().split()
        others = [
            Path(entry).name
            for task in Path(f"/proc/{left.pid}/task").iterdir()
            for entry in (task / "children").read_text().split()
        ]
        return int((shown or others or ["0"])[0])

    master(left)
    seen: set[int] = set()
    for _ in range(4):
        left.until(lambda: transfer() not in (0, *seen), "a transfer process is there")
        seen.add(transfer())
        os.kill(transfer(), signal.SIGKILL)
        left.listen(0.3)
    assert left.role() == "master"
    assert left.running
    begun = time.monotonic()
    left.until(lambda: transfer() not in (0, *seen), "another one")
    assert time.monotonic() - begun < 2.5


def test_a_filter_that_a_killed_process_left_goes_when_a_new_one_is_master(
    hosts: Pair, left: Child, tmp_path: Path
) -> None:
    def filters() -> str:
        return hosts.left.run("tc", "filter", "show", "dev", "eth0", "egress").stdout

    with children(tmp_path, hosts.right) as (right,):
        right.serve(vip_group(vrrp=VrrpConfig(51, 200, FAST)), sync=SYNC)
        right.until_role("master")
        left.serve(vip_group(vrrp=VrrpConfig(51, 100, FAST)), sync=SYNC)
        left.until_role("backup")
        left.listen(0.5)
        if "pref 8848" not in filters():
            assert any("hold back" in str(one.fields) for one in left.told("vrrp"))
            pytest.skip("this kernel has no clsact")
        left.kill()
        assert "pref 8848" in filters()
    with children(tmp_path, hosts.left) as (anew,):
        anew.serve(vip_group(vrrp=VrrpConfig(51, 100, FAST)))
        anew.until_role("master")
        anew.listen(0.3)
        assert "pref 8848" not in filters()
