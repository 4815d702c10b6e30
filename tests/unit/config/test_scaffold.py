from __future__ import annotations

from ipaddress import ip_address

import pytest

from lvsguard.config.load import load, loads
from lvsguard.config.problem import ConfigError
from lvsguard.config.scaffold import Answers, scaffold
from lvsguard.core.config import CheckKind, VipPath
from tests.support.golden import Golden
from tests.unit.config.samples import EXAMPLE, HOST

SEED = Answers(
    director="director1",
    interface="eth0",
    vip="10.0.0.8/24",
    port=80,
    realservers=["10.0.0.42", "10.0.0.43"],
    path="/health",
)


def test_the_seed_s_answers_make_the_seed_network(golden: Golden) -> None:
    text = scaffold(SEED)
    golden.check("config/scaffold.toml", text)
    made, example = loads(text, interfaces=HOST), load(EXAMPLE, interfaces=HOST)
    assert made.vips == example.vips
    assert [service.key for service in made.services] == [s.key for s in example.services]
    assert [(rs.key, rs.checks, rs.weight) for rs in made.services[0].realservers] == [
        (rs.key, rs.checks, rs.weight) for rs in example.services[0].realservers
    ]


@pytest.mark.parametrize("kind", CheckKind)
def test_every_kind_of_check_makes_a_file_that_loads(kind: CheckKind) -> None:
    text = scaffold(
        Answers(
            director="",
            interface="bond0.12",
            vip="2001:db8::8/64",
            port=443,
            realservers=["2001:db8::42"],
            check=kind,
            scheduler="mh",
            service="shop",
        )
    )
    (service,) = loads(text, director="d").services
    assert str(service.key) == "tcp [2001:db8::8]:443"
    assert (service.name, service.scheduler) == ("shop", "mh")
    assert [check.spec.kind for check in service.realservers[0].checks] == (
        [] if kind is CheckKind.NONE else [kind]
    )
    assert service.realservers[0].key.address == ip_address("2001:db8::42")
    assert [check.spec.path for check in service.realservers[0].checks] == (
        [] if kind is CheckKind.NONE else [VipPath(ip_address("2001:db8::8"), 443)]
    )


def test_wrong_answers_are_told_by_their_keys_and_never_break_the_file() -> None:
    text = scaffold(
        Answers(
            director='d"1\n[x]',
            interface="eth 0",
            vip="nonsense",
            port=0,
            realservers=["\x7f"],
            path="{x}",
        )
    )
    with pytest.raises(ConfigError) as caught:
        loads(text)
    assert [problem.key for problem in caught.value.problems] == [
        "director.name",
        "director.interface",
        "vip[0].addresses[0]",
        "service[0].address",
        "service[0].check.path",
        "service[0].realserver[0].address",
    ]
