"""What `lvsguard status` prints of a director on the stage, by the admin API's own document."""

from __future__ import annotations

import time

import msgspec

from lvsguard.admin.status import health, status_json
from lvsguard.admin.status_reply import Status
from lvsguard.cli.render import plain
from lvsguard.serving import Slices
from tests.support.page_stage import Stage


def status(stage: Stage) -> list[str]:
    """Its lines, as where no terminal is."""

    async def document() -> bytes:
        return b"".join([piece async for piece in status_json(stage.view, Slices())])

    told = msgspec.json.decode(stage.wait(document()), type=Status)
    return list(plain(told, stage.do(lambda: health(stage.view)), time.time()))
