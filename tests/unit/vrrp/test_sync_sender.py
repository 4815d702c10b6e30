"""The pace of sync messages, and where they go."""

from __future__ import annotations

import time

import pytest

from lvsguard.kernel.port import KernelError
from lvsguard.vrrp.sync_sender import BURST, Pace, SyncSender
from lvsguard.vrrp.transfer_message import Target

LOOPBACK = Target(interface="lo", syncid=1, group="239.255.0.81", port=18848)


def delays(pace: Pace, count: int, now: float) -> list[float]:
    """The waits before so many messages, for a sender that waits as told."""
    found = []
    for _ in range(count):
        wait = pace.delay(now)
        now += wait
        found.append(wait)
    return found


def test_a_burst_goes_at_once_and_each_next_one_when_its_time_has_come() -> None:
    waits = delays(Pace(1000, 5.0), 3 * BURST, 5.0)
    at = [number for number, wait in enumerate(waits) if wait]
    assert at == [BURST, 2 * BURST]
    assert [waits[number] for number in at] == pytest.approx([BURST / 1000] * 2)


def test_no_time_is_made_up_for_by_a_larger_burst() -> None:
    pace = Pace(1000, 0.0)
    assert not any(delays(pace, BURST, 0.0))
    late = 1.0
    waits = delays(pace, 2 * BURST, late)
    assert sum(bool(wait) for wait in waits) == 1


def test_a_rate_of_nothing_is_not_for_ever() -> None:
    assert delays(Pace(0, 0.0), BURST + 1, 0.0)[-1] == BURST


def test_a_message_is_as_long_as_fits_the_usual_daemon() -> None:
    sender = SyncSender(LOOPBACK, time.monotonic, time.sleep)
    sender.close()
    assert sender.size_max == 1472


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (Target(interface="nosuch0", syncid=1), "on nosuch0: .*: look at the interface"),
        (Target(interface="lo", syncid=1, group="here"), "to here .*: 'here' does not appear"),
        (Target(interface="lo", syncid=1, port=99999), "port 99999 .*: .*0-65535"),
    ],
)
def test_a_target_that_cannot_be_is_told_with_what_to_do(target: Target, said: str) -> None:
    with pytest.raises(KernelError, match=said):
        SyncSender(target, time.monotonic, time.sleep)
