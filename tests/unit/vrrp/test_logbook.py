"""What a process writes down outlives it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from lvsguard.vrrp.advert import RESIGN
from lvsguard.vrrp.logbook import SIZE, Logbook, blank
from tests.unit.vrrp.instance import advert


@pytest.fixture
def memory() -> Iterator[int]:
    descriptor = blank()
    yield descriptor
    os.close(descriptor)


def test_the_next_reads_what_the_one_before_wrote(memory: int) -> None:
    first = Logbook(memory)
    first.note("eth0/4/51", 1003.5)
    first.note("eth0/6/51", 1004.5)
    first.note("eth0/4/51", 1004.0)
    second = Logbook(memory)
    assert second.until("eth0/4/51") == 1004.0
    assert second.until("eth0/6/51") == 1004.5
    assert second.until("eth1/4/51") == 0


def test_a_master_is_not_missed_for_three_intervals_and_one_that_resigns_at_once(
    memory: int,
) -> None:
    book = Logbook(memory)
    book.spoke("eth0/4/51", advert(100, interval=0.5), 1000.0)
    assert Logbook(memory).until("eth0/4/51") == 1001.5
    book.spoke("eth0/4/51", advert(RESIGN, interval=0.5), 1000.2)
    assert Logbook(memory).until("eth0/4/51") == 0


def test_a_closed_one_leaves_its_memory_to_the_next(memory: int) -> None:
    book = Logbook(memory)
    book.note("eth0/4/51", 1.5)
    book.close()
    assert Logbook(memory).until("eth0/4/51") == 1.5


def test_what_is_no_longer_ours_is_gone_and_makes_room(memory: int) -> None:
    book = Logbook(memory)
    for number in range(3 * SIZE // 16):
        book.note(f"eth0/4/{number}", 1.0)
        book.note(f"eth0/4/{number}", 0.0)
    book.note("last", 2.0)
    assert Logbook(memory).until("last") == 2.0
    assert book.until("eth0/4/1") == 0


def test_a_full_one_forgets_what_is_new(memory: int) -> None:
    book = Logbook(memory)
    for number in range(SIZE // 16 + 1):
        book.note(str(number), 1.0)
    assert (book.until("0"), book.until(str(SIZE // 16))) == (1.0, 0.0)


def test_something_else_is_no_logbook() -> None:
    reader, writer = os.pipe()
    try:
        with pytest.raises((OSError, ValueError)):
            Logbook(reader)
    finally:
        os.close(reader)
        os.close(writer)


def test_who_stands_aside_does_so_in_the_next_process_until_it_is_master_or_told(
    memory: int,
) -> None:
    book = Logbook(memory)
    book.spoke("eth0/4/51", advert(100), 1000.0)
    book.stand_aside("eth0/4/51", True)
    book.spoke("eth0/4/51", advert(RESIGN), 1001.0)
    book.left("eth0/4/51")
    later = Logbook(memory)
    assert later.aside("eth0/4/51")
    assert later.until("eth0/4/51") == 0
    later.spoke("eth0/4/51", advert(100), 1002.0)
    assert not Logbook(memory).aside("eth0/4/51")
    later.stand_aside("eth0/4/51", False)
    assert later.until("eth0/4/51") > 0, "it was master meanwhile"
    later.stand_aside("eth0/4/51", True)
    later.stand_aside("eth0/4/51", False)
    assert not Logbook(memory).aside("eth0/4/51")
