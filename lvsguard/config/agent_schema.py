"""The agent table of the file: whom to ask for a realserver's own opinion of itself."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Discriminator, Field, Tag

from lvsguard.config.address import HOST, HTTP_PATH
from lvsguard.config.leaf import FLAG, choice, seconds, share, text, whole
from lvsguard.config.table import ONE, TABLE, Table, table_or_one
from lvsguard.core.agent import AgentKind

PORT_MAX: Final = 65535


class AgentTable(Table):
    """What a realserver's own agent says may lower its weight, drain it or call it down."""

    port: Annotated[int, whole(1, PORT_MAX, "a port")] = Field(
        description="Port of the agent.", examples=[9100]
    )
    kind: Annotated[AgentKind, choice("a kind of agent", AgentKind)] = Field(
        AgentKind.TEXT,
        description="How it is asked. text: HAProxy's agent-check, a line such as 75% or drain."
        " http: a GET request, answered by a header RS-Weight or by the first line of the body.",
    )
    interval: Annotated[float, seconds(0.1, 3600)] = Field(
        2.0, description="Time between two questions."
    )
    timeout: Annotated[float, seconds(0.01, 600)] = Field(
        1.0,
        description="Time for a whole answer. At most interval. Silence takes nobody out: what the"
        " agent said last stands.",
    )
    step: Annotated[float, share()] = Field(
        1.0,
        description="Most that one answer changes, as a share of the configured weight; its first"
        " counts whole. drain, maint and down are no steps.",
        examples=[0.25],
    )
    send: Annotated[str, text("a text to send", 4096, empty=True)] = Field(
        "", description="text: what to send once connected, as UTF-8.", examples=["web\n"]
    )
    path: Annotated[str, HTTP_PATH] = Field("/", description="http: path, with any query.")
    host: Annotated[str | None, HOST] = Field(
        None, description="http: Host header. Default: the realserver's address."
    )


AgentKey = (
    Annotated[
        Annotated[bool, FLAG, Tag(ONE)] | Annotated[AgentTable, Tag(TABLE)],
        Discriminator(table_or_one),
    ]
    | None
)
"""A table, or false for a realserver whose service has one."""
