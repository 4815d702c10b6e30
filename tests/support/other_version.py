"""lvsguard installed on a host of the lab in a folder of its own, and then in another version.

The second version says so, and its processes speak to each other in another way: with any of the
first they understand no message but the hello. It is put over the first while that runs, as a
package manager does.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import lvsguard
from lvsguard.vrrp import message, transfer_message

if TYPE_CHECKING:
    from collections.abc import Mapping

OTHER = "999.0.0"
"""The second version."""


@dataclass(frozen=True, slots=True)
class Installation:
    """The package, in a folder."""

    folder: Path

    @property
    def environment(self) -> Mapping[str, str]:
        """With it a program is of this installation."""
        return {"PYTHONPATH": str(self.folder)}

    def upgrade(self) -> None:
        """Put the second version in the place of the first."""
        package = self.folder / "lvsguard"
        _replace(package / "__init__.py", f'"{lvsguard.__version__}"', f'"{OTHER}"')
        for name, version in (
            ("message.py", message.VERSION),
            ("transfer_message.py", transfer_message.VERSION),
        ):
            file = package / "vrrp" / name
            _replace(file, f"VERSION: Final = {version}\n", f"VERSION: Final = {version + 1}\n")
            before, hello, rest = file.read_text().partition("class Hello(")
            own, following, rest = rest.partition("\nclass ")
            file.write_text(_renamed(before) + hello + own + following + _renamed(rest))


def _renamed(text: str) -> str:
    """The same messages under other names."""
    return text.replace("tag=True", 'tag=lambda name: f"{name}-of-another-version"')


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1, f"{file}: {old}"
    file.write_text(text.replace(old, new))


def install(folder: Path) -> Installation:
    """Put the version under test into a folder."""
    shutil.copytree(Path(lvsguard.__file__).parent, folder / "lvsguard")
    return Installation(folder)
