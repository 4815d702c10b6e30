"""Writes the dashboards as JSON: python -m grafana.build [--to FOLDER] [--runbooks URL]."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import cast

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana import daemon, election, frame, overview, realserver, service

FOLDER = Path(__file__).resolve().parent / "dashboards"
DASHBOARDS = (overview, service, realserver, election, daemon)


def texts(runbooks: str = frame.RUNBOOKS_URL) -> dict[str, str]:
    """Name and content of each file. ``runbooks``: where docs/runbooks/ is published."""
    found = {}
    for room in DASHBOARDS:
        made = json.loads(JSONEncoder().encode(room.build(runbooks)))
        _say_what_happened(made)
        name = cast(str, made["uid"]).removeprefix("lvsguard-")
        found[f"{name}.json"] = json.dumps(made, indent=2, sort_keys=True) + "\n"
    return found


def _say_what_happened(made: dict[str, dict[str, list[dict[str, object]]]]) -> None:
    """Annotations tell what they are about; the SDK does not know Prometheus' own fields."""
    told = {name: text for name, _, _, text in frame.ANNOTATIONS}
    for annotation in made["annotations"]["list"]:
        annotation["titleFormat"] = told[cast(str, annotation["name"])]
        annotation["step"] = "60s"


def main() -> None:
    """Write them."""
    parser = argparse.ArgumentParser(prog="python -m grafana.build", description=__doc__)
    parser.add_argument("--to", type=Path, default=FOLDER, metavar="FOLDER")
    parser.add_argument("--runbooks", default=frame.RUNBOOKS_URL, metavar="URL")
    wanted = parser.parse_args()
    wanted.to.mkdir(parents=True, exist_ok=True)
    for name, text in texts(wanted.runbooks).items():
        (wanted.to / name).write_text(text)


if __name__ == "__main__":
    main()
