"""Which of its own addresses a director asks from where the file does not say."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface

import pytest

from lvsguard.config.load import loads
from lvsguard.config.own_address import faced
from lvsguard.config.problem import ConfigError
from lvsguard.config.review import Interfaces
from lvsguard.core.config import CheckSpec, Config
from tests.unit.config.samples import HEAD, HOST, PLAIN, REALSERVERS, SERVICE

CHECKED = SERVICE + 'check = { kind = "tcp" }\n' + REALSERVERS
CHECKED6 = (
    HEAD
    + """
[[service]]
name = "web6"
address = "[2001:db8::8]:80"
check = { kind = "tcp" }
[[service.realserver]]
address = "2001:db8::42"
"""
)


def host(*addresses: str, **others: list[str]) -> Interfaces:
    """A host with these addresses on eth0, in the kernel's order, and others by interface."""
    named = {"eth0": list(addresses), **others}
    return {name: [ip_interface(one) for one in held] for name, held in named.items()}


def specs(text: str, interfaces: Interfaces | None) -> list[CheckSpec]:
    config = loads(text, director="director1", interfaces=interfaces)
    return [c.spec for s in config.services for r in s.realservers for c in r.checks]


def own(text: str, interfaces: Interfaces | None) -> str | None:
    """What all checks of a config ask from."""
    (address,) = {spec.own for spec in specs(text, interfaces)}
    return None if address is None else str(address)


@pytest.mark.parametrize(
    "addresses",
    [
        ("10.0.0.41/24", "2001:db8::41/64"),
        ("10.0.0.8/24", "2001:db8::8/64", "10.0.0.41/24", "2001:db8::41/64"),
    ],
)
def test_a_check_asks_from_the_address_in_the_realserver_s_network_and_never_from_a_vip(
    addresses: tuple[str, ...],
) -> None:
    assert own(CHECKED, host(*addresses)) == "10.0.0.41"
    assert own(CHECKED6, host(*addresses)) == "2001:db8::41"


def test_no_vip_of_the_file_is_taken_though_no_service_uses_it() -> None:
    more = '[[vip]]\nname = "more"\naddresses = ["10.0.0.9/24"]\n'
    interfaces = host("10.0.0.9/24", "10.0.0.41/24", "2001:db8::41/64")
    assert own(CHECKED, interfaces) == "10.0.0.9"
    assert own(CHECKED + more, interfaces) == "10.0.0.41"


def test_the_address_may_stand_on_any_interface() -> None:
    interfaces = host("10.0.0.40/16", "2001:db8::41/64", eth1=["10.0.0.41/24"])
    assert own(CHECKED, interfaces) == "10.0.0.41"


def test_the_longest_prefix_wins_and_then_the_lowest_address() -> None:
    beside = "2001:db8::41/64"
    assert own(CHECKED, host("10.0.0.1/16", "10.0.0.41/24", beside)) == "10.0.0.41"
    assert own(CHECKED, host("10.0.0.41/24", "10.0.0.40/24", beside)) == "10.0.0.40"
    assert own(CHECKED, host("10.0.0.100/24", "10.0.0.9/24", beside)) == "10.0.0.9"


def test_the_links_that_lead_to_realservers_are_known() -> None:
    text = CHECKED + '[[service.realserver]]\naddress = "10.0.1.42"\n'
    beside = {"eth1": ["10.0.1.41/24"], "eth2": ["10.0.2.41/24"], "lo": ["127.0.0.1/8"]}
    both = host("10.0.0.41/24", "2001:db8::41/64", **beside)
    config = loads(text, director="director1", interfaces=both)
    assert config.legs == {"eth0", "eth1"}
    assert config.interfaces == {"eth0", "eth1"}
    unchecked = text.replace('"tcp"', '"none"')
    assert loads(unchecked, director="director1", interfaces=both).legs == {"eth0", "eth1"}
    local = CHECKED.replace("10.0.0.42", "127.0.0.42").replace("10.0.0.43", "127.0.0.43")
    assert loads(local, director="director1", interfaces=both).legs == frozenset()


