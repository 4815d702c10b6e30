"""Whatever breaks and whoever sets a clock, directors that are well again hold the same overrides
and refuse nothing.

A thousand schedules of tests/sim/telling.py, some of them in the fast gate; and the faults that it
is there for are found out.
"""

from __future__ import annotations

import pytest

from lvsguard.admin.etcd_overrides import EtcdOverrides
from lvsguard.admin.peer_session import Telling
from lvsguard.core.ledger import Record, wins
from tests.sim.telling import ByEtcd, ByPeer, play

FAST = 100


@pytest.mark.parametrize("seed", range(0, FAST, 20))
def test_directors_that_are_well_again_hold_the_same(seed: int) -> None:
    for one in range(seed, seed + 20):
        play(one)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(FAST, 1000, 100))
def test_so_do_those_of_a_thousand_schedules(seed: int) -> None:
    for one in range(seed, seed + 100):
        play(one)


class _Once(EtcdOverrides):
    """Looks at what etcd has when it comes, and never again."""

    def reconcile(self, now: float) -> None:
        super().reconcile(now)
        self._open.clear()


class _Blind(EtcdOverrides):
    """Does not see what changes here without being told."""

    def _follow(self) -> None:
        if not self._mine:
            super()._follow()


class _Stubborn(EtcdOverrides):
    """Never writes over what a clock was ahead for."""

    def _outdoes(self, record: Record, known: Record | None, now: float) -> bool:
        return known is None or wins(record, known)


class _Grudging(EtcdOverrides):
    """Does not forget what was refused."""

    def reconcile(self, now: float) -> None:
        before = dict(self.refused)
        super().reconcile(now)
        self.refused = before | self.refused

    def agree(self, director: str) -> None:
        """Whatever it holds."""


class _Trusting(Telling):
    """Takes it that what was told was heard."""

    def doubt(self, fingerprint: str, now: float) -> bool:
        return False


class _Unforgiving(Telling):
    """Does not forget what was refused."""

    def doubt(self, fingerprint: str, now: float) -> bool:
        before = self._peer.refused
        found = super().doubt(fingerprint, now)
        self._peer.refused = before
        return found


def _all_of_them(way: type[ByPeer | ByEtcd]) -> None:
    for seed in range(200):
        play(seed, way)


@pytest.mark.parametrize("wrong", [_Once, _Blind, _Stubborn, _Grudging])
def test_faults_of_the_way_by_etcd_are_found_out(wrong: type[EtcdOverrides]) -> None:
    class Faulty(ByEtcd):
        overrides = wrong

    with pytest.raises(AssertionError, match=r"^seed \d+: "):
        _all_of_them(Faulty)


@pytest.mark.parametrize("wrong", [_Trusting, _Unforgiving])
def test_faults_of_the_channel_between_two_are_found_out(wrong: type[Telling]) -> None:
    class Faulty(ByPeer):
        telling = wrong

    with pytest.raises(AssertionError, match=r"^seed \d+: "):
        _all_of_them(Faulty)
