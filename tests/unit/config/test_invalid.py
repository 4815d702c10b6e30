"""Each file of tests/golden/config is one mistake (or some); its .err is the exact text."""

from __future__ import annotations

from pathlib import Path

import pytest

from lvsguard.config.load import loads
from lvsguard.config.problem import ConfigError
from tests.support.golden import Golden
from tests.unit.config.samples import HOST, INVALID

FILES = sorted(INVALID.glob("invalid-*.toml"))


def test_there_are_invalid_files() -> None:
    assert len(FILES) >= 60


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem.removeprefix("invalid-"))
def test_invalid_file_is_refused_with_every_problem(file: Path, golden: Golden) -> None:
    with pytest.raises(ConfigError) as caught:
        loads(file.read_bytes(), file=file.name, director="director1", interfaces=HOST)
    golden.check(f"config/{file.stem}.err", f"{caught.value}\n")
