"""/v1/overrides: what is in force, and overrides put in force and ended."""

from __future__ import annotations

import time

import msgspec

from lvsguard.admin import protocol, status
from lvsguard.admin.call import Answer, Call, Refusal, decode, refuse, say_one_line
from lvsguard.admin.operations import Kept, Operations
from lvsguard.admin.protocol import Failure
from lvsguard.admin.target import Resolution, TargetError, clearable, parse_endpoint, resolve
from lvsguard.core.override import Override, OverrideKind, Target, Weight
from lvsguard.core.snapshot import View


class Overrides:
    """The overrides resource."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def in_force(self, call: Call) -> Answer:
        """Overrides in force."""
        held = self._operations.view().overrides()
        return protocol.OverridesReply(overrides=[status.override(o) for o in held])

    async def put(self, call: Call) -> Answer:
        """Put an override in force."""
        request = decode(await call.body(protocol.BODY_BYTES), protocol.SetOverride)
        weight = _weight(request)
        say_one_line(reason=request.reason, ticket=request.ticket)
        found = await meant(request.target, request.service, self._operations.view())
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

    async def clear(self, call: Call) -> Answer:
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

    async def _clearing(
        self, request: protocol.ClearOverride, overrides: tuple[Override, ...]
    ) -> Resolution:
        """As ``meant``; an override of something that left the config can be ended too."""
        try:
            return await meant(request.target, request.service, self._operations.view())
        except Refusal:
            endpoint = parse_endpoint(request.target)
            if endpoint is not None:
                target = Target(*endpoint, request.service)
                if clearable(target, request.kind, overrides)[0]:
                    return Resolution((target,), ())
            raise


async def meant(target: str, service: str | None, view: View) -> Resolution:
    """What a request's target means. Raises Refusal."""
    try:
        return await resolve(target, service, view)
    except TargetError as error:
        failure = Failure(code=error.code, error=str(error), known=list(error.known))
        raise Refusal(404, failure) from None


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
