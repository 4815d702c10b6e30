"""What is told of a whole service: one line each that a person can act on."""

from __future__ import annotations

import pytest

from lvsguard.core import service_event
from lvsguard.core.event import Event, Level
from lvsguard.core.service_event import (
    SERVICE,
    ClientsFareBadly,
    PanicBegan,
    PanicOver,
    QuorumBack,
    QuorumLost,
    SorryServerIn,
    SorryServerOut,
)

HAPPENED: list[tuple[Event, str]] = [
    (
        QuorumLost("web", 1, 3),
        "service web has lost its quorum: live weight 1, needs 3 (lvsguard status says what each"
        " realserver lacks)",
    ),
    (QuorumBack("web", 4, 4), "service web has its quorum again: live weight 4, needed 4"),
    (
        SorryServerIn("web", "10.0.0.50:80"),
        "service web: sorry server 10.0.0.50:80 is in, the realservers get no new connections until"
        " the quorum is back",
    ),
    (SorryServerOut("web", "10.0.0.50:80"), "service web: sorry server 10.0.0.50:80 is out"),
    (
        PanicBegan("web", "PANIC: 0% of the weight is live"),
        "service web: PANIC: 0% of the weight is live: look at the checks and at what they ask",
    ),
    (PanicOver("web"), "service web: panic is over, the checks decide again"),
    (
        ClientsFareBadly("web", "10.0.0.42:80", "1.2 packets a connection"),
        "service web: clients of realserver 10.0.0.42:80 fare badly: 1.2 packets a connection;"
        " probing it, look at its VIP and firewall if its checks pass",
    ),
]


@pytest.mark.parametrize(("event", "line"), HAPPENED, ids=[e.kind for e, _ in HAPPENED])
def test_it_prints_as_one_line(event: Event, line: str) -> None:
    assert str(event) == line


def test_none_is_left_out_and_each_has_a_kind_of_its_own() -> None:
    every = {
        kind
        for kind in vars(service_event).values()
        if isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
    }
    assert {type(event) for event, _ in HAPPENED} == every == set(SERVICE)
    names = {(kind.kind, kind.__name__) for kind in Event.__subclasses__()}
    assert len({kind for kind, _ in names}) == len(names)


def test_what_harms_clients_is_an_error() -> None:
    loud = {type(event) for event, _ in HAPPENED if event.level is Level.ERROR}
    assert loud == {QuorumLost, PanicBegan}