def test_a_link_local_address_is_not_taken() -> None:
    text = CHECKED6.replace("2001:db8::42", "fe80::42")
    assert own(text, host("10.0.0.41/24", "2001:db8::41/64", "fe80::41/64")) is None


def test_the_kernel_chooses_where_the_realserver_is_in_no_network_or_the_host_is_unknown() -> None:
    assert own(CHECKED.replace("10.0.0.4", "10.9.0.4"), HOST) is None
    assert own(CHECKED, None) is None


def test_a_written_source_leaves_no_choice() -> None:
    text = CHECKED.replace('"tcp"', '"tcp", source = "10.0.0.41"')
    assert {(s.source, s.own) for s in specs(text, HOST)} == {(ip_address("10.0.0.41"), None)}


def test_realservers_of_one_network_share_their_check_and_others_do_not() -> None:
    text = CHECKED + '[[service.realserver]]\naddress = "10.0.1.42"\n'
    interfaces = host("10.0.0.41/24", "2001:db8::41/64", eth1=["10.0.1.41/24"])
    first, second, beyond = specs(text, interfaces)
    assert first is second
    assert [str(spec.own) for spec in (first, beyond)] == ["10.0.0.41", "10.0.1.41"]


def test_the_digest_is_the_same_whatever_the_host_has() -> None:
    elsewhere = host("10.0.0.40/24", "2001:db8::40/64")
    assert own(CHECKED, elsewhere) == "10.0.0.40"
    assert len({loads(CHECKED, interfaces=one).digest for one in (None, HOST, elsewhere)}) == 1


AGENT = CHECKED.replace("check =", "agent = { port = 5000 }\ncheck =")
VIA_VIP = CHECKED.replace('"tcp"', '"tcp", via = "vip"')


def bare(text: str) -> Config:
    """As a director reads it that has no address yet."""
    return loads(text, director="director1", interfaces=host(), judged=False)


@pytest.mark.parametrize("text", [PLAIN, CHECKED, CHECKED6, AGENT, VIA_VIP])
def test_an_address_that_comes_late_makes_what_it_would_have_made_at_the_start(text: str) -> None:
    late = bare(text)
    assert late.legs == frozenset()
    assert faced(late, HOST) == loads(text, director="director1", interfaces=HOST)


def test_nothing_new_is_the_same_config() -> None:
    known = loads(AGENT, director="director1", interfaces=HOST)
    assert faced(known, HOST) is known
    assert faced(bare(AGENT), host()) == bare(AGENT)


def test_what_is_asked_from_stays_so_while_this_host_has_it() -> None:
    known = loads(AGENT, director="director1", interfaces=HOST)
    assert faced(known, host("10.0.0.9/24", "10.0.0.41/24", "10.0.0.40/25")) is known
    moved = faced(known, host("10.0.0.9/24"))
    (realserver, _) = moved.services[0].realservers
    (check,) = realserver.checks
    assert check.spec.arp is not None
    assert realserver.agent is not None
    sources = (check.spec.own, check.spec.arp.source, realserver.agent.spec.own)
    assert {str(source) for source in sources} == {"10.0.0.9"}


def test_an_address_that_has_gone_is_kept_where_there_is_no_other() -> None:
    known = loads(AGENT, director="director1", interfaces=HOST)
    assert faced(known, host(eth1=["10.9.0.41/24"])) is known


def test_a_config_that_the_host_does_not_fit_may_be_read_and_asks_from_what_is_there() -> None:
    text = CHECKED + '[[service.realserver]]\naddress = "10.0.1.42"\n'
    half = host(eth1=["10.0.1.41/24"])
    with pytest.raises(ConfigError, match="in no network of eth0"):
        loads(text, director="director1", interfaces=half)
    config = loads(text, director="director1", interfaces=half, judged=False)
    asked = [c.spec.own for r in config.services[0].realservers for c in r.checks]
    assert asked == [None, None, ip_address("10.0.1.41")]
