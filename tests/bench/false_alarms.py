"""Realservers that are well, in trouble that is none, for minutes: which verdicts changed.

    tests/lab/run --limit 21600 python -m tests.bench.false_alarms [--minutes M]
        [--only WORD,WORD] [--realservers N]

The plays are those of tests/lab/test_false_alarms.py. A bad line is played twice as long as the
others, and with all realservers: what happens to one once in an hour happens to twelve every five
minutes. Every detector is on; each verdict that changes is a false alarm, and with one it ends with
1.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.bounds import verdict, wanted
from tests.support.director_seed import seed_under_lvsguard
from tests.support.false_alarms import PLAYS, changes
from tests.support.topology import seed_network

if TYPE_CHECKING:
    from tests.support.director_seed import Seed

LONGER = {"5 % loss, 50 ms": 2.0}


def main() -> None:
    """Play one after the other and print what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--only", default="", help="plays that have one of these in their name")
    parser.add_argument("--realservers", type=int, default=12, help="on a bad line")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        logs = Path(os.environ.get("LVSGUARD_ARTIFACTS", folder), "false-alarms")
        logs.mkdir(parents=True, exist_ok=True)
        with (
            seed_network(logs, options.realservers) as network,
            seed_under_lvsguard(network) as seed,
        ):
            well = show(seed, options.minutes, options.only)
    sys.exit(not well)


def show(seed: Seed, minutes: float, only: str) -> bool:
    """Play what is wanted, print a line as soon as it is known; whether there was no alarm."""
    well = True
    for name in wanted(only.split(","), PLAYS):
        played = minutes * LONGER.get(name, 1.0)
        told = changes(seed, PLAYS[name], played * 60.0)
        well = well and not told
        holds = verdict(holds=not told)
        print(f"{name}, {played:g} min: {len(told)} false alarms: {holds}", flush=True)
        for line in told:
            print(f"  {line}", flush=True)
    return well


if __name__ == "__main__":
    main()
