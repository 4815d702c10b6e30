"""What is allowed; what is not is in tests/golden/config."""

from __future__ import annotations

from ipaddress import ip_interface

import pytest

from lvsguard.config.load import loads
from lvsguard.config.problem import ConfigError
from lvsguard.config.review import Interfaces
from tests.unit.config.samples import HEAD, HOST, PLAIN, REALSERVERS, SERVICE


def problems(text: str, interfaces: Interfaces | None = None) -> list[str]:
    """Key and message of each problem; empty when all is well."""
    try:
        loads(text, director="director1", interfaces=interfaces)
    except ConfigError as error:
        return [f"{problem.key}: {problem.message}" for problem in error.problems]
    return []


def test_without_a_host_nothing_is_asked_of_its_interfaces() -> None:
    elsewhere = PLAIN.replace('"eth0"', '"eth9"').replace("10.0.0.8/24", "10.0.0.8/32")
    assert problems(elsewhere) == []
    assert problems(elsewhere, HOST) == [
        'director.interface: no interface "eth9" on this host; it has eth0, eth1, lo'
    ]


def test_a_vip_that_stands_on_its_interface_already_does_not_vouch_for_itself() -> None:
    host = {"eth0": [ip_interface("10.0.1.41/24"), ip_interface("10.0.0.8/24")]}
    (problem,) = problems(PLAIN.replace(', "2001:db8::8/64"', ""), host)
    assert problem.startswith(
        "vip[0].addresses[0]: 10.0.0.8 is in no network of eth0, which has 10.0.1.0/24;"
    )


def test_a_routed_vip_may_lie_anywhere() -> None:
    text = PLAIN.replace('name = "web"\naddresses', 'name = "web"\nrouted = true\naddresses')
    assert problems(text, {"eth0": [ip_interface("192.0.2.1/24")]}) == []


def test_a_host_address_of_a_32_bit_prefix_lies_in_the_interface_s_network() -> None:
    assert problems(PLAIN.replace("10.0.0.8/24", "10.0.0.8/32"), HOST) == []


def test_the_same_realserver_and_name_may_serve_several_services() -> None:
    named = REALSERVERS.replace('"10.0.0.42"', '"10.0.0.42"\nname = "web1"')
    text = f'{SERVICE}{named}[[service]]\nname = "tls"\naddress = "10.0.0.8:443"\n{named}'
    assert problems(text) == []


def test_one_address_and_port_may_be_several_services_by_protocol() -> None:
    udp = f'[[service]]\nname = "udp"\naddress = "10.0.0.8:80"\nprotocol = "udp"\n{REALSERVERS}'
    sctp = udp.replace("udp", "sctp")
    assert problems(f"{PLAIN}{udp}{sctp}") == []


def test_a_service_that_is_closed_by_its_weights_needs_no_quorum() -> None:
    closed = "".join(
        f'[[service.realserver]]\naddress = "10.0.0.{n}"\nweight = 0\n' for n in (42, 43)
    )
    assert problems(f"{SERVICE}quorum = 2\n{closed}") == []


@pytest.mark.parametrize(
    "line",
    [
        "quorum = 9\nquorum_hysteresis = 1",
        'sorry_server = { address = "10.0.0.50:8080", forwarding = "nat" }',
        'sorry_server = "10.0.0.50:80"',
        'sorry_server = "10.0.0.42"\nforwarding = "nat"',
        'slow_start = "1m"',
        "panic_below = 1",
        "panic_below = 0.3",
    ],
)
def test_rules_that_can_take_effect_are_taken(line: str) -> None:
    members = (
        '[[service.realserver]]\naddress = "10.0.0.42"\nweight = 9\nport = 8080\n'
        if "nat" in line and "42" in line
        else '[[service.realserver]]\naddress = "10.0.0.42"\nweight = 9\n'
    )
    spare = '[[service.realserver]]\naddress = "10.0.0.43"\nweight = 1\n'
    assert problems(f"{SERVICE}{line}\n{members}{spare}") == []


def test_slow_start_is_for_weights_above_1_or_a_service_that_is_closed() -> None:
    closed = '[[service.realserver]]\naddress = "10.0.0.42"\nweight = 0\n'
    assert problems(f'{SERVICE}slow_start = "1m"\n{closed}') == []


def test_one_packet_is_for_udp_and_for_marks() -> None:
    for head in ('address = "10.0.0.8:53"\nprotocol = "udp"', "fwmark = 7"):
        text = f'{HEAD}[[service]]\nname = "x"\n{head}\none_packet = true\n{REALSERVERS}'
        assert problems(text) == []


def test_the_longest_timeout_is_the_interval() -> None:
    text = f'{SERVICE}check = {{ kind = "tcp", interval = "1s", timeout = "1s" }}\n{REALSERVERS}'
    assert problems(text) == []


def test_a_rule_is_silent_where_a_value_that_it_goes_by_is_wrong_already() -> None:
    text = f'{SERVICE}forwarding = "natt"\n{REALSERVERS}port = 8080\n'
    (problem,) = problems(text)
    assert problem.startswith('service[0].forwarding: "natt" is not')
    text = PLAIN.replace('"10.0.0.8/24"', '"10.0.0.8/99"')
    (problem,) = problems(text)
    assert problem.startswith('vip[0].addresses[0]: "10.0.0.8/99" is not')


def test_a_wrong_entry_does_not_shift_the_names_of_those_after_it() -> None:
    text = f"{SERVICE}[[service.realserver]]\n{REALSERVERS}port = 81\n{SERVICE[len(HEAD) :]}"
    assert [problem.partition(":")[0] for problem in problems(text)] == [
        "service[0].realserver[0].address",
        "service[0].realserver[2].port",
        "service[1].realserver",
        "service[1].name",
        "service[1].address",
    ]


def test_wrong_directors_do_not_hide_the_rest() -> None:
    text = PLAIN.replace("[director]", "[directr]").replace('"10.0.0.43"', '"10.0.0.42"')
    assert [problem.partition(":")[0] for problem in problems(text)] == [
        "directr",
        "service[0].realserver[1].address",
    ]


@pytest.mark.parametrize("where", ["vip", "service", "director", "telemetry", "ipvs"])
@pytest.mark.parametrize("value", ["1", '"x"', "[]", "[[]]", "[1, {}]", "{ a = {} }", "2001-01-01"])
def test_any_value_in_place_of_a_table_is_a_problem_of_its_own(where: str, value: str) -> None:
    text = PLAIN.replace("[director]", f"{where} = {value}\n[directory]", 1)
    if where in {"vip", "service"}:
        text = text.replace(f"[[{where}]]", "[[old]]")
    assert problems(text)
