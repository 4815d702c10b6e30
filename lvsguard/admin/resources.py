"""What the admin API offers, as facts: each resource with its words, its role and its refusals.

``api`` does what is said here, ``openapi`` writes it down, a remote caller's role is held against
it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from lvsguard.admin import protocol, status_reply
from lvsguard.admin.failover import FailoverReply, FailoverRequest
from lvsguard.admin.realservers import RealserversReply, RealserversRequest
from lvsguard.admin.why_reply import WhyReply, WhyRequest
from lvsguard.core.remote import CallerRole


class Form(StrEnum):
    """How a reply comes."""

    JSON = "application/json"
    LINES = "application/x-ndjson"
    """One JSON document a line, for as long as there are any."""


@dataclass(frozen=True, slots=True)
class Described:
    """One resource: a method on a path."""

    method: str
    path: str
    name: str
    """Its operationId."""
    what: str
    """One sentence."""
    role: CallerRole
    """That it takes."""
    reply: type[msgspec.Struct]
    body: type[msgspec.Struct] | None = None
    query: type[msgspec.Struct] | None = None
    form: Form = Form.JSON
    refusals: tuple[str, ...] = ()
    """Codes beside those that every resource may answer."""


STATUSES: Final[Mapping[str, tuple[int, str]]] = {
    "bad-request": (400, "the request is not as this page says; the text tells what is wrong"),
    "forbidden": (403, "the caller's role does not cover it; the text tells which role does"),
    "not-found": (404, "no such path in this version"),
    "unknown-target": (404, "no realserver is meant by the target; `known` lists what there is"),
    "unknown-service": (404, "no service has that name; `known` lists them"),
    "unknown-vip": (404, "no VIP group has that name; `known` lists them"),
    "ambiguous": (404, "the name stands for several addresses; `known` lists them"),
    "bad-method": (405, "the path has other methods; the text names them"),
    "too-slow": (408, "the body did not come in time"),
    "covered": (409, "a wider override is in force; the text names it"),
    "others": (409, "with `mine`: somebody else's override is in force there; the text names it"),
    "below-quorum": (409, "the service would lose its quorum; `force` does it all the same"),
    "nobody-serves": (409, "no realserver of the service is left that serves and could be taken"),
    "not-master": (409, "a failover is asked of a director that is not master"),
    "no-election": (409, "a failover is asked for VIPs without an election"),
    "unfit": (409, "the director that would take over is not fit for it; `problems` say why"),
    "too-large": (413, "the body is longer than is read"),
    "bad-config": (422, "the configuration has problems; `problems` has a line for each"),
    "failed": (500, "it went wrong; the text tells what and what to do"),
    "busy": (503, "too many event streams (too many connections: the same in plain text)"),
}
"""HTTP status and meaning of every ``Failure.code``."""
ALWAYS: Final = ("bad-request", "forbidden", "too-slow", "too-large", "failed", "busy")
"""What any resource may answer."""
_TARGET: Final = ("unknown-target", "unknown-service", "ambiguous")

RESOURCES: Final = (
    Described(
        "GET", "/v1/version", "version", "Who answers.", CallerRole.READ, protocol.VersionReply
    ),
    Described(
        "GET",
        "/v1/status",
        "status",
        "VIPs, services, realservers; what `lvsguard status --json` prints.",
        CallerRole.READ,
        status_reply.Status,
    ),
    Described(
        "GET",
        "/v1/realservers",
        "realservers",
        "Some realservers, for whoever follows them: what `lvsguard drain --wait` asks again and"
        " again. A target, a service, or both are needed; a service alone means all of its own.",
        CallerRole.READ,
        RealserversReply,
        query=RealserversRequest,
        refusals=_TARGET,
    ),
    Described(
        "GET",
        "/v1/health",
        "health",
        "How the controller does, and what is wrong.",
        CallerRole.READ,
        status_reply.HealthReply,
    ),
    Described(
        "GET",
        "/v1/events",
        "events",
        "What happened; with `follow=1` also what happens, until either side hangs up.",
        CallerRole.READ,
        protocol.EventReply,
        query=protocol.EventsQuery,
        form=Form.LINES,
    ),
    Described(
        "GET",
        "/v1/why",
        "why",
        "Why a realserver, a service or a VIP is as it is, and what would change it.",
        CallerRole.READ,
        WhyReply,
        query=WhyRequest,
        refusals=_TARGET,
    ),
    Described(
        "GET",
        "/v1/overrides",
        "overrides",
        "Overrides in force.",
        CallerRole.READ,
        protocol.OverridesReply,
    ),
    Described(
        "POST",
        "/v1/overrides",
        "setOverride",
        "Drain, disable, or give another weight. It replaces an override of the same target and"
        " kind, whoever has set that: `replaced` tells it, and `mine` refuses it.",
        CallerRole.OPERATE,
        protocol.ChangeReply,
        body=protocol.SetOverride,
        refusals=(*_TARGET, "others"),
    ),
    Described(
        "DELETE",
        "/v1/overrides",
        "clearOverride",
        "End every override of a kind within the target, with `mine=1` only the caller's own. One"
        " that is wider than the target is left, and told (409; that of others with `mine=1`:"
        " `left`). Nothing to end is no error: `targets` is then empty.",
        CallerRole.OPERATE,
        protocol.ChangeReply,
        query=protocol.ClearOverride,
        refusals=(*_TARGET, "covered"),
    ),
    Described(
        "POST",
        "/v1/share",
        "drainShare",
        "Drain a share of a service. Chosen and put in force as one, so that two who ask at once do"
        " not go below the quorum together, neither here nor on another director that is heard.",
        CallerRole.OPERATE,
        protocol.ShareReply,
        body=protocol.DrainShare,
        refusals=("unknown-service", "below-quorum", "nobody-serves"),
    ),
    Described(
        "POST",
        "/v1/reload",
        "reload",
        "Read the configuration file again: take it over, or refuse it whole.",
        CallerRole.OPERATE,
        protocol.ReloadReply,
        refusals=("bad-config",),
    ),
    Described(
        "POST",
        "/v1/plan",
        "plan",
        "What a configuration would change. Changes nothing.",
        CallerRole.READ,
        protocol.PlanReply,
        body=protocol.PlanRequest,
        refusals=("bad-config",),
    ),
    Described(
        "POST",
        "/v1/failover",
        "failover",
        "Hand VIPs over to another director, or preempt again; answered when it is known what"
        " came of it, within a minute. VIP groups of one sync group go together. Asking interrupts"
        " nothing: the addresses stay until a successor is heard, and without one this director"
        " goes on as master.",
        CallerRole.OPERATE,
        FailoverReply,
        body=FailoverRequest,
        refusals=("unknown-vip", "not-master", "no-election", "unfit"),
    ),
)
DESCRIPTION: Final = ("GET", "/v1/openapi.json")
"""This description itself, as an OpenAPI document; for every caller."""
ROLES: Final[Mapping[tuple[str, str], CallerRole]] = {
    (one.method, one.path): one.role for one in RESOURCES
} | {DESCRIPTION: CallerRole.READ}
"""The role that each resource takes."""
