"""Kernel settings held in place, on a copy of the tree in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from lvsguard.controller.settings import Settings
from lvsguard.core.config import IpvsSettings
from lvsguard.kernel.port import Timeouts
from lvsguard.kernel.sysctl import Sysctl
from tests.support.fake_kernel import FakeIpvs

WANTED = IpvsSettings({"expire_nodest_conn": "1"})


@pytest.fixture
def setting(tmp_path: Path) -> Path:
    path = tmp_path / "net/ipv4/vs/expire_nodest_conn"
    path.parent.mkdir(parents=True)
    path.write_text("0\n")
    return path


async def test_what_differs_is_written_once(tmp_path: Path, setting: Path) -> None:
    settings = Settings(WANTED, Sysctl(tmp_path))
    held = await settings.hold(FakeIpvs())
    assert held.changes == ("net/ipv4/vs/expire_nodest_conn 0 -> 1",)
    assert setting.read_text() == "1\n"
    assert (await settings.hold(FakeIpvs())).changes == ()


async def test_a_setting_that_is_not_there_is_trouble_and_no_failure(tmp_path: Path) -> None:
    held = await Settings(WANTED, Sysctl(tmp_path)).hold(FakeIpvs())
    assert held.changes == ()
    assert "modprobe ip_vs" in held.troubles[0]


async def test_only_the_timeouts_that_are_named_change(tmp_path: Path) -> None:
    ipvs = FakeIpvs()
    settings = Settings(IpvsSettings(udp_timeout=30), Sysctl(tmp_path))
    assert (await settings.hold(ipvs)).changes == ("timeout udp 300s -> 30s",)
    assert await ipvs.timeouts() == Timeouts(900, 120, 30)
    writes = ipvs.writes
    assert (await settings.hold(ipvs)).changes == ()
    assert ipvs.writes == writes


async def test_without_named_timeouts_the_kernel_is_not_asked(tmp_path: Path) -> None:
    ipvs = FakeIpvs()
    assert await Settings(IpvsSettings(), Sysctl(tmp_path)).hold(ipvs) == await Settings(
        IpvsSettings(), Sysctl(tmp_path)
    ).hold(ipvs)
    assert ipvs.writes == 0


async def test_a_defence_that_the_kernel_moved_by_itself_is_left_alone(
    tmp_path: Path, setting: Path
) -> None:
    drop = setting.with_name("drop_entry")
    drop.write_text("2\n")
    settings = Settings(IpvsSettings({"drop_entry": "1"}), Sysctl(tmp_path))
    assert (await settings.hold(FakeIpvs())).changes == ()
    drop.write_text("0\n")
    assert (await settings.hold(FakeIpvs())).changes == ("net/ipv4/vs/drop_entry 0 -> 1",)
