"""What a client sees when a director fails: lvsguard and keepalived in the same run.

    tests/lab/run python -m tests.bench.failover [--kills N] [--only WORD] [--rounds N]

Both are real and on both directors of the seed network, one after the other, play by play; a new
connection every 20 ms. It prints a table with both and the bound, then the distribution over N
deaths of a director. A play that did not happen is an error; a bound that does not hold is told in
the last column, and ends it with 1 where it is lvsguard's.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path

from tests.bench import failover_plays as plays
from tests.bench.bounds import quantiles, verdict, wanted
from tests.bench.failover_kills import Kills, kills
from tests.bench.failover_stage import Stage, stages
from tests.bench.failover_systems import Keepalived, Lvsguard, System, master_down_s
from tests.support.stillness import stillness
from tests.support.topology import seed_network

MARGIN_S = 0.1
SHORT_S = 0.1
"""The shorter advert interval, s."""
REST_S = 0.01
"""The advert interval of the rest, s."""
HELD = "lvsguard"
"""The system that is held to what is promised."""
NONE = "-"
"""As what is wanted: no row."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What one system did, and whether that is within the bound."""

    text: str
    well: bool
    excuse: str = ""
    """Why that cannot be told here."""


@dataclass(frozen=True, slots=True)
class Row:
    """One play."""

    event: str
    bound: str
    play: Callable[[Stage, int], Cell]


def dies(interval: float, bound_s: float) -> Callable[[Stage, int], Cell]:
    def play(stage: Stage, rounds: int) -> Cell:
        seen = [plays.dies(stage, interval) for _ in range(rounds)]
        worst = max(one.seconds for one in seen)
        median = statistics.median(one.seconds for one in seen)
        failed = max(one.failed for one in seen)
        text = f"{median:.2f} s, at worst {worst:.2f} s and {failed} failed"
        return Cell(text, worst <= bound_s)

    return play


def stops(stage: Stage, rounds: int) -> Cell:
    seen = [plays.stops(stage) for _ in range(rounds)]
    failed, asked = sum(one.failed for one in seen), sum(one.requests for one in seen)
    worst = max(one.seconds for one in seen)
    return Cell(f"{failed} of {asked} failed, at worst {worst:.2f} s", failed == 0)


def connections(
    play_one: Callable[..., plays.Kept], bound_s: float
) -> Callable[[Stage, int], Cell]:
    def play(stage: Stage, rounds: int) -> Cell:
        choices = [False, True] if isinstance(stage.system, Keepalived) else [True]
        seen = {sync: [play_one(stage, sync=sync) for _ in range(rounds)] for sync in choices}
        texts = [_kept_text(seen[sync]) for sync in choices]
        texts[1:] = [f"with its sync daemon {text}" for text in texts[1:]]
        return Cell("; ".join(texts), _kept_well(seen[choices[-1]], bound_s))

    return play


def returns(count: int, every_s: float) -> Callable[[Stage, int], Cell]:
    def play(stage: Stage, rounds: int) -> Cell:
        seen = [plays.returns(stage, count, every_s) for _ in range(rounds)]
        return Cell(_kept_text(seen), _kept_well(seen, float("inf")))

    return play


def _kept_text(seen: list[plays.Kept]) -> str:
    count = seen[0].count
    stalls = [one.stall_s for one in seen if one.kept]
    stall = f", stall {max(stalls):.2f} s" if stalls else ""
    return f"{'/'.join(str(one.kept) for one in seen)} of {count}{stall}"


def _kept_well(seen: list[plays.Kept], bound_s: float) -> bool:
    return all(one.kept == one.count and one.stall_s <= bound_s for one in seen)


def rests(stage: Stage, rounds: int) -> Cell:
    return rested([plays.rests(stage, REST_S) for _ in range(rounds)])


def rested(seen: list[plays.Rest]) -> Cell:
    """Where an idle timer misses as much as a backup bears, the guest moved the VIP."""
    changes = "/".join(str(one.changes) for one in seen)
    noise_ms = max(one.noise_ms for one in seen)
    text = f"{changes} changes (an idle timer late by {noise_ms:.0f} ms)"
    moved = [one for one in seen if one.changes]
    guest = all(one.noise_ms / 1e3 >= master_down_s(REST_S) - REST_S for one in moved)
    return Cell(text, not moved, "the guest itself is late" if moved and guest else "")


DOWN_S, SHORT_DOWN_S = master_down_s(1), master_down_s(SHORT_S)
ROWS = (
    Row("director dies, 1 s adverts", f"{DOWN_S + MARGIN_S:.2f} s", dies(1, DOWN_S + MARGIN_S)),
    Row("director dies, 100 ms adverts", "0.35 s", dies(SHORT_S, 0.35)),
    Row("planned stop, 1 s adverts", "0 failed", stops),
    Row(
        "50 connections, planned stop",
        "50, stall 0.3 s",
        connections(plays.connections_stop, 0.3),
    ),
    Row(
        "50 connections, crash, 1 s adverts",
        f"50, stall {DOWN_S + MARGIN_S:.2f} s",
        connections(plays.connections_die, DOWN_S + MARGIN_S),
    ),
    Row("returns, 50 unseen, a ping each 0.1 s", "50", returns(50, 0.1)),
    Row("returns, 50 unseen, a ping each 2 s", "50", returns(50, 2)),
    Row("returns, 200 unseen, a ping each 0.1 s", "200", returns(200, 0.1)),
    Row("returns, 200 unseen, a ping each 2 s", "200", returns(200, 2)),
    Row("10 ms adverts, 30 s of nothing", "0 changes", rests),
)


