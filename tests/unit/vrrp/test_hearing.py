"""By which paths a director hears the others, and what it says of one that is silent."""

from __future__ import annotations

from lvsguard.core.snapshot import Role
from lvsguard.core.vrrp import Version
from lvsguard.vrrp.hearing import SILENT_DOWNS, Hearing, together
from lvsguard.vrrp.message import Path
from lvsguard.vrrp.timing import longest_master_down

PATHS = ("eth0", "eth1")
PATIENCE = SILENT_DOWNS * longest_master_down(Version.V3, 1.0)


def hearing(**heard: float) -> Hearing:
    """Of a director that heard these at those times."""
    made = Hearing(PATHS, Version.V3, 1.0)
    for path, at in heard.items():
        made.heard(path, 1.0, at)
    return made


def heard(found: dict[str, Path]) -> dict[str, bool]:
    return {name: path.heard for name, path in found.items()}


def test_a_backup_says_of_a_path_that_it_is_silent_while_another_one_hears() -> None:
    mine = hearing(eth0=10.0 + PATIENCE, eth1=10.0)
    before = mine.look(Role.BACKUP, 0.0, 10.0 + PATIENCE - 0.1)
    assert before == {"eth0": Path(True), "eth1": Path(True)}
    after = mine.look(Role.BACKUP, 0.0, 10.0 + PATIENCE)
    assert heard(after) == {"eth0": True, "eth1": False}
    assert after["eth0"].problem == ""
    assert "come by eth0" in after["eth1"].problem
    assert "tcpdump -ni eth1 proto 112" in after["eth1"].problem


def test_a_path_that_never_heard_anybody_is_silent_after_as_long_a_time_in_the_role() -> None:
    mine = hearing(eth0=100.0)
    assert heard(mine.look(Role.BACKUP, 100.0 - PATIENCE + 0.1, 100.0))["eth1"]
    assert not heard(mine.look(Role.BACKUP, 100.0 - PATIENCE, 100.0))["eth1"]


def test_while_nobody_is_heard_at_all_no_path_is_to_blame() -> None:
    found = hearing(eth0=1.0, eth1=1.0).look(Role.BACKUP, 0.0, 1.0 + PATIENCE)
    assert found == {"eth0": Path(False), "eth1": Path(False)}


def test_a_master_that_speaks_less_often_is_waited_for_longer() -> None:
    mine = hearing(eth0=10.0 + PATIENCE)
    mine.heard("eth1", 4.0, 10.0)
    assert heard(mine.look(Role.BACKUP, 0.0, 10.0 + PATIENCE)) == dict.fromkeys(PATHS, True)


def test_a_master_hears_nobody_and_knows_what_goes_out() -> None:
    mine = hearing()
    mine.said("eth0", "")
    mine.said("eth1", "no advert goes out of eth1: it is down")
    found = mine.look(Role.MASTER, 0.0, 1000.0)
    assert found == {
        "eth0": Path(True),
        "eth1": Path(False, "no advert goes out of eth1: it is down"),
    }
    mine.said("eth1", "")
    assert heard(mine.look(Role.MASTER, 0.0, 1001.0)) == dict.fromkeys(PATHS, True)


def test_before_it_takes_part_there_is_nothing_to_say() -> None:
    assert hearing().look(Role.INIT, 0.0, 1000.0) == {}


def test_another_config_forgets_nothing() -> None:
    mine = hearing()
    mine.inherit(hearing(eth0=50.0, eth1=10.0))
    assert not heard(mine.look(Role.BACKUP, 0.0, 10.0 + PATIENCE))["eth1"]


def test_a_path_is_well_when_it_is_so_for_both_families() -> None:
    four = {"eth0": Path(True), "eth1": Path(True)}
    six = {"eth0": Path(True), "eth1": Path(False, "silent")}
    for families in ((four, six), (six, four)):
        assert together(families) == six
