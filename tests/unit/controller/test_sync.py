"""The kernel's sync daemons held in place, on a kernel in memory and a copy of the settings."""

from __future__ import annotations

from dataclasses import replace
from errno import EIO
from ipaddress import ip_address
from pathlib import Path

import pytest

from lvsguard.controller.sync import SIZE, Sync, wanted_sync
from lvsguard.core.config import VipConfig
from lvsguard.core.model import RealserverKey
from lvsguard.core.snapshot import SyncStatus, TransferStatus
from lvsguard.core.vrrp import ConnectionSync, VrrpConfig
from lvsguard.kernel.port import SyncDaemon, SyncRole
from lvsguard.kernel.sysctl import Sysctl
from tests.support.fake_kernel import FakeIpvs
from tests.support.rig import RS1, VIP, config, realserver, service

WANTED = ConnectionSync("eth0", sync_id=51)
BOTH = {SyncRole.MASTER, SyncRole.BACKUP}


@pytest.fixture
def settings(tmp_path: Path) -> Sysctl:
    path = tmp_path / "net/ipv4/vs/sync_threshold"
    path.parent.mkdir(parents=True)
    path.write_text("3\t50\n")
    return Sysctl(tmp_path)


class Links:
    """Indexes of interfaces; a test may make another interface of the same name."""

    def __init__(self) -> None:
        self.indexes = {"eth0": 2, "lo": 1}

    def __call__(self, interface: str) -> int:
        return self.indexes.get(interface, 0)


def sync_of(wanted: ConnectionSync | None, settings: Sysctl, links: Links | None = None) -> Sync:
    return Sync(wanted, settings, links or Links())


async def roles(ipvs: FakeIpvs) -> set[SyncRole]:
    return {daemon.role for daemon in await ipvs.sync_daemons()}


async def test_both_daemons_run_and_the_masters_messages_are_short(settings: Sysctl) -> None:
    ipvs = FakeIpvs()
    changes, troubles = await sync_of(WANTED, settings).hold(ipvs)
    master, backup = await ipvs.sync_daemons()
    assert (master.role, master.sync_id, master.max_length) == (SyncRole.MASTER, 51, SIZE)
    assert (backup.role, backup.sync_id, backup.group) == (SyncRole.BACKUP, 51, "224.0.0.81")
    assert changes == [
        "sync daemon (master) on eth0, id 51",
        "sync daemon (backup) on eth0, id 51",
        "net/ipv4/vs/sync_threshold 3 50 -> 2 50",
    ]
    assert troubles == []


async def test_what_is_right_is_written_once(settings: Sysctl) -> None:
    ipvs, sync = FakeIpvs(), sync_of(WANTED, settings)
    await sync.hold(ipvs)
    writes = ipvs.writes
    assert await sync.hold(ipvs) == ([], [])
    assert ipvs.writes == writes


async def test_what_an_earlier_run_left_is_taken_up(settings: Sysctl) -> None:
    ipvs = FakeIpvs()
    await sync_of(WANTED, settings).hold(ipvs)
    writes = ipvs.writes
    assert await sync_of(WANTED, settings).hold(ipvs) == ([], [])
    assert ipvs.writes == writes


@pytest.mark.parametrize(
    "other",
    [
        SyncDaemon(SyncRole.MASTER, "lo", 51, max_length=SIZE),
        SyncDaemon(SyncRole.MASTER, "eth0", 7, max_length=SIZE),
        SyncDaemon(SyncRole.MASTER, "eth0", 51),
        SyncDaemon(SyncRole.MASTER, "eth0", 51, max_length=SIZE, group="224.0.0.99"),
        SyncDaemon(SyncRole.MASTER, "eth0", 51, max_length=SIZE, port=9000),
        SyncDaemon(SyncRole.BACKUP, "eth0", 7),
    ],
    ids=["interface", "id", "length", "group", "port", "backup"],
)
async def test_a_daemon_that_somebody_else_started_is_replaced(
    settings: Sysctl, other: SyncDaemon
) -> None:
    ipvs = FakeIpvs()
    await ipvs.start_sync(other)
    sync = sync_of(WANTED, settings)
    changes, troubles = await sync.hold(ipvs)
    assert f"sync daemon ({other.role}) stopped" in changes
    assert troubles == []
    assert {d.sync_id for d in await ipvs.sync_daemons()} == {51}
    assert {d.interface for d in await ipvs.sync_daemons()} == {"eth0"}
    assert (await sync.hold(ipvs)) == ([], [])


