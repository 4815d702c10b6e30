"""The line of the status on connections that are kept in step."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from lvsguard.admin import status_reply
from lvsguard.admin.status import health, sync
from lvsguard.cli.render import plain
from lvsguard.core.snapshot import SyncStatus, TransferStatus
from tests.support.published import NOON, Picture

SENT = TransferStatus(NOON - 180, 50, 0.021, "10.0.0.40", received=False)
WELL = SyncStatus("eth0", 51, "224.0.0.81", 8848, ("master", "backup"), SENT)


def shown(status: SyncStatus | None) -> list[str]:
    """What is printed of it."""
    document = status_reply.Status(
        director="director1",
        version="0.1.0",
        config_hash="0",
        vips=[],
        sync=sync(status),
        services=[],
        foreign=[],
    )
    read = msgspec.json.decode(msgspec.json.encode(document), type=status_reply.Status)
    return [line for line in plain(read, health(Picture()), NOON) if line.startswith("SYNC")]


@pytest.mark.parametrize(
    ("transfer", "told"),
    [
        (None, ""),
        (SENT, ", 50 connections sent to 10.0.0.40 in 0.02 s, 3m00s ago"),
        (
            replace(SENT, entries=1, received=True),
            ", 1 connection received from 10.0.0.40 in 0.02 s, 3m00s ago",
        ),
        (replace(SENT, peer=""), ", 50 connections sent with a handover in 0.02 s, 3m00s ago"),
    ],
    ids=["none", "sent", "received", "handover"],
)
def test_it_tells_of_the_last_transfer(transfer: TransferStatus | None, told: str) -> None:
    line = f"SYNC  eth0 id 51 port 8848{told}"
    assert shown(replace(WELL, transfer=transfer)) == [line]


def test_a_daemon_that_does_not_run_is_seen() -> None:
    (line,) = shown(replace(WELL, daemons=("backup",), transfer=None))
    assert line == "SYNC  eth0 id 51 port 8848, NO SYNC DAEMON (master)"


def test_without_an_election_there_is_no_line() -> None:
    assert shown(None) == []


def test_a_director_of_an_older_version_tells_nothing_of_it() -> None:
    document = (
        b'{"director":"d","version":"0","config_hash":"0","vips":[],"services":[],"foreign":[]}'
    )
    assert msgspec.json.decode(document, type=status_reply.Status).sync is None
