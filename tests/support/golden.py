"""Golden files: outputs that users or other programs rely on, kept under tests/golden.

A change of one is a change of a contract, so it is made by hand (`pytest --update-golden`) and
seen in review.

In the lab nothing that a test writes stays but what is under the folder of `--out`: there they are
left in `golden`, and `tests/lab/run` brings them here at its end (`machine.take_goldens`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


@dataclass(frozen=True, slots=True)
class Golden:
    """Compares what a test produced with the file that is kept."""

    update: bool
    folder: Path = GOLDEN

    def check(self, path: str, actual: str | bytes) -> None:
        """Assert that `actual` equals the golden file at `path`, relative to tests/golden."""
        file = self.folder / path
        if self.update:
            kept = self._kept() / path
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(actual.encode() if isinstance(actual, str) else actual)
            return
        assert file.exists(), f"{file} is not there: run pytest --update-golden, then read it"
        if isinstance(actual, str):
            assert actual == file.read_text()
        else:
            assert actual.hex(" ") == file.read_bytes().hex(" ")

    def has(self, path: str, actual: str) -> bool:
        """Whether that is what is kept; never so while files are written anew."""
        file = self.folder / path
        return not self.update and file.exists() and file.read_text() == actual

    def _kept(self) -> Path:
        """The folder that new files are written to."""
        if "LVSGUARD_LAB" not in os.environ or self.folder != GOLDEN:
            return self.folder
        out = os.environ.get("LVSGUARD_ARTIFACTS")
        assert out, "what is written in the lab does not stay: give tests/lab/run --out .lab, too"
        return Path(out, "golden")
