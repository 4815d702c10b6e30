"""Modules that a kernel lacks, from files as sysfs and kmod have them."""

from __future__ import annotations

from pathlib import Path

from lvsguard.kernel.module_list import lacking


def test_loaded_and_built_in_ones_are_there(tmp_path: Path) -> None:
    (tmp_path / "ip_vs").mkdir()
    builtin = tmp_path / "modules.builtin"
    builtin.write_text("kernel/net/netfilter/ipvs/ip_vs_rr.ko\nkernel/net/ipv4/ip-tunnel.ko\n")
    names = ("ip_vs", "ip_vs_rr", "ip_vs_mh", "ip_tunnel", "ip_vs_mh")
    assert lacking(names, tmp_path, builtin) == ("ip_vs_mh",)


def test_without_a_list_only_loaded_ones_are_known(tmp_path: Path) -> None:
    (tmp_path / "ip_vs").mkdir()
    assert lacking(("ip_vs", "ip_vs_rr"), tmp_path, tmp_path / "none") == ("ip_vs_rr",)
