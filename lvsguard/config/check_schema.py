"""The check table of the file: what is asked of a realserver and what must come back."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Discriminator, Field, Tag

from lvsguard.config.address import ADDRESS, FILE, HEADERS, HOST, HTTP_PATH, SERVER_NAME, STATUSES
from lvsguard.config.leaf import FLAG, choice, seconds, text, whole
from lvsguard.config.table import (
    LIST,
    ONE,
    TABLE,
    PerDirector,
    Table,
    list_or_one,
    table_or_one,
)
from lvsguard.core.config import CanaryKind, CheckKind, Via
from lvsguard.core.model import IPAddress

PORT_MAX: Final = 65535


class CanaryTable(Table):
    """An idle connection that tells at once when the server is gone."""

    kind: Annotated[CanaryKind | None, choice("a kind of canary", CanaryKind)] = Field(
        None,
        description="What it says before it falls silent. tcp: nothing. tls (https checks): a"
        " handshake, with the check's certificate settings. http (http and https checks): a HEAD"
        " request of the check's path, then it is kept alive, which takes a process of a server"
        " that has one for each connection. Default: tls for https checks; else tcp, and http once"
        " a death has shown that the server takes no connection before there is data (Apache"
        " does not); tcp to another port.",
        examples=["http"],
    )
    port: Annotated[int | None, whole(1, PORT_MAX, "a port")] = Field(
        None,
        description="Port to hold it to, of the same server. Default: the check's.",
        examples=[8080],
    )


class ArpTable(Table):
    """How often a realserver's host is asked for its MAC address."""

    interval: Annotated[float, seconds(0.05, 10)] = Field(
        0.2, description="Time between two questions."
    )
    tries: Annotated[int, whole(2, 100)] = Field(
        3, description="Intervals without an answer after which the host is silent."
    )


class CheckTable(Table):
    """A test of a realserver. kind says which keys it takes."""

    kind: Annotated[CheckKind, choice("a kind of check", CheckKind)] = Field(
        description="What is asked. http and https: a request and what must come back. tcp: a"
        " connection, and if wanted a dialogue. none: nothing, the realserver counts as up.",
        examples=["http"],
    )
    interval: Annotated[float, seconds(0.01, 3600)] = Field(
        1.0,
        description="Time between two probes while the realserver is up; they are made a 32nd of"
        " it sooner, so that what a probe finds is in the kernel before the interval is over.",
    )
    fast_interval: Annotated[float | None, seconds(0.01, 3600)] = Field(
        None,
        description="Time between two probes while the verdict is in doubt: some results say"
        " otherwise, or there is none yet. Default: 50ms, or interval if that is shorter.",
    )
    down_interval: Annotated[float | None, seconds(0.01, 3600)] = Field(
        None,
        description="Time between two probes while the realserver is down. Default: interval.",
    )
    timeout: Annotated[float, seconds(0.01, 600)] = Field(
        1.0,
        description="Time for a whole probe, from the connection to the last byte."
        " At most interval.",
    )
    rise: Annotated[int, whole(1, 1000)] = Field(
        2, description="Successes in a row that bring a realserver back."
    )
    fall: Annotated[int, whole(1, 1000)] = Field(
        2,
        description="Failures in a row that take a realserver out. A refused connection is"
        " definite and needs no second.",
    )
    port: Annotated[int | None, whole(1, PORT_MAX, "a port")] = Field(
        None, description="Port to ask. Default: the realserver's."
    )
    source: PerDirector[Annotated[IPAddress, ADDRESS]] | None = Field(
        None,
        description="Address of this director to ask from. Default: the director's own"
        " address in the realserver's network. A VIP cannot be one: the realserver holds it too.",
    )
    via: Annotated[Via, choice("a way", Via)] = Field(
        Via.RIP,
        description="rip: ask the realserver on its own address. vip: ask it on the VIP, with"
        " packets as dr or tun sends them, and if that fails on its own address, which tells a VIP"
        " that is not set up there from a server that is down.",
        examples=["vip"],
    )
    canary: (
        Annotated[
            Annotated[bool, FLAG, Tag(ONE)] | Annotated[CanaryTable, Tag(TABLE)],
            Discriminator(table_or_one),
        ]
        | None
    ) = Field(
        None,
        description="Hold an idle connection to the realserver, whose end makes probes at"
        " once. A table says of what kind, and to which port. Default: true, but false where the"
        " service is not TCP.",
    )
    arp: (
        Annotated[
            Annotated[bool, FLAG, Tag(ONE)] | Annotated[ArpTable, Tag(TABLE)],
            Discriminator(table_or_one),
        ]
        | None
    ) = Field(
        None,
        description="Ask the realserver's host for its MAC address, by ARP or neighbour discovery."
        " Silence makes probes at once; with one that cannot connect the host is dead. Off where"
        " the realserver is on no link of this director. One host is asked once for all checks, as"
        " the one of them wants that finds a dead host soonest. Default: true, every 200ms, 3"
        " tries.",
    )
    path: Annotated[str, HTTP_PATH] = Field("/", description="http, https: path, with any query.")
    method: Annotated[
        str, choice("a method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH"])
    ] = Field("GET", description="http, https: method.")
    host: Annotated[str | None, HOST] = Field(
        None,
        description="http, https: Host header, and with https the name that is asked for (SNI)"
        " and verified. Default: the realserver's address.",
    )
    headers: Annotated[tuple[tuple[str, str], ...], HEADERS] = Field(
        (), description="http, https: more headers.", examples=[{"User-Agent": "lvsguard"}]
    )
    body: Annotated[str, text("a request body", 65536, empty=True)] = Field(
        "", description="http, https: body of the request."
    )
    expect_status: Annotated[frozenset[int], STATUSES] = Field(
        frozenset({200}),
        description="http, https: statuses that pass. Redirects are not followed.",
        examples=[[200, "300-399"]],
    )
    expect_body: Annotated[str | None, text("a text", 4096)] = Field(
        None, description="http, https: text that must be in the body of the answer."
    )
    expect_regex: Annotated[str | None, text("a regular expression", 1024)] = Field(
        None,
        description="http, https: regular expression (Python's) that must match somewhere in the"
        " body of the answer.",
    )
    max_body: Annotated[int, whole(1, 1048576, "a number of bytes")] = Field(
        65536, description="http, https: bytes of the body that are read at most."
    )
    verify: Annotated[bool, FLAG] = Field(
        True, description="https: whether the certificate must be valid."
    )
    server_name: Annotated[str | None, SERVER_NAME] = Field(
        None,
        description="https: name that is asked for (SNI) and that the certificate must carry."
        " Default: that of host.",
    )
    ca_file: Annotated[str | None, FILE] = Field(
        None, description="https: PEM file of trusted authorities. Default: the system's."
    )
    send: Annotated[str, text("a text to send", 65536, empty=True)] = Field(
        "", description="tcp: text to send once connected, as UTF-8.", examples=["PING\r\n"]
    )
    expect: Annotated[str, text("a text to expect", 4096, empty=True)] = Field(
        "", description="tcp: text that must be in what comes back.", examples=["+PONG"]
    )


Checks = Annotated[
    Annotated[CheckTable, Tag(ONE)] | Annotated[list[CheckTable], Tag(LIST)],
    Discriminator(list_or_one),
]
"""One check or a list of them."""