async def test_a_daemon_that_somebody_else_replaces_later_is_put_back(settings: Sysctl) -> None:
    ipvs, sync = FakeIpvs(), sync_of(WANTED, settings)
    await sync.hold(ipvs)
    await ipvs.stop_sync(SyncRole.BACKUP)
    await ipvs.start_sync(SyncDaemon(SyncRole.BACKUP, "eth0", 51, ttl=9))
    changes, _ = await sync.hold(ipvs)
    assert changes == ["sync daemon (backup) stopped", "sync daemon (backup) on eth0, id 51"]


async def test_a_daemon_that_somebody_else_stopped_is_started_again(settings: Sysctl) -> None:
    ipvs, sync = FakeIpvs(), sync_of(WANTED, settings)
    await sync.hold(ipvs)
    await ipvs.stop_sync(SyncRole.MASTER)
    assert (await sync.hold(ipvs))[0] == ["sync daemon (master) on eth0, id 51"]
    assert await roles(ipvs) == BOTH


async def test_a_changed_configuration_moves_both(settings: Sysctl) -> None:
    ipvs, sync = FakeIpvs(), sync_of(WANTED, settings)
    await sync.hold(ipvs)
    sync.configure(replace(WANTED, interface="lo", port=9000, threshold=5, period=100))
    changes, troubles = await sync.hold(ipvs)
    assert len(changes) == 5
    assert troubles == []
    assert {(d.interface, d.port) for d in await ipvs.sync_daemons()} == {("lo", 9000)}
    assert settings.read("net/ipv4/vs/sync_threshold") == "5 100"


async def test_with_the_last_election_both_stop_and_later_ones_are_somebody_elses(
    settings: Sysctl,
) -> None:
    ipvs, sync = FakeIpvs(), sync_of(WANTED, settings)
    await sync.hold(ipvs)
    sync.configure(None)
    changes, _ = await sync.hold(ipvs)
    assert changes == ["sync daemon (master) stopped", "sync daemon (backup) stopped"]
    assert await ipvs.sync_daemons() == ()
    await ipvs.start_sync(SyncDaemon(SyncRole.MASTER, "eth0"))
    assert await sync.hold(ipvs) == ([], [])
    assert await roles(ipvs) == {SyncRole.MASTER}


async def test_without_an_election_a_foreign_daemon_is_left_alone(settings: Sysctl) -> None:
    ipvs = FakeIpvs()
    await ipvs.start_sync(SyncDaemon(SyncRole.MASTER, "eth0"))
    assert await sync_of(None, settings).hold(ipvs) == ([], [])
    assert await roles(ipvs) == {SyncRole.MASTER}


async def test_a_stop_that_the_kernel_did_not_hear_is_tried_again(settings: Sysctl) -> None:
    ipvs, sync = FakeIpvs(), sync_of(WANTED, settings)
    await sync.hold(ipvs)
    sync.configure(None)
    ipvs.fail_reads(EIO)
    _, troubles = await sync.hold(ipvs)
    assert len(troubles) == 1
    await sync.hold(ipvs)
    assert await ipvs.sync_daemons() == ()


async def test_a_kernel_that_does_not_answer_is_trouble_and_stops_no_pass(
    settings: Sysctl,
) -> None:
    ipvs, sync = FakeIpvs(), sync_of(WANTED, settings)
    ipvs.fail_reads(EIO)
    changes, troubles = await sync.hold(ipvs)
    assert changes == []
    assert "injected" in troubles[0]
    assert (await sync.hold(ipvs))[1] == []
    assert await roles(ipvs) == BOTH


