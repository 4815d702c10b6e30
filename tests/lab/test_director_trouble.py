"""What goes wrong beside the kernel: forwarding goes on, and it is told what is wrong."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lvsguard.admin.protocol import ClearOverride, SetOverride
from lvsguard.core.override import OverrideKind
from tests.support.director import tell, wall
from tests.support.director_config import NO_CHECK, Service, Setup
from tests.support.processes import run, wait_until
from tests.support.topology import VIP
from tests.support.topology_load import answered_by, failures, start_load
from tests.support.topology_pings import start_pings
from tests.support.why_transcript import check_why

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.director import Director
    from tests.support.director_seed import Seed
    from tests.support.golden import Golden

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

SERVICE = f"{VIP}:80"


@contextlib.contextmanager
def clients_notice_nothing(seed: Seed) -> Iterator[None]:
    """New connections and ten old ones go on meanwhile, at both realservers."""
    pings = start_pings(seed.client, SERVICE, 10)
    load = start_load(seed.client, SERVICE, per_second=50)
    yield
    requests, connections = load.stop(), pings.stop()
    assert failures(requests) == []
    assert set(answered_by(requests)) == {"rs1", "rs2"}
    assert [c.broken for c in connections] == [""] * 10
    tell("meanwhile", requests=len(requests), failed=0, slowest_s=max(r.took_s for r in requests))


def test_a_killed_prober_is_replaced_and_its_verdicts_stand(seed: Seed, golden: Golden) -> None:
    director, since = seed.director, wall()
    before, writes = director.table(), director.writes()
    restarts = director.metric("prober_restarts_total")
    (prober,) = director.probers()
    with clients_notice_nothing(seed):
        os.kill(prober, signal.SIGKILL)
        killed_at = time.monotonic()
        wait_until(lambda: bool(director.events("prober-died", since)), 2, "it is told")
        wait_until(lambda: director.health().probers == 1, 10, "there is another", every_s=0.02)
        replaced_s = time.monotonic() - killed_at
        director.wait_for_passes(2)
        statuses = [director.realserver(host.address) for host in seed.network.realservers]
        assert [(s.verdict, s.weight) for s in statuses] == [("up", 1)] * 2
    (event,) = director.events("prober-died", since)
    assert "signal 9" in event.text
    assert "the verdicts of its 2 checks stand" in event.text
    check_why(golden, director, "prober-died", "10.0.0.42", since)
    assert director.metric("prober_restarts_total") == restarts + 1
    assert director.probers() != (prober,)
    assert (director.table(), director.writes()) == (before, writes)
    assert director.events("health", since) == []
    seed.webs[0].kill()  # and the new one probes
    director.wait_for_weights(1.5, rs1=None, rs2=1)
    tell("prober", replaced_s=replaced_s)


def test_a_step_that_the_kernel_refuses_is_told_where_it_is_asked_about(
    seed: Seed, golden: Golden
) -> None:
    """A broadcast address is no realserver (ip_vs_ctl.c, ip_vs_new_dest); the rest goes on."""
    director, since = seed.director, wall()
    wrong = Service(
        name="wrong", address=f"{VIP}:81", check=NO_CHECK, realservers={"10.0.0.255": 1}
    )
    with clients_notice_nothing(seed):
        director.configure(Setup(services=(Service(), wrong)))
        director.client.reload()
        wait_until(lambda: bool(director.events("step-refused", since)), 3, "it is told")
        director.wait_for_passes(2)
        check_why(golden, director, "step-refused", "10.0.0.255", since)
    (refused,) = director.events("step-refused", since)
    assert (refused.data["service"], refused.data["realserver"]) == ("wrong", "10.0.0.255:81")
    assert "The kernel refused" not in director.why("10.0.0.42")


def test_it_and_its_probers_come_before_ordinary_processes(seed: Seed) -> None:
    pids = seed.director.pids()
    assert len(pids) > 1
    assert {os.getpriority(os.PRIO_PROCESS, pid) for pid in pids} == {-5}


def test_address_events_that_overflowed_are_made_good_at_once(seed: Seed) -> None:
    """The resync is 60 s away: only the overflow itself (ENOBUFS) can bring the VIP back."""
    director = seed.director
    director.configure(Setup(director='resync = "60s"'))
    director.client.reload()
    since = wall()
    pings = start_pings(seed.client, SERVICE, 10, every_s=0.5)
    director.running.freeze()  # it reads nothing while the kernel tells it more than fits
    changes = overflow(director)
    director.host.run("ip", "address", "del", f"{VIP}/24", "dev", "eth0")
    thawed_at = time.monotonic()
    director.running.thaw()
    wait_until(lambda: f"{VIP}/24" in director.host.addresses(), 5, "the VIP is back")
    back_s = time.monotonic() - thawed_at
    director.wait_for_drift(since)
    (event,) = director.events("kernel-error", since)
    assert "changes of addresses and links were lost" in event.text
    assert "ip monitor" in event.text
    assert len(director.events("drift", since)) == 1
    assert seed.client.get(VIP)[0] == 200
    director.host.run("ip", "address", "del", f"{VIP}/24", "dev", "eth0")  # and it hears again
    wait_until(lambda: f"{VIP}/24" in director.host.addresses(), 1, "the VIP is back")
    director.host.run("ip", "link", "del", "flood0")
    assert [c.broken for c in pings.stop()] == [""] * 10
    tell("ENOBUFS", changes=changes, back_s=back_s)


def overflow(director: Director) -> int:
    """Change a link until the daemon's socket, which it does not read, has overflowed; return how
    many changes that took. Each takes some 2 kB of a buffer of 8 MiB."""
    director.host.run("ip", "link", "add", "flood0", "type", "dummy")
    lines = "".join(f"link set dev flood0 mtu {1000 + n % 2}\n" for n in range(1000))
    for done in range(1, 11):
        director.host.run("ip", "-batch", "-", given=lines)
        if dropped(director.running.pid):
            return 1000 * done
    raise AssertionError("the socket holds them all")


def dropped(pid: int) -> int:
    """Netlink messages that the kernel could not give to the sockets of a process's namespace."""
    lines = Path("/proc", str(pid), "net/netlink").read_text().splitlines()
    return sum(int(line.split()[8]) for line in lines[1:])


