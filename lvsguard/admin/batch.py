"""POST /v1/share: the daemon drains a share of a service, and chooses who."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from ipaddress import ip_address

from lvsguard.admin.call import Answer, Call, decode, refuse, say_one_line
from lvsguard.admin.look import look
from lvsguard.admin.operations import Operations
from lvsguard.admin.protocol import BODY_BYTES, Affected, DrainShare, ShareReply
from lvsguard.admin.share import ShareRefused, share
from lvsguard.admin.status_reply import RealserverReply
from lvsguard.core.override import Admin, Override, OverrideKind, Target


class Batches:
    """The share resource."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._one = asyncio.Lock()

    async def drain(self, call: Call) -> Answer:
        """Drain a share of a service."""
        request = decode(await call.body(BODY_BYTES), DrainShare)
        say_one_line(reason=request.reason, ticket=request.ticket)
        actor = await call.actor()
        # Who asks second must find what the first one has taken, or both together take too many.
        async with self._one, self._operations.turn() as unasked:
            return await self._drain(request, actor, unasked)

    async def _drain(self, request: DrainShare, actor: str, unasked: Sequence[str]) -> ShareReply:
        name = request.service
        answer = await look(self._operations.view(), None, name)
        if not answer.services:
            raise refuse(404, "unknown-service", f"no service is named {name!r}")
        (service,) = answer.services
        try:
            chosen = share(service, request.percent, force=request.force)
        except ShareRefused as error:
            raise refuse(409, error.code, str(error)) from None
        now = time.time()
        expires = None if request.expires_in is None else now + request.expires_in
        drains = [
            Override(
                Target(ip_address(one.address), one.port or None, name),
                OverrideKind.DRAIN,
                actor,
                now,
                request.reason,
                None,
                expires,
                request.ticket,
            )
            for one in chosen
        ]
        # Side by side: all are in force at once, and a slow disk is waited for once.
        kept = await asyncio.gather(*map(self._operations.set_override, drains))
        return ShareReply(
            targets=[str(drain.target) for drain in drains],
            realservers=[_affected(name, one) for one in chosen],
            durable=all(k.durable for k in kept),
            message=next((k.message for k in kept if not k.durable), ""),
            already=[
                _affected(name, one) for one in service.realservers if one.admin is not Admin.READY
            ],
            unasked=list(unasked),
        )


def _affected(service: str, one: RealserverReply) -> Affected:
    return Affected(service=service, name=one.name, address=one.address, port=one.port)