def show_table(everywhere: list[Stage], only: str, rounds: int) -> bool:
    """Play every row that is wanted, and print it as soon as it is known; whether lvsguard kept
    what is promised."""
    names = [stage.system.name for stage in everywhere]
    chosen = wanted([only], [row.event for row in ROWS]) if only != NONE else []
    print(f"| event | {' | '.join(names)} | {HELD} must | holds |")
    print(f"|---|{'---|' * len(names)}---|---|")
    well = True
    for row in ROWS:
        if row.event in chosen:
            cells = {stage.system.name: row.play(stage, rounds) for stage in everywhere}
            texts = " | ".join(cell.text for cell in cells.values())
            holds, told = judged(cells)
            well = well and holds
            print(f"| {row.event} | {texts} | {row.bound} | {told} |", flush=True)
    return well


def judged(cells: Mapping[str, Cell]) -> tuple[bool, str]:
    """Whether nothing speaks against lvsguard, and the last column."""
    cell = cells.get(HELD)
    if cell is None or cell.excuse:
        return True, cell.excuse if cell else ""
    return cell.well, verdict(holds=cell.well)


def kills_well(seen: Kills) -> bool:
    """Whether the VIP was missing and doubled no longer than is promised."""
    return (
        max(seen.missing) <= _missing_most(seen)
        and seen.missing_else <= seen.missing_else_still
        and seen.doubled <= seen.interval + seen.doubled_still
    )


def _missing_most(seen: Kills) -> float:
    return master_down_s(seen.interval) + MARGIN_S


def show_kills(seen: Kills) -> str:
    """One line of the second table."""
    outages, missing = (
        " / ".join(f"{value:.3f}" for value in quantiles(values))
        for values in (seen.outages, seen.missing)
    )
    return (
        f"{seen.interval:g} s | {len(seen.outages)} | {outages} | {missing}"
        f" | {_missing_most(seen):.2f} s"
        f" | {seen.missing_else:.3f} s ({seen.missing_else_still:.3f} s)"
        f" | {seen.doubled:.3f} s ({seen.doubled_still:.3f} s) | {seen.failed_at_returns}"
        f" | {verdict(holds=kills_well(seen))} | {seen.late_s:.3f} s | {seen.still:.3f} s"
    )


def main() -> None:
    """Play all, print what came out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20, help="deaths at each interval")
    parser.add_argument("--minutes", type=float, default=inf, help="longest, for deaths in a row")
    parser.add_argument("--rounds", type=int, default=3, help="times that each row is played")
    parser.add_argument(
        "--only", default="", help=f"rows whose event has this in it; {NONE} for none"
    )
    parser.add_argument("--intervals", default=f"1,{SHORT_S:g}", help="of the kills, s")
    parser.add_argument("--systems", default="keepalived,lvsguard")
    options = parser.parse_args()
    kinds: dict[str, Callable[[], System]] = {"keepalived": Keepalived, "lvsguard": Lvsguard}
    systems = [kinds[name]() for name in options.systems.split(",")]
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        logs = Path(os.environ.get("LVSGUARD_ARTIFACTS", folder), "failover")
        shutil.rmtree(logs, ignore_errors=True)
        logs.mkdir(parents=True)
        with seed_network(logs) as network:
            everywhere = stages(network, systems)
            well = show_table(everywhere, options.only, options.rounds)
            if options.kills:
                well = _kill(everywhere, options, logs) and well
    print(f"\ntook {time.monotonic() - begun:.0f} s")
    sys.exit(not well)


def _kill(everywhere: list[Stage], options: argparse.Namespace, logs: Path) -> bool:
    """The second table; whether lvsguard kept what is promised."""
    well = True
    print(
        "\n| | adverts | deaths | outage p50 / p99 / max, s | VIP missing p50 / p99 / max, s | must"
        " | else missing (guest still) | on two (guest still) | failed at returns | holds"
        " | client late | guest still |"
    )
    print(f"|{'---|' * 12}")
    with stillness(logs) as still:
        for interval in map(float, options.intervals.split(",")):
            for stage in everywhere:
                seen = kills(stage, still, interval, options.kills, options.minutes * 60)
                well = well and (stage.system.name != HELD or kills_well(seen))
                print(f"| {stage.system.name} | {show_kills(seen)} |", flush=True)
                file = logs / f"kills.{stage.system.name}.{interval:g}.json"
                file.write_text(json.dumps(asdict(seen)))
    return well


if __name__ == "__main__":
    main()