def test_a_full_disk_costs_durability_and_nothing_else(seed: Seed) -> None:
    director = seed.director
    state = director.place / "state"
    director.stop()
    run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(state)])
    try:
        director.start()
        filler, since = state / "filler", wall()
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        with clients_notice_nothing(seed):
            drained = director.run("drain", "10.0.0.42", "--reason", "full")
            director.wait_for_weights(1, rs1=0, rs2=1)
            assert "in force, but not kept: " in drained.stderr
            assert director.metric("state_writable") == 0
            (trouble,) = director.health().trouble
            assert "df" in trouble
            assert str(state) in trouble
            undrain = ClearOverride(target="10.0.0.42", kind=OverrideKind.DRAIN)
            assert not director.client.clear_override(undrain).durable
            director.wait_for_weights(1, rs1=1, rs2=1)
        first = SetOverride(target="10.0.0.43", kind=OverrideKind.DRAIN, reason="kept")
        assert not director.client.set_override(first).durable
        filler.unlink()
        second = SetOverride(target="10.0.0.42", kind=OverrideKind.WEIGHT, weight="2")
        assert director.client.set_override(second).durable  # and with it the first
        assert director.health().trouble == []
        assert director.metric("state_writable") == 1
        assert [e.data["ok"] for e in director.events("state", since)] == [False, True]
        director.kill()
        director.start()
        director.wait_for_passes(1)
        assert director.realserver("10.0.0.43").reason.endswith(": kept")
    finally:
        director.kill()
        run(["umount", "--lazy", str(state)])
