"""/v1/overrides: what is in force, and overrides put in force and ended."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import msgspec

from lvsguard.admin import protocol, status
from lvsguard.admin.call import Answer, Call, Refusal, decode, refuse, say_one_line
from lvsguard.admin.operations import Kept, Operations
from lvsguard.admin.protocol import Failure
from lvsguard.admin.target import Resolution, TargetError, clearable, parse_endpoint, resolve
from lvsguard.core.actor import same_actor
from lvsguard.core.moment import when
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
        if request.mine and (others := self._others(found, request.kind, actor)):
            raise _refused(others[0], now)
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
        return _changed(found, found.targets, kept, replaced=_before(kept))

    async def clear(self, call: Call) -> Answer:
        """End overrides."""
        try:
            request = msgspec.convert(dict(call.query), protocol.ClearOverride)
        except msgspec.ValidationError as error:
            raise refuse(400, "bad-request", f"query: {error}") from None
        say_one_line(reason=request.reason)
        found = await self._clearing(request)
        actor = await call.actor()
        mine = request.mine == "1"
        overrides = self._operations.view().overrides()
        ending: dict[Target, None] = {}
        for target in found.targets:
            within, wider = clearable(target, request.kind, overrides)
            wider = [one for one in wider if not mine or same_actor(one.actor, actor)]
            if wider:
                raise _covered(target, wider[0])
            ending.update(dict.fromkeys(within))
        kept = [
            await self._operations.clear_override(target, request.kind, actor, request.reason)
            for target in ending
            # Looked at again each time: while the disk is waited for somebody may have replaced it.
            if not mine or self._own(target, request.kind, actor)
        ]
        ended = _before(kept)
        left = self._meeting(found, request.kind)
        return _changed(found, [one.target for one in ended], kept, ended=ended, left=left)

    def _own(self, target: Target, kind: OverrideKind, actor: str) -> bool:
        held = self._operations.view().overrides()
        return any(o.key == (target, kind) and same_actor(o.actor, actor) for o in held)

    def _others(self, found: Resolution, kind: OverrideKind, actor: str) -> list[Override]:
        return [o for o in self._meeting(found, kind) if not same_actor(o.actor, actor)]

    def _meeting(self, found: Resolution, kind: OverrideKind) -> list[Override]:
        """Overrides of a kind that hold any of what a target means."""
        return [
            one
            for one in self._operations.view().overrides()
            if one.kind is kind and any(one.target.meets(target) for target in found.targets)
        ]

    async def _clearing(self, request: protocol.ClearOverride) -> Resolution:
        """As ``meant``; an override of something that left the config can be ended too."""
        try:
            return await meant(request.target, request.service, self._operations.view())
        except Refusal:
            endpoint = parse_endpoint(request.target)
            if endpoint is not None:
                target = Target(*endpoint, request.service)
                if clearable(target, request.kind, self._operations.view().overrides())[0]:
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


def _before(kept: Iterable[Kept]) -> list[Override]:
    return [one.before for one in kept if one.before is not None]


def _changed(
    found: Resolution,
    targets: Iterable[Target],
    kept: Sequence[Kept],
    *,
    replaced: Iterable[Override] = (),
    ended: Iterable[Override] = (),
    left: Iterable[Override] = (),
) -> Answer:
    return protocol.ChangeReply(
        targets=[str(target) for target in targets],
        realservers=list(found.realservers),
        durable=all(k.durable for k in kept),
        message=next((k.message for k in kept if not k.durable), ""),
        replaced=[*map(status.override, replaced)],
        ended=[*map(status.override, ended)],
        left=[*map(status.override, left)],
    )


def _covered(target: Target, wider: Override) -> Refusal:
    return refuse(
        409,
        "covered",
        f"{target} is also under the {wider.kind} of {wider.target} by {wider.actor}: "
        f"end that one instead (target {wider.target})",
    )


def _refused(held: Override, now: float) -> Refusal:
    why = f", reason: {held.reason}" if held.reason else ""
    return refuse(
        409,
        "others",
        f"nothing was done, for there is the {held.kind} of {held.target} by {held.actor} since "
        f"{when(held.since, now)}{why}; ask whoever that is, or do it without --mine all the same",
    )
