"""Golden files: outputs that users or other programs rely on, kept under tests/golden.

A change of one is a change of a contract, so it is made by hand (`pytest --update-golden`) and
seen in review.
"""

from __future__ import annotations

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
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(actual.encode() if isinstance(actual, str) else actual)
            return
        assert file.exists(), f"{file} is not there: run pytest --update-golden, then read it"
        if isinstance(actual, str):
            assert actual == file.read_text()
        else:
            assert actual.hex(" ") == file.read_bytes().hex(" ")
