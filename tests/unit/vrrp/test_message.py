"""The messages between the controller and the VRRP process."""

from __future__ import annotations

import dataclasses
from ipaddress import ip_address

import pytest
from msgspec import structs

from lvsguard.core.config import VipConfig
from lvsguard.core.model import VipAddress
from lvsguard.core.vrrp import VrrpConfig
from lvsguard.core.vrrp_event import TOLD, RoleChanged
from lvsguard.vrrp import message
from lvsguard.vrrp.message import Hold, MessageError, Only, Put, Standing, State, Told

VRRP = VrrpConfig(
    51, source=ip_address("10.0.0.41"), source6=ip_address("fe80::41"), peers=(ip_address("::2"),)
)


def put(*addresses: VipAddress) -> Put:
    listed = addresses or (VipAddress("eth0", ip_address("10.0.0.8"), 24),)
    return message.put(VipConfig("web", listed, VRRP), VRRP)


def test_everything_that_is_configured_is_said_but_what_is_tracked() -> None:
    said = {field.name for field in dataclasses.fields(VrrpConfig)}
    assert said - set(Put.__struct_fields__) == {"track"}
    assert (put().source, put().source6, put().peers) == ("10.0.0.41", "fe80::41", ("::2",))


def test_an_event_comes_back_as_it_was_told() -> None:
    event = RoleChanged("web", "backup", "master", "master silent", "")
    sent = message.decode_to_controller(message.encode(message.told(event)))
    assert isinstance(sent, Told)
    assert message.event_of(sent) == event


@pytest.mark.parametrize("kind", TOLD)
def test_an_event_without_its_fields_is_refused(kind: str) -> None:
    with pytest.raises(MessageError):
        message.event_of(Told(kind, {}))


def test_an_unknown_event_is_refused() -> None:
    with pytest.raises(MessageError):
        message.event_of(Told("surprise", {}))


@pytest.mark.parametrize(
    "wrong",
    [
        structs.replace(put(), addresses=()),
        structs.replace(put(), addresses=(message.Address("10.0.0.300", 24, "eth0"),)),
        structs.replace(put(), vrid=256),
        structs.replace(put(), priority=0),
        structs.replace(put(), interval=0.0),
        structs.replace(put(), interval=float("nan")),
        structs.replace(put(), start_delay=-1.0),
        structs.replace(put(), peers=("everybody",)),
        structs.replace(put(), source6="here"),
        Standing(name="web", ready=True, priority=0),
        Hold("web", -1.0),
        Only(names=(), grace=-1.0),
    ],
)
def test_what_makes_no_sense_is_refused(wrong: message.ToProcess) -> None:
    with pytest.raises(MessageError):
        message.decode_to_process(message.encode(wrong))


def test_the_largest_messages_fit_into_a_packet() -> None:
    link = "interface012345"
    many = [
        VipAddress(link, ip_address(f"2001:db8:1111:2222:3333:4444:5555:{n:x}"), 128)
        for n in range(0x1000, 0x10FF)
    ]
    large = put(*many)
    state = State(
        name="web" * 20,
        role="master",
        since=1e9,
        priority=255,
        master="::1",
        held=large.addresses * 2,
        held_back=True,
        problem="p" * 1000,
        paths={f"{link}{number}": message.Path(False, "p" * 1000) for number in range(3)},
    )
    for sent in (large, state):
        assert len(message.encode(sent)) < message.PACKET_MAX / 2
