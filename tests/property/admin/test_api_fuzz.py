"""The admin API attacked from its own description, over its real socket.

Requests are made from the OpenAPI document, such that fit it and such that do not; every answer
must be one that the document has, and none a mistake of the daemon's.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation

from lvsguard.admin import openapi
from lvsguard.admin.server import AdminServer
from tests.support.published import Desk
from tests.support.unix_requests import unix_session

pytestmark = pytest.mark.slow

SCHEMA = schemathesis.openapi.from_dict(json.loads(openapi.document()))
OPERATIONS = [one.ok() for one in SCHEMA.get_all_operations() if isinstance(one, Ok)]
PLAYS = [
    pytest.param(one, mode, id=f"{one.label}-{mode}")
    for one in OPERATIONS
    for mode in GenerationMode
    if mode.is_positive or one.body or list(one.iter_parameters())
]
"""A request without a parameter and a body cannot be a wrong one."""
EXAMPLES = 30
"""Of each resource, in each way of making them."""
WANTED: list[Any] = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
        "unsupported_method",
    ]
)


@pytest.fixture(scope="module")
def address() -> Iterator[Path]:
    """An admin server that runs in a thread of its own."""
    folder = Path(tempfile.mkdtemp(prefix="lvsguard-"))
    path = folder / "admin.sock"
    ready, loop, over = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        server = AdminServer(Desk(), path, "root")
        await server.open()
        ready.set()
        await over.wait()
        await server.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    yield path
    loop.call_soon_threadsafe(over.set)
    thread.join()
    loop.close()
    shutil.rmtree(folder)


def test_the_document_is_valid_openapi() -> None:
    SCHEMA.validate()


@pytest.mark.parametrize(("operation", "mode"), PLAYS)
def test_every_answer_is_one_that_the_document_has(
    operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode, address: Path
) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def answered(case: schemathesis.Case[Any]) -> None:
        if case.path == "/v1/events" and str(case.query.get("follow")) == "1":
            case.query["follow"] = "0"  # an answer without an end proves nothing more
        case.call_and_validate(
            base_url="http://lvsguard", session=unix_session(address), checks=WANTED, timeout=10
        )

    answered()
