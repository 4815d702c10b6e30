"""Where the failures of the simulated day are to be seen: which panel shows what, and when."""

from __future__ import annotations

from typing import NamedTuple


class Sight(NamedTuple):
    """What a panel shows of a failure, at a time of the day."""

    runbook: str
    dashboard: str
    panel: str
    when: str
    value: float
    """The highest of its series then."""


SIGHTS = (
    Sight("no-master", "overview", "VIP groups without a master", "22:45", 2),
    Sight("no-master", "election", "Masters", "22:45", 0),
    Sight("two-masters", "overview", "VIP groups with two masters", "21:15", 2),
    Sight("vip-conflict", "election", "Others that claim a VIP", "14:35", 1),
    Sight("realserver-down", "overview", "Realservers down", "13:05", 2),
    Sight("realserver-flapping", "service", "Realservers", "06:10", 4),
    Sight("quorum-near", "service", "Live weight left above the quorum", "02:20", 0),
    Sight("quorum-lost", "overview", "Services without quorum", "13:10", 1),
    Sight("quorum-lost", "overview", "Services", "13:10", 3),
    Sight("panic", "service", "Panic", "16:05", 1),
    Sight("drain-forgotten", "overview", "Drained or disabled", "23:00", 2),
    Sight("standby-unfit", "election", "Directors that could serve", "17:30", 1),
    Sight("standby-unfit", "election", "Fit to take over?", "17:30", 1),
    Sight("config-differs", "daemon", "Configurations in force", "04:15", 2),
    Sight("director-down", "overview", "Directors that do not answer", "09:35", 1),
    Sight("adverts-rejected", "election", "Adverts that were dropped", "05:15", 1200),
    Sight("without-real-time", "election", "Without real-time priority", "01:40", 1),
    Sight("cluster-lost", "election", "Can etcd be asked?", "07:00", 0),
    Sight("cluster-lost", "election", "Fit to take over?", "07:00", 0),
    Sight("reload-refused", "daemon", "Configuration accepted", "08:30", 0),
    Sight("state-not-kept", "daemon", "State can be written", "22:10", 0),
    Sight("kernel-not-as-wanted", "daemon", "Kernel as wanted", "17:30", 0),
    Sight("vip-not-on-realserver", "realserver", "Answers on the VIP", "07:40", 0),
    Sight("checks-stalled", "daemon", "Probers missing", "19:35", 1),
    Sight("checks-stalled", "daemon", "Checks overdue", "19:35", 11),
)
"""The day's failures, and the panels on which their runbooks say that they are seen."""
