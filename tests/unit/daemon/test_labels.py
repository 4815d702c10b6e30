"""What each event is about is a field of its log line, so that it can be asked for."""

from __future__ import annotations

from dataclasses import MISSING, fields

import pytest

from lvsguard.core.event import Event
from lvsguard.core.event_kinds import by_kind
from lvsguard.core.health import Verdict
from lvsguard.core.model import IPAddress
from lvsguard.core.override import Override, OverrideKind, Target
from lvsguard.daemon.labels import labels
from tests.support.rig import RS1

RIP: IPAddress = RS1.address
REALSERVER = {
    "agent",
    "agent-back",
    "agent-silent",
    "applied",
    "conflict",
    "conflict-drain",
    "drift",
    "health",
    "mac-changed",
    "override-cleared",
    "override-idle",
    "override-set",
    "passive",
    "step-refused",
}
"""About one realserver, at times."""
SERVICE = (REALSERVER - {"agent", "agent-back", "agent-silent", "conflict", "mac-changed"}) | {
    "foreign",
    "panic",
    "panic-over",
    "quorum-back",
    "quorum-lost",
    "sorry-server-in",
    "sorry-server-out",
}
"""About a service; of a host that is in several, only the host is named."""
OVERRIDE = Override(Target(RIP, 80, "web"), OverrideKind.DRAIN, "alice", 1.0)
VALUES = {
    "override": OVERRIDE,
    "service": "web",
    "services": ("web",),
    "realserver": "10.0.0.42:80",
    "before": Verdict.UP,
    "after": Verdict.DOWN,
}


def made(event: type[Event]) -> Event:
    """One of this kind, about all that it can be about."""
    given = {
        one.name: VALUES.get(one.name, "x")
        for one in fields(event)
        if one.name in VALUES or (one.default is MISSING and one.default_factory is MISSING)
    }
    return event(**given)


@pytest.mark.parametrize("kind", by_kind())
def test_an_event_about_a_realserver_or_a_service_has_the_field(kind: str) -> None:
    """A new kind with such a field belongs into the sets above."""
    found = labels(made(by_kind()[kind]))
    assert found.get("LVSGUARD_REALSERVER") == (["10.0.0.42:80"] if kind in REALSERVER else None)
    assert found.get("LVSGUARD_SERVICE") == (["web"] if kind in SERVICE else None)


def test_of_a_whole_host_the_field_is_the_bare_address() -> None:
    held = Override(Target(RIP), OverrideKind.DRAIN, "alice", 1.0)
    found = labels(by_kind()["override-set"](override=held))  # type: ignore[call-arg]
    assert found["LVSGUARD_REALSERVER"] == ["10.0.0.42"]
    assert "LVSGUARD_SERVICE" not in found
