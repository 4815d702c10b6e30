"""What is told of elections: intervals that a host may not keep, connections that are not sent, and
a VRRP process that is gone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lvsguard.controller.factbook import FactBook
from lvsguard.controller.pulse import Pulse
from lvsguard.controller.standing import Standings
from lvsguard.core.config import Config, VipConfig
from lvsguard.core.election_status import AWAY_SECONDS
from lvsguard.core.model import Persistence, ServiceKey
from lvsguard.core.vrrp import VrrpConfig
from lvsguard.daemon.elections import Elections, daring, unsent
from tests.support.fake_kernel import FakeAddresses
from tests.support.page_town import director
from tests.support.published import NOON
from tests.support.rig import VIP, config, service

MARK = ServiceKey.marked(7)
SPLIT = {"web": "master", "mail": "backup"}


@pytest.mark.parametrize(
    ("interval", "real_time", "says"),
    [
        (1.0, False, ""),
        (1.0, True, ""),
        (0.1, True, ""),
        (0.99, False, "no real-time priority"),
        (0.1, False, "no real-time priority"),
        (0.09, True, "below 0.1 s"),
        (0.01, False, "below 0.1 s"),
    ],
)
def test_below_100_ms_and_below_1_s_without_real_time_priority_is_daring(
    interval: float, real_time: bool, says: str
) -> None:
    text = daring(interval, real_time=real_time)
    assert (text == "") == (says == "")
    assert says in text


def at(given: Config, seconds: float) -> str:
    """What is wrong after so long without a VRRP process."""
    times = iter((NOON, NOON + seconds))
    standings = Standings(given, FactBook(given), Pulse())
    elections = Elections(
        given, standings, FakeAddresses({}), emit=lambda event: None, clock=lambda: next(times)
    )
    try:
        return elections.trouble
    finally:
        elections.client.close()


def test_a_vrrp_process_that_is_gone_is_trouble_once_a_restart_should_be_over() -> None:
    assert at(director(), AWAY_SECONDS) == ""
    early, late = (at(director(), AWAY_SECONDS + more) for more in (0.1, 60.0))
    assert early.startswith("the VRRP process is gone: ")
    assert early == late  # the page reads out what is new


def test_without_an_election_nobody_misses_it() -> None:
    given = config()
    standings = Standings(given, FactBook(given), Pulse())
    elections = Elections(given, standings, FakeAddresses({}), emit=lambda event: None)
    assert elections.trouble == ""
    elections.client.close()


@pytest.mark.parametrize(
    ("roles", "told"),
    [
        (SPLIT, True),
        ({"web": "master", "mail": "master"}, False),
        ({"web": "backup", "mail": "backup"}, False),
        ({"web": "master", "mail": "fault"}, False),
        ({}, False),
    ],
)
def test_that_templates_of_marks_are_not_sent_is_told_where_several_directors_lead(
    roles: dict[str, str], told: bool
) -> None:
    sticky = Persistence(300)
    vips = (VipConfig("web", (VIP,), VrrpConfig(51)),)
    mail = replace(service(name="mail", key=MARK), persistence=sticky)
    given = replace(config(mail), vips=vips)
    assert ("of mail (firewall mark)" in unsent(given, roles)) is told
    assert unsent(replace(given, services=(service(name="mail", key=MARK),)), SPLIT) == ""
    assert unsent(replace(given, services=(replace(service(), persistence=sticky),)), SPLIT) == ""
