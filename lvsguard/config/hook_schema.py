"""The hook tables: who is told of events."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import Field

from lvsguard.config.address import FILE, label
from lvsguard.config.leaf import Leaf, choice, seconds, show
from lvsguard.config.table import Table
from lvsguard.config.vrrp_schema import COMMAND
from lvsguard.core.event_kinds import by_kind

URL_MAX: Final = 2000


def _url(value: object) -> str:
    how = "write https://HOST/PATH, or http:// within a network that you trust"
    if not isinstance(value, str) or not 0 < len(value) <= URL_MAX:
        raise ValueError(f"{show(value)} is not a URL; {how}")
    try:
        parts = urlsplit(value)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError(f"{show(value)} is not a URL; {how}")
    return value


URL: Final = Leaf(
    _url,
    "an http or https URL",
    {"type": "string", "pattern": "^https?://[!-~]+$", "maxLength": URL_MAX},
)


class HookTable(Table):
    """Somebody to be told of events: a command, or a webhook (url)."""

    name: Annotated[str, label("a hook's name")] = Field(
        description="Name in events and metrics.", examples=["mail"]
    )
    command: Annotated[tuple[str, ...] | None, COMMAND] = Field(
        None,
        description="Command that is run for each event, without a shell and without the daemon's"
        " rights, with the event as JSON on its input. Either command or url is needed.",
        examples=[["/usr/local/bin/on-event", "ops@example.org"]],
    )
    url: Annotated[str | None, URL] = Field(
        None,
        description="Where each event is sent, as JSON, by POST.",
        examples=["https://hooks.example.org/lvsguard"],
    )
    key: Annotated[str | None, FILE] = Field(
        None,
        description="url: file with a secret, 64 to 128 hex digits, that signs what is sent"
        " (HMAC-SHA256, header Lvsguard-Signature). Nobody else may read it.",
    )
    events: list[Annotated[str, choice("a kind of event", sorted(by_kind()))]] = Field(
        [],
        description="Kinds of events that it is told of. Default: all.",
        examples=[["role", "health", "quorum-lost"]],
    )
    services: list[Annotated[str, label("a service's name")]] = Field(
        [],
        description="Only events of these services, their realservers and their VIPs."
        " Default: all.",
    )
    level: Annotated[str, choice("a level", ["info", "warning", "error"])] = Field(
        "info", description="Only events of this level or a higher one."
    )
    timeout: Annotated[float, seconds(0.1, 300)] = Field(
        10.0, description="Time that the command, or one try of the url, may take."
    )
    give_up: Annotated[float, seconds(0, 86400)] = Field(
        600.0,
        description="url: how long after an event it is tried again, after 1s, 2s, 4s and so on up"
        " to 60s. A command is not tried again.",
    )
