"""Why something is as it is: facts in, answers out. Pure.

What is asked for may be a realserver, a service, a VIP group, or several of them: a name may be
that of a service and of a VIP, an address that of a realserver in many services.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from lvsguard.admin import why_realserver, why_service, why_vip
from lvsguard.admin.entry import Entry
from lvsguard.admin.filter import Filter
from lvsguard.admin.history import event_reply
from lvsguard.admin.protocol import moment, rfc3339
from lvsguard.admin.why_reply import WhyAnswer, WhyReply
from lvsguard.core.event import REFUSES
from lvsguard.core.model import endpoint
from lvsguard.core.moment import when
from lvsguard.core.override import Override
from lvsguard.core.snapshot import (
    ForeignStatus,
    PeerStatus,
    RealserverStatus,
    ServiceStatus,
    View,
    VipStatus,
)

TIMELINE = 15
"""Events in an answer."""

OF_REALSERVERS = frozenset({"health", "applied", "drift", "agent"})
"""Kinds of events that may be about one realserver each."""

OF_ALL = frozenset({"link", "prober-died", "vrrp-died"})
"""Kinds of events that are about the director, and so about all of it."""
TROUBLES = 3
"""Lines of what is wrong with the director, in an answer."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is configured, or known, under the words of a question."""

    realservers: tuple[tuple[ServiceStatus, RealserverStatus], ...] = ()
    services: tuple[ServiceStatus, ...] = ()
    vips: tuple[VipStatus, ...] = ()
    foreign: tuple[ForeignStatus, ...] = ()
    idle: tuple[Override, ...] = ()
    """Overrides about it that match nothing in the config."""

    @property
    def configured(self) -> bool:
        """Whether the config names it."""
        return bool(self.realservers or self.services or self.vips)


@dataclass(frozen=True, slots=True)
class Setting:
    """What every answer needs besides."""

    director: str
    config_path: str
    vips: tuple[VipStatus, ...]
    peers: tuple[PeerStatus, ...]
    now: float
    """Wall clock."""
    troubles: tuple[str, ...] = ()
    """What is wrong with the director as a whole, one line each."""


def setting(view: View, now: float) -> Setting:
    """As the published picture has it at ``now`` (wall clock)."""
    loop = view.loop()
    troubles = [line for line in loop.trouble if not line.startswith(REFUSES)]
    if loop.probers < loop.probers_wanted:
        troubles.append(
            f"{loop.probers} of {loop.probers_wanted} probers alive: the verdicts of the others"
            " stand as they are"
        )
    return Setting(view.director, view.config_path, view.vips(), view.peers(), now, tuple(troubles))


def wanted(asked: str, found: Found) -> Filter:
    """Which entries of the history are about it."""
    if not found.configured:
        return Filter(about=frozenset({asked}))
    about = {service.name for service in found.services} | {vip.name for vip in found.vips}
    alone = {str(a.address) for vip in found.vips for a in vip.addresses}
    for _, realserver in found.realservers:
        alone.add(str(realserver.key.address))
        about.add(str(realserver.key))
        about |= {
            endpoint(status.check.address, status.check.port)
            for status in realserver.checks
            if status.check is not None
        }
        if realserver.agent is not None:
            about.add(endpoint(realserver.key.address, realserver.agent.port))
    if found.realservers:
        return Filter(about=frozenset(about), alone=frozenset(alone), also=OF_ALL)
    # Steps name a service by its address: those that mended a table that somebody cleared, too.
    about |= {
        endpoint(service.key.address, service.key.port)
        for service in found.services
        if service.key.address is not None
    }
    # Of a whole service or VIP, what its realservers do one by one would drown the rest.
    return Filter(
        about=frozenset(about),
        alone=frozenset(alone),
        not_of_realservers=OF_REALSERVERS,
        also=OF_ALL,
    )


def explain(
    asked: str, found: Found, history: Sequence[Entry], setting: Setting
) -> WhyReply | None:
    """The answers. ``history``: entries about it, oldest first. None: nobody knows it."""
    answers = [
        _with_context(why_realserver.explain(*pair, history, setting.now), pair[0], setting)
        for pair in found.realservers
    ]
    answers += [why_service.explain(service, history, setting.now) for service in found.services]
    answers += [
        why_vip.explain(vip, setting.director, setting.peers, history, setting.now)
        for vip in found.vips
    ]
    claimed = tuple(f"VIP {vip.name}: " for vip in found.vips if vip.conflicts)
    for answer in answers:
        answer.sentences.extend(_troubles(answer, setting, claimed))
    answers += [_foreign(one) for one in found.foreign]
    if not answers and (history or found.idle):
        answers = [_gone(asked, history, found.idle, setting)]
    if not answers:
        return None
    return WhyReply(
        target=asked,
        director=setting.director,
        time=rfc3339(setting.now),
        answers=answers,
        timeline=[event_reply(entry) for entry in history[-TIMELINE:]],
    )


def _with_context(answer: WhyAnswer, service: ServiceStatus, setting: Setting) -> WhyAnswer:
    answer.sentences.extend(why_vip.context(service.key, setting.vips))
    return answer


def _troubles(answer: WhyAnswer, setting: Setting, claimed: tuple[str, ...]) -> Iterator[str]:
    """What is wrong with the director, unless an answer says it already. ``claimed``: how lines
    begin that are about VIPs whose own answer is there and says who claims them."""
    said = " ".join(answer.sentences)
    news = (t for t in setting.troubles if t not in said and not t.startswith(claimed))
    for line in islice(news, TROUBLES):
        yield f"This director has trouble: {line.rstrip('.')}."


def _foreign(one: ForeignStatus) -> WhyAnswer:
    return WhyAnswer(
        kind="foreign",
        subject=str(one.key),
        service=None,
        state="foreign",
        serves=None,
        since=None,
        sentences=[
            f"The kernel has the service {one.key}, which this configuration does not name:"
            " somebody else made it, and lvsguard never touches it."
        ],
        remedies=[],
    )


def _gone(
    asked: str, history: Sequence[Entry], idle: Iterable[Override], setting: Setting
) -> WhyAnswer:
    """Not in the config any more, but known."""
    sentences = [f"{asked} is not in the configuration, so it is in no service."]
    removed = next((e for e in reversed(history) if _removes(e, asked)), None)
    if removed is not None:
        by = f" by {removed.data['actor']}" if removed.data.get("actor") else ""
        sentences.append(
            f"A reload{by} at {when(removed.at, setting.now)} took it out"
            f" (configuration {removed.data.get('digest')})."
        )
    elif history:
        sentences.append(f"It was told of last at {when(history[-1].at, setting.now)}.")
    sentences += [f"Still kept: {why_realserver.told(override, setting.now)}" for override in idle]
    return WhyAnswer(
        kind="gone",
        subject=asked,
        service=None,
        state="not-configured",
        serves=False,
        since=None if removed is None else moment(removed.at),
        sentences=sentences,
        remedies=[f"put it into {setting.config_path} and run: lvsguard reload"],
    )


def _removes(entry: Entry, asked: str) -> bool:
    names = entry.data.get("removed")
    if entry.kind != "reloaded" or not isinstance(names, list):
        return False
    wherever = [str(name).partition(" in ")[0] for name in names]
    return any(asked in (place, place.rpartition(":")[0].strip("[]")) for place in wherever)
