"""The admin API's words: requests and replies of version 1, as JSON over HTTP on a unix socket.

Both sides import this and nothing here acts. Field names and meanings are public: within a
version they are only ever added to. What is told of the director is in ``status_reply``, why in
``why_reply``.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from lvsguard.core.model import WEIGHT_MAX
from lvsguard.core.override import OverrideKind, Weight

VERSION = 1
"""Of the API; it is the first part of every path."""
BODY_BYTES = 64 * 1024
CONFIG_BYTES = 8 * 1024 * 1024
"""Longest body of a plan request, which carries a configuration."""
HISTORY_DEFAULT, HISTORY_MAX = 1000, 10_000
"""Entries of one events reply."""
TARGET_MAX = 255
"""Characters of a name or an address that is asked about."""
EXPIRY_MAX = 366 * 86400.0
"""Longest time an override may be set for, in seconds."""

Name = Annotated[str, Meta(min_length=1, max_length=255)]
Reason = Annotated[str, Meta(max_length=500)]
Ticket = Annotated[str, Meta(max_length=100)]
Seconds = Annotated[float, Meta(gt=0, le=EXPIRY_MAX)]


class Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of the requests: a field that is not known is refused, not ignored. What is not given is
    not sent, for a daemon of an earlier version may not know it."""


class Reply(Struct, frozen=True, kw_only=True):
    """Base of the replies: a client passes over fields that it does not know."""


class SetOverride(Request, frozen=True):
    """POST /v1/overrides: put an override in force."""

    target: Name
    """An address, ``address:port``, ``[v6]:port`` or a realserver's name from the config."""
    kind: OverrideKind
    """``drain``, ``disable`` or ``weight``."""
    service: Name | None = None
    """Name of a service; None: every service that has the target."""
    weight: (
        Annotated[str, Meta(max_length=6, extra_json_schema={"pattern": "^[0-9]{1,5}%?$"})] | None
    ) = None
    """``0`` to ``65535``, or ``0%`` to ``100%`` of the configured weight; with kind weight only."""
    reason: Reason = ""
    """Told in events and status; printable."""
    expires_in: Seconds | None = None
    """Seconds from now; None: until it is cleared."""
    ticket: Ticket = ""
    """Where it is told in full, such as ``OPS-1234``."""
    mine: bool = False
    """Refused ``others`` while somebody else's override of this kind holds any of the target."""


class ClearOverride(Request, frozen=True):
    """DELETE /v1/overrides?target=&kind=&service=&reason=&mine=: end an override."""

    target: Name
    """As SetOverride has it."""
    kind: OverrideKind
    """``drain``, ``disable`` or ``weight``."""
    service: Name | None = None
    """Name of a service; None: overrides in every service."""
    reason: Reason = ""
    """Why, told in events; printable."""
    mine: Literal["0", "1"] = "0"
    """1: only what this actor has set, on whichever director; ``left`` tells the rest."""


class DrainShare(Request, frozen=True):
    """POST /v1/share: drain a part of a service; the daemon chooses who."""

    service: Name
    """Name of a service."""
    percent: Annotated[int, Meta(ge=1, le=100)]
    """Of its realservers, rounded down, at least one. What is drained or disabled already counts;
    then those that serve are taken, the one with the fewest connections first."""
    force: bool = False
    """Even below the service's quorum."""
    reason: Reason = ""
    """As SetOverride has it."""
    expires_in: Seconds | None = None
    """As SetOverride has it."""
    ticket: Ticket = ""
    """As SetOverride has it."""


class EventsQuery(Request, frozen=True):
    """GET /v1/events: which events, as the query has them."""

    since: str = "0"
    """RFC 3339, or seconds since the epoch."""
    limit: Annotated[int, Meta(ge=1, le=HISTORY_MAX)] = HISTORY_DEFAULT
    """How many at most: the newest."""
    follow: Literal[0, 1] = 0
    """1: also what happens from now on."""
    until: str | None = None
    """As ``since``, and not before it; with ``follow`` the answer ends then."""
    kind: str = ""
    """One kind of event, or several with commas."""
    target: Annotated[str, Meta(max_length=TARGET_MAX)] = ""
    """A name from the config, an address or ``address:port``, also of something that is not
    configured any more."""
    id: Annotated[str, Meta(extra_json_schema={"pattern": "^([0-9a-f]{10})?$"})] = ""
    """A verdict or an override, and what followed from it: ten hex digits, ``trace`` in the event's
    ``data``."""


class PlanRequest(Request, frozen=True):
    """POST /v1/plan: what a configuration would change in the kernel."""

    config: str | None = None
    """TOML text; None: the daemon's own file as it is on disk now."""


