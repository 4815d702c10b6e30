from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st

from lvsguard.config.load import loads
from lvsguard.config.problem import ConfigError, Problem
from lvsguard.config.scaffold import Answers, scaffold
from lvsguard.config.schema import SCHEDULERS
from lvsguard.core.config import CheckKind
from tests.property.config.patience import PATIENT

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9._-]{0,20}", fullmatch=True)


@st.composite
def answers(draw: st.DrawFn) -> Answers:
    """Answers that make sense."""
    kind, base, length = draw(
        st.sampled_from([(IPv4Address, 0x0A000000, 24), (IPv6Address, 0x20010DB8 << 96, 64)])
    )
    hosts = draw(st.lists(st.integers(1, 254), min_size=2, max_size=6, unique=True))
    vip, *realservers = (str(kind(base + host)) for host in hosts)
    return Answers(
        director=draw(NAMES | st.just("")),
        interface=draw(st.from_regex(r"[a-z]{2,8}[0-9]{0,3}", fullmatch=True)),
        vip=f"{vip}/{length}",
        port=draw(st.integers(1, 65535)),
        realservers=realservers,
        check=draw(st.sampled_from(CheckKind)),
        path=draw(st.from_regex(r"/[!-~]{0,30}", fullmatch=True)),
        scheduler=draw(st.sampled_from(SCHEDULERS)),
        service=draw(NAMES),
    )


@PATIENT
@given(answers())
def test_sensible_answers_load_as_they_were_given(given: Answers) -> None:
    config = loads(scaffold(given), director=given.director or "fallback")
    (service,) = config.services
    assert config.interface == given.interface
    assert [str(rs.key.address) for rs in service.realservers] == list(given.realservers)
    assert (
        f"{config.vips[0].addresses[0].address}/{config.vips[0].addresses[0].prefix}" == given.vip
    )
    assert (service.key.port, service.scheduler) == (given.port, given.scheduler)
    for check in (check for rs in service.realservers for check in rs.checks):
        assert check.spec.http is None or check.spec.http.path == given.path


@PATIENT
@given(
    st.builds(
        Answers,
        director=st.text(),
        interface=st.text(),
        vip=st.text(),
        port=st.integers(),
        realservers=st.lists(st.text(), max_size=3),
        check=st.sampled_from(CheckKind),
        path=st.text(),
        scheduler=st.text(),
        service=st.text(),
    )
)
def test_any_answers_give_a_file_whose_problems_can_be_told(given: Answers) -> None:
    problems: tuple[Problem, ...] = ()
    try:
        loads(scaffold(given))
    except ConfigError as error:
        problems = error.problems
    assert not [str(problem) for problem in problems if "not valid TOML" in problem.message]
