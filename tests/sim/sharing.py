"""Directors that share overrides over links that fail: one schedule by its seed.

The real ledger; the links, clocks and operators are dice. Every schedule ends healed, and the test
is that all directors then hold the same, and what the rules say: the last word in stamp order. What
tells of the ledger is simulated in ``telling``.
"""

from __future__ import annotations

import random
import sys
import time
from ipaddress import ip_address

from lvsguard.core.ledger import SKEW_S, Ledger, Record, Stamp
from lvsguard.core.override import Override, OverrideKind, Target

TARGETS = tuple(Target(ip_address("10.0.0.42") + n) for n in range(3))
KINDS = (OverrideKind.DRAIN, OverrideKind.DISABLE)


class _Director:
    def __init__(self, name: str, drift: float, kind: type[Ledger]) -> None:
        self.name = name
        self.drift = drift
        self.ledger = kind(name)


def play(seed: int, kind: type[Ledger] = Ledger) -> None:
    """Play one schedule; AssertionError, with the seed, if it does not converge to what the rules
    say. ``kind``: another ledger, to see that a wrong one is found out."""
    dice, forgotten = random.Random(seed), False
    directors = [
        _Director(f"director{n}", dice.uniform(-SKEW_S / 2.1, SKEW_S / 2.1), kind)
        for n in range(dice.choice((2, 2, 3, 4)))
    ]
    now = 1_000_000.0
    spoken: dict[object, list[Stamp]] = {}
    wires: list[tuple[_Director, Record]] = []
    for _ in range(dice.randrange(5, 40)):
        now += dice.choice((0.0, 0.001, 1.0, 60.0))
        one = dice.choice(directors)
        match dice.randrange(6):
            case 0 | 1:
                _change(one, now, dice, directors, wires, spoken)
            case 2 | 3:
                _deliver(now, dice, wires)
            case 4:  # a link comes back: everything is exchanged
                _exchange(one, dice.choice(directors), now)
            case 5:  # it restarts; maybe it lost its memory
                lost = dice.random() < 0.3
                forgotten |= lost
                one.ledger = kind(one.name, () if lost else one.ledger.records)
    for one in directors:
        for other in directors:
            _exchange(one, other, now)
    for one in directors:
        _exchange(one, directors[0], now)
    prints = {one.ledger.fingerprint for one in directors}
    assert len(prints) == 1, f"seed {seed}: {[one.ledger.records for one in directors]}"
    held = {record.key: record.stamp for record in directors[0].ledger.records}
    for key, stamp in held.items():
        assert stamp in spoken[key], f"seed {seed}: nobody said {stamp} of {key}"
    # What was said to nobody, by a director that then lost its memory, nobody can know.
    last = {key: max(stamps) for key, stamps in spoken.items()}
    assert forgotten or held == last, f"seed {seed}: {held} is not the last word, {last}"


def _change(
    one: _Director,
    now: float,
    dice: random.Random,
    directors: list[_Director],
    wires: list[tuple[_Director, Record]],
    spoken: dict[object, list[Stamp]],
) -> None:
    target, kind, at = dice.choice(TARGETS), dice.choice(KINDS), now + one.drift
    if dice.random() < 0.4:
        record = one.ledger.end((target, kind), one.name, at)
    else:
        record = one.ledger.write(Override(target, kind, one.name, at, str(dice.random())), at)
    if record is None:
        return
    spoken.setdefault(record.key, []).append(record.stamp)
    latest = one.ledger.get(record.key)
    assert latest is record, "who decides something sees it in force"
    wires += [(other, record) for other in directors if other is not one and dice.random() < 0.7]


def _deliver(now: float, dice: random.Random, wires: list[tuple[_Director, Record]]) -> None:
    """Some of what is under way arrives, in any order, some of it twice."""
    for _ in range(dice.randrange(4)):
        if wires:
            place = dice.randrange(len(wires))
            director, record = wires[place]
            director.ledger.merge(record, now + director.drift)
            if dice.random() < 0.8:
                del wires[place]


def _exchange(one: _Director, other: _Director, now: float) -> None:
    for sender, receiver in ((one, other), (other, one)):
        for record in sender.ledger.records:
            receiver.ledger.merge(record, now + receiver.drift)


def main(arguments: list[str]) -> int:
    """`python -m tests.sim.sharing [N]`: N schedules."""
    count = int(arguments[0]) if arguments else 10_000
    begun = time.monotonic()
    for seed in range(count):
        play(seed)
    print(f"{count} schedules of shared overrides converged ({time.monotonic() - begun:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
