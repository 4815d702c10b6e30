"""Timeouts, information and sync daemons: bytes of Linux 6.1, and broken ones."""

from __future__ import annotations

from struct import pack

import pytest

from lvsguard.kernel.ipvs_settings import (
    decode_info,
    decode_sync,
    decode_timeouts,
    encode_sync,
    encode_sync_role,
    encode_timeouts,
)
from lvsguard.kernel.netlink import Malformed, attribute, nested
from lvsguard.kernel.port import Info, SyncDaemon, SyncRole, Timeouts

MASTER = bytes.fromhex(
    "3c000300080001000100000007000200643000000800030007000000"
    "06000400c00500000600070090220000050008000100000008000500e0000051"
)


def test_timeouts_are_read() -> None:
    raw = bytes.fromhex("0800040084030000 0800050078000000 080006002c010000")
    assert decode_timeouts(raw, 0, len(raw)) == Timeouts(900, 120, 300)


def test_a_protocol_that_is_not_built_in_has_no_timeout() -> None:
    assert decode_timeouts(b"", 0, 0) == Timeouts(0, 0, 0)


def test_only_timeouts_that_are_not_0_are_sent() -> None:
    raw = encode_timeouts(Timeouts(0, 60, 0))
    assert raw == attribute(5, pack("=I", 60))
    assert decode_timeouts(raw, 0, len(raw)) == Timeouts(0, 60, 0)


def test_version_and_table_size_are_read() -> None:
    raw = bytes.fromhex("0800010001020100 0800020000100000")
    assert decode_info(raw, 0, len(raw)) == Info("1.2.1", 4096)


def test_information_without_a_version_is_malformed() -> None:
    raw = attribute(2, pack("=I", 4096))
    with pytest.raises(Malformed, match="version or table size is missing"):
        decode_info(raw, 0, len(raw))


def test_a_sync_daemon_is_read() -> None:
    assert decode_sync(MASTER, 0, len(MASTER)) == SyncDaemon(
        SyncRole.MASTER, "d0", 7, 1472, "224.0.0.81", 8848, 1
    )


@pytest.mark.parametrize("group", ["224.0.0.99", "ff05::51"])
def test_a_sync_daemon_goes_there_and_back(group: str) -> None:
    daemon = SyncDaemon(SyncRole.BACKUP, "eth0", 255, 1400, group, 9999, 64)
    raw = encode_sync(daemon)
    assert decode_sync(raw, 0, len(raw)) == daemon


def test_what_is_left_open_is_left_to_the_kernel() -> None:
    assert encode_sync(SyncDaemon(SyncRole.MASTER, "d0", 7)) == nested(
        3, attribute(1, pack("=I", 1)), attribute(2, b"d0\0"), attribute(3, pack("=I", 7))
    )


def test_a_daemon_is_stopped_by_its_role() -> None:
    assert encode_sync_role(SyncRole.BACKUP) == nested(3, attribute(1, pack("=I", 2)))


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "the sync daemon .attribute 3. is missing"),
        (nested(3), "a number of 0 bytes"),
        (nested(3, attribute(1, pack("=I", 9))), "a sync daemon of state 9"),
        (
            nested(
                3,
                attribute(1, pack("=I", 1)),
                attribute(3, pack("=I", 1)),
                attribute(5, b"\xe0"),
            ),
            "a multicast group of 1 bytes",
        ),
        (MASTER[:30], "attribute 3 of 60 bytes in 30"),
    ],
)
def test_a_broken_sync_daemon_is_malformed(raw: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        decode_sync(raw, 0, len(raw))
