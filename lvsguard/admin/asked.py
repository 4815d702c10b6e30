"""GET /v1/why: finds what a question is about, reads its history, and has it explained."""

from __future__ import annotations

import time

import msgspec

from lvsguard.admin import why
from lvsguard.admin.call import Answer, Call, Refusal, refuse
from lvsguard.admin.operations import Operations
from lvsguard.admin.protocol import Failure
from lvsguard.admin.target import KNOWN_MAX, describe, means, parse_endpoint
from lvsguard.admin.why import Found
from lvsguard.admin.why_reply import WhyRequest
from lvsguard.core.model import IPAddress, ServiceKey
from lvsguard.core.override import Override
from lvsguard.core.snapshot import RealserverStatus, ServiceStatus, View
from lvsguard.serving import Slices

HISTORY_DAYS = 30.0
HISTORY = 200
"""Entries that are read for one answer."""
ANSWERS = 50
"""Realservers in one answer; one that is in more services is explained in so many."""

_Endpoint = tuple[IPAddress, int | None] | None


class Asked:
    """The why resource."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def why(self, call: Call) -> Answer:
        """Why something is as it is."""
        try:
            request = msgspec.convert(dict(call.query), WhyRequest)
        except msgspec.ValidationError as error:
            raise refuse(400, "bad-request", f"query: {error}") from None
        view = self._operations.view()
        found, known = await find(request.target, request.service, view)
        now = time.time()
        wanted = why.wanted(request.target, found)
        since = now - HISTORY_DAYS * 86400
        history = await self._operations.history(since, HISTORY, wanted)
        reply = why.explain(request.target, found, history, why.setting(view, now))
        if reply is None:
            raise _unknown(request, known)
        return reply


async def find(target: str, within: str | None, view: View) -> tuple[Found, list[str]]:
    """What the words mean, and what they might have meant."""
    endpoint = parse_endpoint(target)
    slices = Slices()
    realservers: list[tuple[ServiceStatus, RealserverStatus]] = []
    services: list[ServiceStatus] = []
    known: list[str] = []
    for service in view.services():
        if within not in (None, service.name):
            continue
        if within is None:
            known.append(f"service {service.name}")
            if target == service.name or _at(service.key, endpoint):
                services.append(service)
        for realserver in service.realservers:
            if slices.due():
                await slices.rest()
            if means(target, endpoint, realserver):
                realservers.append((service, realserver))
            elif len(known) <= KNOWN_MAX:
                known.append(describe(service.name, realserver))
    vips = [
        vip
        for vip in (view.vips() if within is None else ())
        if target == vip.name
        or (endpoint is not None and any(a.address == endpoint[0] for a in vip.addresses))
    ]
    known[:0] = [f"VIP {vip.name}" for vip in view.vips()]
    found = Found(
        tuple(realservers[:ANSWERS]),
        tuple(services),
        tuple(vips),
        tuple(f for f in view.foreign() if _at(f.key, endpoint)),
        tuple(o for o in view.overrides() if not realservers and _about(o, endpoint)),
    )
    return found, known


def _at(key: ServiceKey, endpoint: _Endpoint) -> bool:
    return endpoint is not None and key.address == endpoint[0] and endpoint[1] in (None, key.port)


def _about(override: Override, endpoint: _Endpoint) -> bool:
    return endpoint is not None and override.target.address == endpoint[0]


def _unknown(request: WhyRequest, known: list[str]) -> Refusal:
    where = f" in service {request.service!r}" if request.service else ""
    error = (
        f"nothing{where} is {request.target!r}, and the history does not know it: give a"
        " realserver, a service or a VIP, by its name from the config or its address"
    )
    shown = known if len(known) <= KNOWN_MAX else [*known[:KNOWN_MAX], "..."]
    return Refusal(404, Failure(code="unknown-target", error=error, known=shown))
