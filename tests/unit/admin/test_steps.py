"""How a plan's steps are told."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from lvsguard.admin.steps import tell
from lvsguard.core.model import (
    Forwarding,
    Persistence,
    Realserver,
    RealserverKey,
    Tunnel,
    TunnelKind,
    VirtualService,
)
from lvsguard.core.step import (
    AddAddress,
    AddRealserver,
    AddService,
    DeleteRealserver,
    DeleteService,
    EditRealserver,
    EditService,
    RemoveAddress,
    Step,
)
from tests.support.published import VIP, WEB

RS = RealserverKey(ip_address("10.0.0.42"), 80)
RR = VirtualService("rr")
MH = VirtualService("mh", frozenset({"flag-1"}), Persistence(300, 24), one_packet=True)
GUE = Realserver(1, Forwarding.TUN, Tunnel(TunnelKind.GUE, 6080), 100, 50)


@pytest.mark.parametrize(
    ("step", "action", "kind", "subject", "changes"),
    [
        (AddAddress(VIP), "add", "address", "10.0.0.8/24", []),
        (RemoveAddress(VIP), "remove", "address", "10.0.0.8/24", []),
        (AddService(WEB, RR), "add", "service", "tcp 10.0.0.8:80", ["scheduler rr"]),
        (
            EditService(WEB, MH, RR),
            "change",
            "service",
            "tcp 10.0.0.8:80",
            [
                "scheduler rr -> mh",
                "flags none -> flag-1",
                "persistence off -> 300s /24",
                "one-packet off -> on",
            ],
        ),
        (DeleteService(WEB), "remove", "service", "tcp 10.0.0.8:80", []),
        (
            AddRealserver(WEB, RS, GUE),
            "add",
            "realserver",
            "10.0.0.42:80",
            [
                "weight 1",
                "forwarding tun",
                "tunnel gue port 6080 nocsum",
                "upper-threshold 100",
                "lower-threshold 50",
            ],
        ),
        (
            EditRealserver(WEB, RS, Realserver(0), Realserver(1)),
            "change",
            "realserver",
            "10.0.0.42:80",
            ["weight 1 -> 0"],
        ),
        (DeleteRealserver(WEB, RS), "remove", "realserver", "10.0.0.42:80", []),
    ],
)
def test_a_step_tells_what_it_does_to_what(
    step: Step, action: str, kind: str, subject: str, changes: list[str]
) -> None:
    told = tell(step, {WEB: "web"}, {})
    assert (told.action, told.object, told.subject) == (action, kind, subject)
    assert told.changes == changes
    assert told.command == str(step)
    assert told.name == (None if kind == "address" else "web")
    assert told.why


def test_a_known_reason_for_a_weight_is_the_why() -> None:
    step = EditRealserver(WEB, RS, Realserver(0), Realserver(1))
    assert tell(step, {}, {(WEB, RS): "drained by alice"}).why == "drained by alice"
