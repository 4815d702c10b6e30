"""The words of ``GET /v1/why``: answers as sentences, with the facts that programs want. Pure."""

from __future__ import annotations

from lvsguard.admin.protocol import EventReply, Reply


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
    timeline: list[EventReply]
    """The latest events about it, oldest first."""