async def test_a_missing_interface_is_told_and_the_daemons_start_when_it_comes(
    settings: Sysctl,
) -> None:
    links = Links()
    del links.indexes["eth0"]
    bare, sync = FakeIpvs(interfaces=["lo"]), sync_of(WANTED, settings, links)
    _, troubles = await sync.hold(bare)
    assert all("eth0" in trouble and "ip link" in trouble for trouble in troubles)
    assert len(troubles) == 2
    assert sync.running == {}
    links.indexes["eth0"] = 5
    ipvs = FakeIpvs()
    assert (await sync.hold(ipvs))[1] == []
    assert await roles(ipvs) == BOTH


async def test_an_interface_that_was_made_anew_gets_daemons_that_hear_on_it(
    settings: Sysctl,
) -> None:
    links = Links()
    ipvs, sync = FakeIpvs(), sync_of(WANTED, settings, links)
    await sync.hold(ipvs)
    del links.indexes["eth0"]
    assert await sync.hold(ipvs) == ([], [])
    links.indexes["eth0"] = 9
    changes, _ = await sync.hold(ipvs)
    assert changes.count("sync daemon (backup) stopped") == 1
    assert await sync.hold(ipvs) == ([], [])


async def test_a_kernel_without_short_messages_gets_its_own_size_and_is_left_alone(
    settings: Sysctl,
) -> None:
    ipvs, sync = FakeIpvs(shortest_sync=512), sync_of(WANTED, settings)
    _, troubles = await sync.hold(ipvs)
    assert troubles == []
    assert {d.role: d.max_length for d in await ipvs.sync_daemons()}[SyncRole.MASTER] == 1472
    writes = ipvs.writes
    assert await sync.hold(ipvs) == ([], [])
    assert ipvs.writes == writes


async def test_a_kernel_without_the_threshold_still_has_its_daemons(tmp_path: Path) -> None:
    (tmp_path / "net/ipv4/vs").mkdir(parents=True)
    ipvs, sync = FakeIpvs(), sync_of(WANTED, Sysctl(tmp_path))
    changes, troubles = await sync.hold(ipvs)
    assert len(changes) == 2
    assert "no such setting" in troubles[0]
    assert await roles(ipvs) == BOTH


async def test_the_status_tells_which_daemons_run_as_wanted(settings: Sysctl) -> None:
    ipvs, sync = FakeIpvs(), sync_of(WANTED, settings)
    last = TransferStatus(1.0, 50, 0.1, "10.0.0.40", received=True)
    before = sync.status(None)
    assert before is not None
    assert before.daemons == ()
    await sync.hold(ipvs)
    assert sync.status(last) == SyncStatus(
        "eth0", 51, "224.0.0.81", 8848, ("master", "backup"), last
    )
    assert sync_of(None, settings).status(last) is None


def test_the_id_is_the_same_in_whatever_order_directors_list_their_elections() -> None:
    web, mail = (VipConfig(str(vrid), (VIP,), VrrpConfig(vrid)) for vrid in (51, 7))
    first, second = (replace(config(), vips=vips) for vips in ((web, mail), (mail, web)))
    assert wanted_sync(first) == wanted_sync(second) == ConnectionSync("eth0", sync_id=7)


def test_there_is_no_sync_without_an_election() -> None:
    assert wanted_sync(config(service(realserver(RS1)))) is None


def test_realservers_of_another_family_do_without_unless_it_is_asked_for() -> None:
    other = realserver(RealserverKey(ip_address("fd00::42"), 80))
    elected = VipConfig("web", (VIP,), VrrpConfig(51))
    mixed = replace(config(service(other)), vips=(elected,))
    assert wanted_sync(mixed) is None
    assert wanted_sync(replace(mixed, sync=WANTED)) == WANTED
