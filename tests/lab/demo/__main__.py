"""`python -m tests.lab.demo`, inside the lab: plays every scene, then tells what it did.

Exit status: 0 when everything held, 1 when something did not, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.demo.live import LiveView
from tests.lab.demo.play import Broken, Play
from tests.lab.demo.scenes import SCENES
from tests.lab.demo.show import Show, console_for
from tests.lab.demo.stage import set_up

if TYPE_CHECKING:
    from collections.abc import Iterator

PICTURE = """\
           requests to the VIP                         ╭──▶ rs1 10.0.0.42 ──╮
  client ────── 10.0.0.8 ─────▶ director1 10.0.0.41 ───┤                    │
    ▲                           (lvsguard)             ╰──▶ rs2 10.0.0.43 ──┤
    ╰─────────────── answers, straight to the client ───────────────────────╯"""

DONE = """\
That was the seed network of LVS direct routing on a real Linux kernel with
real IPVS: two realservers with nginx, a director and a client, each a network
namespace. They are gone now, and nothing of this host was changed."""

FOR_REAL = """\
For real, on Debian 12 as root, in a checkout (README.md has it in full):
  on the realservers   make install-realserver
                       lvsguard realserver up --vip 10.0.0.8
  on the director      make install-director
                       lvsguard init && lvsguard check && lvsguard plan
                       systemctl enable --now lvsguard"""


def main() -> int:
    """Play; return the exit status."""
    options = _parser().parse_args()
    show = Show(
        console_for(plain=options.plain),
        float(os.environ.get("LVSGUARD_DEMO_BEGUN", time.time())),
        live=not options.plain,
    )
    with _logs() as logs:
        try:
            play = _perform(show, logs, fast=options.fast)
        except KeyboardInterrupt:
            return 130
        except (Broken, AssertionError) as error:
            show.blank()
            show.bad(str(error))
            show.put(f"What each program logged: {os.path.relpath(logs)}")
            return 1
    _end(show, play)
    return 0


@contextlib.contextmanager
def _logs() -> Iterator[Path]:
    """A folder for what the programs log; it is kept where the lab keeps its artifacts."""
    if kept := os.environ.get("LVSGUARD_ARTIFACTS"):
        yield Path(kept) / "demo"
        return
    with tempfile.TemporaryDirectory() as scratch:
        yield Path(scratch) / "demo"


def _perform(show: Show, logs: Path, *, fast: bool) -> Play:
    with set_up(logs) as stage:
        play = Play(stage, show, fast)
        _title(show)
        with show.view(LiveView(show, stage).draw):
            for scene in SCENES:
                scene(play)
        return play


def _title(show: Show) -> None:
    kernel = os.uname().release
    uml = "User Mode Linux" in Path("/proc/cpuinfo").read_text()
    where = "user-mode Linux" if uml else "this host's"
    show.heading(f"lvsguard, on a kernel with IPVS: {kernel}, {where}")
    show.put(PICTURE)


def _end(show: Show, play: Play) -> None:
    show.heading("What was measured")
    rows = [(number.what, number.figure, number.promised) for number in play.numbers]
    show.table(("", "measured", "promised"), rows)
    show.blank()
    show.put(DONE)
    show.blank()
    show.put(FOR_REAL)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.demo", description=__doc__)
    parser.add_argument("--fast", action="store_true", help="without the pauses for the eye")
    parser.add_argument("--plain", action="store_true", help="no live view, even on a terminal")
    return parser


if __name__ == "__main__":
    sys.exit(main())