class Failure(Reply, frozen=True):
    """Any answer that is not 2xx."""

    code: str
    """Stable, see ``resources.STATUSES``."""
    error: str
    """One sentence and what to do next."""
    problems: list[str] = []
    """Of a configuration: ``file:line: key: message``."""
    known: list[str] = []
    """What exists, when the request named something that does not."""


class VersionReply(Reply, frozen=True):
    """GET /v1/version."""

    api: int
    """Version of this API: 1."""
    version: str
    """Of lvsguard."""
    director: str
    """Its name."""
    pid: int
    """Of the daemon."""


class OverrideReply(Reply, frozen=True):
    """An override that is in force."""

    target: str
    """As people write it: ``10.0.0.42:80 in web``."""
    address: str
    port: int | None
    """None: all of its ports."""
    service: str | None
    """None: in every service."""
    kind: OverrideKind
    weight: str | None
    actor: str
    """Who set it, such as ``alice (uid 1000)``."""
    reason: str
    since: str | None
    expires: str | None
    """None: until it is cleared."""
    ticket: str = ""
    user: str | None = None
    """Of the actor; None: the number has no name, or it was no user."""
    uid: int | None = None


class OverridesReply(Reply, frozen=True):
    """GET /v1/overrides."""

    overrides: list[OverrideReply]


class Affected(Reply, frozen=True):
    """A realserver that a change of overrides concerns."""

    service: str
    name: str
    address: str
    port: int


class ChangeReply(Reply, frozen=True):
    """What became of POST or DELETE /v1/overrides: it is in force."""

    targets: list[str]
    """What the target was understood as. Empty: there was nothing to clear."""
    realservers: list[Affected]
    durable: bool
    """Whether it is on disk too, so that it outlives a restart."""
    message: str
    """Why it is not durable, and what to do."""
    replaced: list[OverrideReply] = []
    """POST: what was in force of the same target and kind, whoever had set it."""
    ended: list[OverrideReply] = []
    """DELETE: what was ended, whoever had set it."""
    left: list[OverrideReply] = []
    """DELETE: what of this kind still holds any of the target: with ``mine`` that of others, and
    what is not within the target, such as all of an address in one service beside one port."""


class ShareReply(ChangeReply, frozen=True, kw_only=True):
    """POST /v1/share: ``targets`` and ``realservers`` are those that it drained, in the same
    order. Empty: so much of the service was out before."""

    already: list[Affected]
    """Realservers of the service that were drained or disabled before."""
    unasked: list[str] = []
    """Other directors, one line each, that may drain a share at the same moment without this one
    being counted, or the other way round: they are not heard, do not answer, or are too old."""


class ReloadReply(Reply, frozen=True):
    """POST /v1/reload, when the configuration was accepted; else Failure ``bad-config``."""

    digest: str
    """Of the configuration that is in force now."""
    steps: int
    """That the kernel needed."""


class StepReply(Reply, frozen=True):
    """One step of a plan."""

    action: str
    """``add``, ``change`` or ``remove``."""
    object: str
    """``service``, ``realserver`` or ``address``."""
    group: str
    """The virtual service or interface that it belongs to, such as ``tcp 10.0.0.8:80``."""
    name: str | None
    """The service's name in the config, where it is known."""
    subject: str
    """What is added, changed or removed."""
    changes: list[str]
    """What it will be, or what changes: ``weight 1 -> 0``."""
    why: str
    command: str
    """The ipvsadm or ip command that it equals."""


class PlanReply(Reply, frozen=True):
    """POST /v1/plan."""

    steps: list[StepReply]
    """In the order in which they would be done."""


class EventReply(Reply, frozen=True):
    """One line of GET /v1/events (application/x-ndjson)."""

    id: int
    """Grows by one with each."""
    time: str
    kind: str
    """What happened; ``lost``: the follower was too slow for some events."""
    level: str
    """``info``, ``warning`` or ``error``."""
    text: str
    """One sentence."""
    data: dict[str, object]
    """The fields of the event, which depend on its kind."""


def rfc3339(seconds: float) -> str:
    """A wall-clock time in UTC with milliseconds: ``2026-11-23T10:00:00.000Z``."""
    stamp = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return stamp.replace("+00:00", "Z")


def moment(seconds: float | None) -> str | None:
    """As ``rfc3339``; None and 0 (never) become None."""
    return rfc3339(seconds) if seconds else None


def parse_weight(text: str) -> Weight:
    """``5`` or ``50%``. Raises ValueError with what is allowed."""
    match = re.fullmatch(r"(\d{1,5})(%?)", text, re.ASCII)
    if match:
        weight = Weight(int(match[1]), bool(match[2]))
        if weight.value <= (100 if weight.percent else WEIGHT_MAX):
            return weight
    raise ValueError(
        f"weight {text!r}: give 0 to {WEIGHT_MAX}, or 0% to 100% of the configured weight"
    )
