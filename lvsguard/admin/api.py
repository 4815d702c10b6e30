"""The resources of the admin API: what each request means to the daemon's operations.

Knows HTTP only as far as ``server`` hands it over: a call goes in, a reply or a stream comes out.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping

import msgspec

from lvsguard.admin import openapi, protocol, status
from lvsguard.admin.asked import Asked
from lvsguard.admin.batch import Batches
from lvsguard.admin.call import (
    Answer,
    Call,
    Refusal,
    Resource,
    Stream,
    decode,
    refuse,
)
from lvsguard.admin.failover import FailoverRefused, FailoverReply, FailoverRequest
from lvsguard.admin.history import History
from lvsguard.admin.look import look
from lvsguard.admin.operations import ConfigRefused, Operations
from lvsguard.admin.overrides import Overrides, meant
from lvsguard.admin.protocol import Failure
from lvsguard.admin.realservers import RealserversRequest
from lvsguard.admin.resources import DESCRIPTION
from lvsguard.admin.steps import tell
from lvsguard.core.model import RealserverKey, ServiceKey
from lvsguard.core.snapshot import View
from lvsguard.core.step import AddRealserver, DeleteRealserver, EditRealserver, Step
from lvsguard.serving import Slices


class Api:
    """Version 1 of the API over the daemon's operations."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._history = History(operations)
        overrides = Overrides(operations)
        self.routes: Mapping[tuple[str, str], Resource] = {
            ("GET", "/v1/version"): self.version,
            ("GET", "/v1/status"): self.status,
            ("GET", "/v1/realservers"): self.realservers,
            ("GET", "/v1/health"): self.health,
            ("GET", "/v1/events"): self._history.events,
            ("GET", "/v1/why"): Asked(operations).why,
            ("GET", "/v1/overrides"): overrides.in_force,
            ("POST", "/v1/overrides"): overrides.put,
            ("DELETE", "/v1/overrides"): overrides.clear,
            ("POST", "/v1/share"): Batches(operations).drain,
            ("POST", "/v1/reload"): self.reload,
            ("POST", "/v1/plan"): self.plan,
            ("POST", "/v1/failover"): self.failover,
            DESCRIPTION: self.description,
        }

    def close(self) -> None:
        """End the event streams."""
        self._history.close()

    async def version(self, call: Call) -> Answer:
        """Who answers."""
        view = self._operations.view()
        return protocol.VersionReply(
            api=protocol.VERSION, version=view.version, director=view.director, pid=os.getpid()
        )

    async def status(self, call: Call) -> Answer:
        """Everything about VIPs, services and realservers."""
        pieces = status.status_json(self._operations.view(), Slices())
        return Stream("application/json", pieces)

    async def realservers(self, call: Call) -> Answer:
        """Some realservers."""
        try:
            request = msgspec.convert(dict(call.query), RealserversRequest)
        except msgspec.ValidationError as error:
            raise refuse(400, "bad-request", f"query: {error}") from None
        service = request.service
        if request.target is None and service is None:
            raise refuse(400, "bad-request", "query: give a target, a service, or both")
        found = None
        if request.target is not None:
            found = await meant(request.target, service, self._operations.view())
        answer = await look(self._operations.view(), found, service)
        if not answer.services:
            raise refuse(404, "unknown-service", f"no service is named {service!r}")
        return answer

    async def health(self, call: Call) -> Answer:
        """How the controller does."""
        return status.health(self._operations.view())

    async def reload(self, call: Call) -> Answer:
        """Take the configuration file over again."""
        outcome = await self._operations.reload(await call.actor())
        if not outcome.accepted:
            raise _bad_config(outcome.problems)
        return protocol.ReloadReply(digest=outcome.digest, steps=outcome.steps)

    async def plan(self, call: Call) -> Answer:
        """What a configuration would change."""
        request = decode(await call.body(protocol.CONFIG_BYTES), protocol.PlanRequest)
        try:
            steps = await self._operations.plan(request.config)
        except ConfigRefused as refused:
            raise _bad_config(refused.problems) from None
        names, reasons = await _context(self._operations.view(), steps)
        return protocol.PlanReply(steps=[tell(step, names, reasons) for step in steps])

    async def failover(self, call: Call) -> Answer:
        """Hand VIPs over to another director, or preempt again; answered when it is over."""
        request = decode(await call.body(protocol.BODY_BYTES), FailoverRequest)
        actor = await call.actor()
        try:
            found = await self._operations.failover(
                request.vip, actor, resume=request.resume, force=request.force
            )
        except FailoverRefused as refused:
            failure = Failure(
                code=refused.code,
                error=str(refused),
                known=list(refused.known),
                problems=list(refused.problems),
            )
            raise Refusal(404 if refused.code == "unknown-vip" else 409, failure) from None
        return FailoverReply(vips=list(found))

    async def description(self, call: Call) -> Answer:
        """The API's own description; made once, beside the loop."""
        return Stream("application/json", _whole(await asyncio.to_thread(openapi.document)))


async def _whole(document: bytes) -> AsyncGenerator[bytes, None]:
    yield document


def _bad_config(problems: tuple[str, ...]) -> Refusal:
    error = "the configuration has problems, nothing was changed: mend them and try again"
    return Refusal(422, Failure(code="bad-config", error=error, problems=list(problems)))


async def _context(
    view: View, steps: tuple[Step, ...]
) -> tuple[dict[ServiceKey, str], dict[tuple[ServiceKey, RealserverKey], str]]:
    """Names of the configured services, and why the weights of the steps' realservers are so."""
    touched = {
        (step.service, step.realserver)
        for step in steps
        if isinstance(step, AddRealserver | EditRealserver | DeleteRealserver)
    }
    names: dict[ServiceKey, str] = {}
    reasons: dict[tuple[ServiceKey, RealserverKey], str] = {}
    slices = Slices()
    for service in view.services():
        names[service.key] = service.name
        for realserver in service.realservers if touched else ():
            if (service.key, realserver.key) in touched:
                reasons[service.key, realserver.key] = realserver.reason
            if slices.due():
                await slices.rest()
    return names, reasons
