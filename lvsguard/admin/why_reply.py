"""The words of ``GET /v1/why``: answers as sentences, with the facts that programs want. Pure."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from lvsguard.admin.protocol import TARGET_MAX, EventReply, Name, Reply, Request


class WhyRequest(Request, frozen=True):
    """GET /v1/why: what is asked about, as the query has it."""

    target: Annotated[str, Meta(min_length=1, max_length=TARGET_MAX)]
    """A realserver (as in SetOverride), a service, or a VIP, by name or address; also one that is
    not configured any more."""
    service: Name | None = None
    """Only in this service; null: in all."""


class WhyAnswer(Reply, frozen=True):
    """About one realserver of a service, one service, or one VIP group."""

    kind: str
    """``realserver``, ``service``, ``vip``, ``gone`` (not configured, but known), ``foreign``."""
    subject: str
    """Such as ``rs1 10.0.0.42:80``."""
    service: str | None
    """Of a realserver: which service this answer is about."""
    state: str
    """One stable word, see the reference of the admin API."""
    serves: bool | None
    """Whether it gets new connections; of a VIP group whether this director holds it; None where
    that is no question."""
    since: str | None
    """When this state began, as far as it is known."""
    sentences: list[str]
    """Why it is as it is."""
    remedies: list[str]
    """What would bring it back, or what to look at; empty: nothing is wrong."""


class WhyReply(Reply, frozen=True):
    """GET /v1/why?target=&service=."""

    target: str
    """As it was asked."""
    director: str
    time: str
    answers: list[WhyAnswer]
    """A name may be that of a service and of a VIP, a realserver may be in many services."""
    timeline: list[EventReply]
    """The latest events about it, oldest first."""
