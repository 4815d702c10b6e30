"""Kernel settings: names, values, restoring, and errors that say what to do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsguard.kernel.sysctl import (
    SettingChange,
    SettingValue,
    Sysctl,
    SysctlError,
    SysctlFault,
    canonical,
    conf,
)

CONF = Path("net/ipv4/conf")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for link in ("all", "eth0.100"):
        (tmp_path / CONF / link).mkdir(parents=True)
        (tmp_path / CONF / link / "arp_ignore").write_text("0\n")
        (tmp_path / CONF / link / "arp_announce").write_text("0\n")
    return tmp_path


@pytest.fixture
def sysctl(root: Path) -> Sysctl:
    return Sysctl(root)


def test_an_interface_name_may_have_dots(sysctl: Sysctl) -> None:
    name = conf("ipv4", "eth0.100", "arp_ignore")
    assert name == "net/ipv4/conf/eth0.100/arp_ignore"
    sysctl.write(name, "1")
    assert sysctl.read(name) == "1"
    assert sysctl.read_int(name) == 1
    assert sysctl.read_int(conf("ipv4", "all", "arp_ignore")) == 0


@pytest.mark.parametrize(
    "spelling",
    [
        "net/ipv4/conf/eth0.100/arp_ignore",
        "net.ipv4.conf.eth0/100.arp_ignore",
    ],
)
def test_both_spellings_of_sysctl_8_are_understood(spelling: str) -> None:
    assert canonical(spelling) == "net/ipv4/conf/eth0.100/arp_ignore"


@pytest.mark.parametrize(
    "name", ["", "/etc/passwd", "net/../../etc/passwd", "net//x", "a/./b", "/"]
)
def test_a_name_cannot_leave_the_root(sysctl: Sysctl, name: str) -> None:
    with pytest.raises(SysctlError) as caught:
        sysctl.read(name)
    assert caught.value.fault is SysctlFault.NAME


@given(st.text(alphabet="ab./\0", max_size=12))
def test_a_canonical_name_stays_below_the_root(name: str) -> None:
    try:
        parts = canonical(name).split("/")
    except SysctlError:
        return
    assert all(part not in {"", ".", ".."} for part in parts)


@given(st.lists(st.text(alphabet="abc_.", min_size=1, max_size=8), min_size=2, max_size=5))
def test_a_name_with_slashes_is_its_own_canonical_name(parts: list[str]) -> None:
    parts[0] = parts[0].replace(".", "x")
    if any(part in {".", ".."} for part in parts):
        return
    assert canonical("/".join(parts)) == "/".join(parts)


def test_set_writes_only_what_differs_and_restore_brings_it_back(sysctl: Sysctl) -> None:
    ignore, announce = conf("ipv4", "all", "arp_ignore"), conf("ipv4", "all", "arp_announce")
    sysctl.write(ignore, "1")
    before = sysctl.remember((ignore, announce))
    wanted = (SettingValue(ignore, "1"), SettingValue(announce, "2"))
    assert sysctl.set(wanted) == (SettingChange(announce, "0", "2"),)
    assert sysctl.set(wanted) == ()
    assert sysctl.set(before) == (SettingChange(announce, "2", "0"),)
    assert sysctl.remember((ignore, announce)) == before


def test_a_list_is_equal_whatever_separates_its_numbers(root: Path, sysctl: Sysctl) -> None:
    (root / "net/ipv4/vs").mkdir()
    (root / "net/ipv4/vs/sync_threshold").write_text("3\t50\n")
    assert sysctl.set((SettingValue("net/ipv4/vs/sync_threshold", "3 50"),)) == ()


def test_a_missing_interface_is_named(sysctl: Sysctl) -> None:
    with pytest.raises(SysctlError, match="there is no interface eth9: create it") as caught:
        sysctl.read(conf("ipv4", "eth9", "arp_ignore"))
    assert caught.value.fault is SysctlFault.MISSING
    assert sysctl.find(conf("ipv4", "eth9", "arp_ignore")) is None


def test_a_missing_module_is_named(sysctl: Sysctl) -> None:
    with pytest.raises(SysctlError, match="modprobe ip_vs"):
        sysctl.write("net/ipv4/vs/expire_nodest_conn", "1")


def test_a_kernel_without_ipv6_is_told(sysctl: Sysctl) -> None:
    with pytest.raises(SysctlError, match="runs without ipv6"):
        sysctl.read(conf("ipv6", "all", "forwarding"))


def test_a_setting_that_this_kernel_lacks_is_told(root: Path, sysctl: Sysctl) -> None:
    (root / "net/ipv4/vs").mkdir()
    for name in ("net/ipv4/vs/est_nice", "net/ipv4/conf/all/nonsense", "kernel/nonsense"):
        with pytest.raises(SysctlError, match="this kernel has no such setting"):
            sysctl.read(name)


def test_writing_never_creates_a_file(root: Path, sysctl: Sysctl) -> None:
    with pytest.raises(SysctlError):
        sysctl.write(conf("ipv4", "all", "nonsense"), "1")
    assert not (root / CONF / "all/nonsense").exists()


def test_a_value_that_is_no_number_is_told(root: Path, sysctl: Sysctl) -> None:
    (root / CONF / "all/arp_ignore").write_text("none\n")
    with pytest.raises(SysctlError, match="'none' where a number"):
        sysctl.read_int(conf("ipv4", "all", "arp_ignore"))


def test_a_read_is_bounded(root: Path, sysctl: Sysctl) -> None:
    (root / "big").write_text("1" * 1_000_000)
    assert len(sysctl.read("big")) == 4096


@pytest.mark.skipif(not Path("/proc/sys/kernel/ostype").exists(), reason="no /proc/sys here")
def test_the_real_proc_refuses_with_a_reason() -> None:
    real = Sysctl()
    assert real.read("kernel/ostype") == "Linux"
    with pytest.raises(SysctlError) as caught:
        real.write("kernel/ostype", "Plan9")  # mode 0444, for root too
    assert caught.value.fault in {SysctlFault.DENIED, SysctlFault.READ_ONLY}
    assert "CAP_NET_ADMIN" in str(caught.value) or "ProtectKernelTunables" in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_setting_without_permission_names_the_capability(root: Path, sysctl: Sysctl) -> None:
    (root / CONF / "all/arp_ignore").chmod(0o444)
    with pytest.raises(SysctlError, match="CAP_NET_ADMIN"):
        sysctl.write(conf("ipv4", "all", "arp_ignore"), "1")
