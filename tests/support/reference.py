"""Writes the reference pages that are made from code: ``python -m tests.support.reference``."""

from __future__ import annotations

from pathlib import Path

from lvsguard.admin import openapi
from lvsguard.cli import reference
from lvsguard.cli.main import build_parser
from lvsguard.core import event_kinds
from lvsguard.telemetry.reference import page as metrics_page

DOCS = Path(__file__).resolve().parents[2] / "docs" / "reference"


def write() -> None:
    """Write them."""
    DOCS.mkdir(parents=True, exist_ok=True)
    (DOCS / "commands.md").write_text(reference.page(build_parser()))
    (DOCS / "metrics.md").write_text(metrics_page())
    (DOCS / "events.md").write_text(event_kinds.reference())
    (DOCS / "admin-api.md").write_text(openapi.page())
    (DOCS / "admin-api.openapi.json").write_bytes(openapi.document())


if __name__ == "__main__":
    write()
