"""The record: what comes back after a write, a reboot, a crash, damage and a race."""

from __future__ import annotations

import asyncio
import json
from ipaddress import IPv4Address, ip_address, ip_interface
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lvsguard.realserver.model import ArpMode, ArpRule, RealserverSetup
from lvsguard.realserver.record import ArpSetting, Original, Own, Record
from lvsguard.realserver.record_file import (
    FILE,
    Era,
    RecordError,
    RecordFile,
    locked,
    present_era,
)
from tests.support.examples import examples

HERE = Era("boot-1", "ns-1")
VIP, RIP = IPv4Address("10.0.0.8"), IPv4Address("10.0.0.42")
SETUP = RealserverSetup(vips=(VIP, ip_address("fd00::8")), rip=RIP, mode=ArpMode.ARPTABLES)
RECORD = Record(
    owns={
        "ipvs0": Own(
            setup=SETUP,
            link_made=True,
            addresses=frozenset({ip_interface("10.0.0.8/32"), ip_interface("fd00::8/128")}),
            settings=frozenset({ArpSetting("all", "arp_ignore")}),
            rules=SETUP.rules,
        ),
        "lo": Own(
            setup=RealserverSetup(vips=(VIP,), link="lo"),
            link_raised=True,
            table=True,
        ),
    },
    originals={ArpSetting("all", "arp_ignore"): Original(0, 1)},
)


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    RecordFile(tmp_path, HERE).save(RECORD)
    assert RecordFile(tmp_path, HERE).load() == RECORD


@given(
    st.dictionaries(
        st.builds(
            ArpSetting,
            st.sampled_from(["all", "eth0.100", "ipvs0"]),
            st.sampled_from(["arp_ignore", "arp_announce"]),
        ),
        st.builds(Original, st.integers(-1, 9), st.integers(0, 9)),
    ),
    st.frozensets(st.builds(ArpRule, st.ip_addresses(v=4), st.none() | st.ip_addresses(v=4))),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(30))
def test_any_record_comes_back(
    tmp_path: Path, originals: dict[ArpSetting, Original], rules: frozenset[ArpRule]
) -> None:
    own = Own(setup=SETUP, rules=rules, settings=frozenset(originals))
    record = Record(owns={"ipvs0": own}, originals=originals)
    RecordFile(tmp_path, HERE).save(record)
    assert RecordFile(tmp_path, HERE).load() == record


def test_no_file_is_an_empty_record(tmp_path: Path) -> None:
    assert RecordFile(tmp_path, HERE).load() == Record()


def test_an_empty_record_leaves_no_file(tmp_path: Path) -> None:
    file = RecordFile(tmp_path, HERE)
    file.save(RECORD)
    file.save(Record())
    assert list(tmp_path.iterdir()) == []


def test_a_record_from_before_a_reboot_is_dropped(tmp_path: Path) -> None:
    RecordFile(tmp_path, HERE).save(RECORD)
    later = RecordFile(tmp_path, Era("boot-2", "ns-1"))
    assert later.load() == Record()
    later.save(Record())
    assert list(tmp_path.iterdir()) == []


def test_another_network_namespace_has_a_record_of_its_own(tmp_path: Path) -> None:
    other = Era("boot-1", "ns-2")
    RecordFile(tmp_path, HERE).save(RECORD)
    file = RecordFile(tmp_path, other)
    assert file.load() == Record()
    file.save(RECORD.without("lo"))
    assert RecordFile(tmp_path, HERE).load() == RECORD
    assert RecordFile(tmp_path, other).load() == RECORD.without("lo")


@pytest.mark.parametrize("size", [0, 1, 40, 200])
def test_a_damaged_file_is_an_error_and_stays(tmp_path: Path, size: int) -> None:
    RecordFile(tmp_path, HERE).save(RECORD)
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(RecordError, match="then delete the file"):
        RecordFile(tmp_path, HERE).load()
    assert path.stat().st_size == size


def _hostile(change: str) -> str:
    text = json.dumps(
        {
            "version": 1,
            "boot": "boot-1",
            "namespaces": {
                "ns-1": {
                    "owns": [
                        {
                            "link": "ipvs0",
                            "vips": ["10.0.0.8"],
                            "rip": None,
                            "mode": "sysctl",
                            "link_made": True,
                            "link_raised": False,
                            "addresses": ["10.0.0.8/32"],
                            "settings": [{"link": "all", "key": "arp_ignore"}],
                            "rules": [],
                            "table": False,
                        }
                    ],
                    "originals": [
                        {
                            "setting": {"link": "all", "key": "arp_ignore"},
                            "before": 0,
                            "ours": 1,
                        }
                    ],
                }
            },
        }
    )
    before, _, after = change.partition(" => ")
    assert before in text
    return text.replace(before, after)


def test_the_untouched_document_is_a_record(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(_hostile('"ipvs0" => "ipvs0"'))
    assert set(RecordFile(tmp_path, HERE).load().owns) == {"ipvs0"}


@pytest.mark.parametrize(
    "change",
    [
        '"arp_ignore" => "../../../kernel/core_pattern"',
        '"all" => "../../../kernel"',
        '"ipvs0" => "a/b"',
        '"before": 0 => "before": "|/bin/evil"',
        '"10.0.0.8/32" => "10.0.0.8; reboot"',
        '"version": 1 => "version": 2',
        '"version": 1 => "version": 1, "more": 1',
        '"rules": [] => "rules": [{"vip": "-F"}]',
        '"sysctl" => "shell"',
    ],
)
def test_a_record_can_name_nothing_but_what_this_room_deals_with(
    tmp_path: Path, change: str
) -> None:
    (tmp_path / FILE).write_text(_hostile(change))
    with pytest.raises(RecordError):
        RecordFile(tmp_path, HERE).load()


def test_a_file_that_is_too_big_is_not_read(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(" " * (2 << 20) + "{}")
    with pytest.raises(RecordError, match="too big"):
        RecordFile(tmp_path, HERE).load()


def test_a_planted_link_is_replaced_and_never_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("keep me")
    for name in (FILE, "record.new"):
        (tmp_path / name).symlink_to(precious)
    RecordFile(tmp_path, HERE).save(RECORD)
    assert precious.read_text() == "keep me"
    assert not (tmp_path / FILE).is_symlink()


def test_a_directory_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    file = RecordFile(tmp_path / "gone", HERE)
    with pytest.raises(RecordError, match="nothing was changed that is not recorded"):
        file.save(RECORD)


async def test_a_directory_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="RuntimeDirectory"):
        async with locked(tmp_path / "file" / "sub"):
            pass


async def test_only_one_holds_the_lock(tmp_path: Path) -> None:
    order = []
    entered = asyncio.Event()

    async def first() -> None:
        async with locked(tmp_path):
            entered.set()
            for _ in range(5):
                await asyncio.sleep(0)
            order.append("first")

    async def second() -> None:
        await entered.wait()
        async with locked(tmp_path):
            order.append("second")

    await asyncio.gather(first(), second())
    assert order == ["first", "second"]


def test_the_present_era_names_this_namespace() -> None:
    assert present_era("boot") == present_era("boot")
    assert present_era("boot").namespace


def test_without_forgets_one_setup_and_others_shows_the_rest() -> None:
    assert set(RECORD.without("lo").owns) == {"ipvs0"}
    assert [own.setup.link for own in RECORD.others("lo")] == ["ipvs0"]
    assert RECORD.without("lo").with_own(RECORD.owns["lo"]) == RECORD
