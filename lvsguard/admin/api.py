"""The resources of the admin API: what each request means to the daemon's operations.

Knows HTTP only as far as ``server`` hands it over: a call goes in, a reply or a stream comes out.
"""

from __future__ import annotations

import asyncio
import os
import time
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
    say_one_line,
)
from lvsguard.admin.failover import FailoverRefused, FailoverReply, FailoverRequest
from lvsguard.admin.history import History
from lvsguard.admin.look import look
from lvsguard.admin.operations import ConfigRefused, Kept, Operations
from lvsguard.admin.protocol import Failure
from lvsguard.admin.realservers import RealserversRequest
from lvsguard.admin.resources import DESCRIPTION
from lvsguard.admin.steps import tell
from lvsguard.admin.target import Resolution, TargetError, clearable, parse_endpoint, resolve
from lvsguard.core.model import RealserverKey, ServiceKey
from lvsguard.core.override import Override, OverrideKind, Target, Weight
from lvsguard.core.snapshot import View
from lvsguard.core.step import AddRealserver, DeleteRealserver, EditRealserver, Step
from lvsguard.serving import Slices


class Api:
    """Version 1 of the API over the daemon's operations."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._history = History(operations)
        self.routes: Mapping[tuple[str, str], Resource] = {
            ("GET", "/v1/version"): self.version,
            ("GET", "/v1/status"): self.status,
            ("GET", "/v1/realservers"): self.realservers,
            ("GET", "/v1/health"): self.health,
            ("GET", "/v1/events"): self._history.events,
            ("GET", "/v1/why"): Asked(operations).why,
            ("GET", "/v1/overrides"): self.overrides,
            ("POST", "/v1/overrides"): self.set_override,
            ("DELETE", "/v1/overrides"): self.clear_override,
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
            found = await self._resolve(request.target, service)
        answer = await look(self._operations.view(), found, service)
        if not answer.services:
            raise refuse(404, "unknown-service", f"no service is named {service!r}")
        return answer

    async def health(self, call: Call) -> Answer:
        """How the controller does."""
        return status.health(self._operations.view())

    async def overrides(self, call: Call) -> Answer:
        """Overrides in force."""
        held = self._operations.view().overrides()
        return protocol.OverridesReply(overrides=[status.override(o) for o in held])

    async def set_override(self, call: Call) -> Answer:
        """Put an override in force."""
        request = decode(await call.body(protocol.BODY_BYTES), protocol.SetOverride)
        weight = _weight(request)
        say_one_line(reason=request.reason, ticket=request.ticket)
        found = await self._resolve(request.target, request.service)
        now = time.time()
        actor = await call.actor()
        kept = [
            await self._operations.set_override(
                Override(
                    target,
                    request.kind,
                    actor,
                    now,
                    request.reason,
                    weight,
                    None if request.expires_in is None else now + request.expires_in,
                    request.ticket,
                )
            )
            for target in found.targets
        ]
        return _changed(found, found.targets, kept)

    async def clear_override(self, call: Call) -> Answer:
        """End overrides."""
        try:
            request = msgspec.convert(dict(call.query), protocol.ClearOverride)
        except msgspec.ValidationError as error:
            raise refuse(400, "bad-request", f"query: {error}") from None
        say_one_line(reason=request.reason)
        overrides = self._operations.view().overrides()
        found = await self._clearing(request, overrides)
        ended: dict[Target, None] = {}
        for target in found.targets:
            within, wider = clearable(target, request.kind, overrides)
            if wider:
                raise _covered(target, wider[0])
            ended.update(dict.fromkeys(within))
        actor = await call.actor()
        kept = [
            await self._operations.clear_override(target, request.kind, actor, request.reason)
            for target in ended
        ]
        return _changed(found, tuple(ended), kept)

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

    async def _resolve(self, target: str, service: str | None) -> Resolution:
        try:
            return await resolve(target, service, self._operations.view())
        except TargetError as error:
            failure = Failure(code=error.code, error=str(error), known=list(error.known))
            raise Refusal(404, failure) from None

    async def _clearing(
        self, request: protocol.ClearOverride, overrides: tuple[Override, ...]
    ) -> Resolution:
        """As ``_resolve``; an override of something that left the config can be ended too."""
        try:
            return await self._resolve(request.target, request.service)
        except Refusal:
            endpoint = parse_endpoint(request.target)
            if endpoint is not None:
                target = Target(*endpoint, request.service)
                if clearable(target, request.kind, overrides)[0]:
                    return Resolution((target,), ())
            raise


async def _whole(document: bytes) -> AsyncGenerator[bytes, None]:
    yield document


def _weight(request: protocol.SetOverride) -> Weight | None:
    if (request.kind is OverrideKind.WEIGHT) != (request.weight is not None):
        raise refuse(400, "bad-request", "weight: give it with kind weight, and only there")
    if request.weight is None:
        return None
    try:
        return protocol.parse_weight(request.weight)
    except ValueError as error:
        raise refuse(400, "bad-request", str(error)) from None


def _changed(found: Resolution, targets: tuple[Target, ...], kept: list[Kept]) -> Answer:
    return protocol.ChangeReply(
        targets=[str(target) for target in targets],
        realservers=list(found.realservers),
        durable=all(k.durable for k in kept),
        message=next((k.message for k in kept if not k.durable), ""),
    )


def _covered(target: Target, wider: Override) -> Refusal:
    return refuse(
        409,
        "covered",
        f"{target} is also under the {wider.kind} of {wider.target} by {wider.actor}: "
        f"end that one instead (target {wider.target})",
    )


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
