"""The failures of the simulated day as the runbooks' pictures show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

CHOSEN = {
    "cluster": ".*",
    "instance": "(director1:9852|director2:9852)",
    "vip": "(internal|web)",
    "service": "web",
    "realserver": "10.0.0.42:80",
}


class Scene(NamedTuple):
    """A failure of the day: two panels, from when to when, and what is chosen."""

    panels: tuple[tuple[str, str], tuple[str, str]]
    begin: str
    end: str
    chosen: Mapping[str, str] = {}


SCENES = {
    "no-master": Scene((("election", "Roles"), ("election", "Addresses")), "22:25", "23:05"),
    "two-masters": Scene((("election", "Roles"), ("election", "Adverts")), "20:55", "21:40"),
    "vip-conflict": Scene(
        (("election", "Conflicts"), ("overview", "Events by kind")), "14:10", "15:05"
    ),
    "realserver-down": Scene(
        (("service", "Realservers"), ("service", "Failed probes by code")),
        "09:55",
        "10:35",
        {"service": "tls"},
    ),
    "realserver-flapping": Scene(
        (("realserver", "State"), ("realserver", "Share of probes that fail")),
        "05:50",
        "06:50",
        {"realserver": "10.0.0.43:80"},
    ),
    "quorum-near": Scene(
        (("service", "Live weight and quorum"), ("service", "Realservers")), "01:50", "03:00"
    ),
    "quorum-lost": Scene(
        (("overview", "Services"), ("service", "Live weight and quorum")),
        "12:45",
        "13:45",
        {"service": "api"},
    ),
    "panic": Scene((("service", "Realservers"), ("overview", "Services")), "15:45", "16:30"),
    "drain-forgotten": Scene(
        (("realserver", "State"), ("realserver", "Connections")),
        "19:30",
        "24:00",
        {"realserver": "10.0.0.45:80"},
    ),
    "director-down": Scene(
        (("election", "Roles"), ("election", "The other director")), "09:15", "10:05"
    ),
    "standby-unfit": Scene(
        (("election", "Ready to be master"), ("election", "Fit to take over?")), "17:00", "18:00"
    ),
    "config-differs": Scene(
        (("election", "Do they agree?"), ("overview", "Events by kind")), "03:40", "04:45"
    ),
    "cluster-lost": Scene(
        (("election", "Can etcd be asked?"), ("election", "Fit to take over?")), "06:30", "07:25"
    ),
    "hook-failing": Scene(
        (("daemon", "Events that hooks missed"), ("overview", "Events by kind")), "08:35", "09:25"
    ),
    "vrrp-process-restarts": Scene(
        (("election", "VRRP processes that ended"), ("overview", "Events by kind")),
        "10:25",
        "11:10",
    ),
    "drift-repeated": Scene(
        (
            ("daemon", "Repairs of what somebody else changed"),
            ("daemon", "Writes, and what was refused"),
        ),
        "11:00",
        "12:50",
    ),
    "advert-late": Scene(
        (
            ("election", "How late adverts leave"),
            ("daemon", "How late the controller's loop is"),
        ),
        "14:40",
        "15:40",
    ),
    "heartbeat-lost": Scene(
        (("election", "Paths that carry adverts"), ("election", "Adverts")), "05:20", "06:20"
    ),
    "adverts-rejected": Scene(
        (("election", "Adverts that were dropped"), ("election", "Adverts")), "04:45", "05:40"
    ),
    "failovers-repeated": Scene(
        (("election", "Roles"), ("election", "Changes of role")), "22:50", "23:45"
    ),
    "without-real-time": Scene(
        (("election", "VRRP processes"), ("election", "How late adverts leave")), "01:15", "02:05"
    ),
    "not-standing-by": Scene(
        (("election", "Roles"), ("election", "Ready to be master")), "17:00", "18:00"
    ),
    "peer-not-heard": Scene(
        (("election", "The other director"), ("overview", "Events by kind")), "20:55", "21:40"
    ),
    "directors-differ": Scene(
        (("election", "Do they agree?"), ("election", "The other director")), "18:25", "19:10"
    ),
    "connections-not-in-step": Scene(
        (("election", "Sync daemons of the kernel"), ("election", "Roles")),
        "00:40",
        "01:40",
    ),
    "vip-not-on-realserver": Scene(
        (("realserver", "State"), ("realserver", "Probes by code")), "07:15", "08:05"
    ),
    "kernel-not-as-wanted": Scene(
        (("daemon", "Is it well?"), ("daemon", "Writes, and what was refused")), "17:00", "18:00"
    ),
    "reload-refused": Scene(
        (("daemon", "Is it well?"), ("overview", "Events by kind")), "08:05", "08:55"
    ),
    "state-not-kept": Scene(
        (("daemon", "Is it well?"), ("overview", "Events by kind")), "21:45", "22:35"
    ),
    "certificate-expiring": Scene(
        (("overview", "Certificates"), ("overview", "Days until certificates end")),
        "04:30",
        "10:20",
    ),
    "checks-stalled": Scene(
        (
            ("daemon", "Since the last probe of the realserver that waits longest"),
            ("daemon", "Checks overdue"),
        ),
        "19:15",
        "20:00",
    ),
}
