"""`python -m tests.sim`: many worlds, or one again with a trace."""

from __future__ import annotations

import argparse
import sys
import time

from tests.sim.play import Tally, play
from tests.sim.scenario import draw


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--hours", type=float, default=20.0, help="in all, an hour for each seed")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--seed", type=int, help="this one alone")
    parser.add_argument("--trace", action="store_true", help="with --seed: print what happens")
    options = parser.parse_args(arguments)
    begun, total = time.monotonic(), Tally()
    if options.seed is not None:
        seeds = range(options.seed, options.seed + 1)
    else:
        seeds = range(options.first, options.first + max(1, round(options.hours)))
    for done, seed in enumerate(seeds, 1):
        total.add(play(draw(seed), min(options.hours, 1.0), trace=print if options.trace else None))
        if done % 50 == 0:
            print(f"  {total}", flush=True)
    print(f"{total} ({time.monotonic() - begun:.0f} s)")
    for violation in total.violations[:50]:
        print(violation)
    return 1 if total.violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
