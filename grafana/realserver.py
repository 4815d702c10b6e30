"""One realserver: is it in, if not why not, and what do its probes say?"""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models

from grafana import frame
from grafana.parts import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    RED,
    YELLOW,
    YES_IS_GOOD,
    Query,
    course,
    number,
    row,
    rows,
    states,
)
from grafana.words import REALSERVERS, state_of_realservers

PROBED = 'realserver="$realserver",@i'


def build(runbooks: str = frame.RUNBOOKS_URL) -> models.Dashboard:
    """The dashboard."""
    return frame.frame(
        frame.REALSERVER,
        "lvsguard / One realserver",
        "Is this realserver in, if not why not, and what do its probes say?",
        (*_now(), *_course(), *_probes(), *_load()),
        variables=("instance", "service", "realserver"),
        runbooks=runbooks,
    )


def _now() -> tuple[frame.Part, ...]:
    return (
        row("Is it in?"),
        number(
            "Checks pass",
            "Do all directors that are chosen find it up?",
            Query("min(lvsguard_realserver_up{@r})"),
            words={1: ("up", GREEN), 0: ("down", RED)},
            runbook="realserver-down",
        ),
        number(
            "Admin state",
            "Did somebody take it out?",
            Query("max(lvsguard_realserver_admin_state{@r})"),
            words={0: ("ready", GREEN), 1: ("drained", BLUE), 2: ("disabled", GREY)},
            runbook="drain-forgotten",
        ),
        number(
            "Weight in the kernel",
            "What weight has it now? 0 also when it is not in the table.",
            Query("min(lvsguard_realserver_weight{@r})"),
            below=ORANGE,
            steps=((1, GREEN),),
        ),
        number(
            "Since the last change",
            "How long does its verdict last?",
            Query("time() - max(lvsguard_realserver_last_change_timestamp_seconds{@r})"),
            unit="s",
            below=ORANGE,
            steps=((600, GREEN),),
            runbook="realserver-flapping",
        ),
        number(
            "Since the last probe",
            "Is it still being probed?",
            Query(f"time() - min(lvsguard_last_check_timestamp_seconds{{{PROBED}}})"),
            unit="s",
            steps=((10, ORANGE), (60, RED)),
            runbook="checks-stalled",
        ),
        number(
            "Answers on the VIP",
            "Does it answer on the VIP, as clients will ask it? Only with a check via the VIP.",
            Query("min(lvsguard_realserver_vip_path{@r})"),
            words=YES_IS_GOOD,
            runbook="vip-not-on-realserver",
        ),
    )


def _course() -> tuple[frame.Part, ...]:
    return (
        states(
            "State",
            "When was it in, when was it not, and why?",
            Query(state_of_realservers("@r"), "{{realserver}} {{cluster}}"),
            words=REALSERVERS,
            runbook="realserver-flapping",
        ),
        course(
            "Weight",
            "Has it the weight that the configuration gives it, and what does its agent leave of"
            " that?",
            Query("min by (cluster) (lvsguard_realserver_weight{@r})", "in the kernel {{cluster}}"),
            Query(
                "max by (cluster) (lvsguard_realserver_configured_weight{@r})",
                "configured {{cluster}}",
            ),
            Query(
                "min by (cluster) (lvsguard_realserver_agent_weight_ratio{@r}"
                " * lvsguard_realserver_configured_weight{@r})",
                "what its agent leaves {{cluster}}",
            ),
        ),
    )


def _probes() -> tuple[frame.Part, ...]:
    return (
        row("What do its probes say?"),
        course(
            "Probes by code",
            "How do its probes end? L4OK and L7OK are good, all else is not.",
            Query(
                "sum by (check, code)"
                f" (rate(lvsguard_probe_results_total{{{PROBED}}}[$__rate_interval])) > 0",
                "{{check}}: {{code}}",
            ),
            unit="cps",
            stacked=True,
            runbook="realserver-down",
            width=8,
        ),
        course(
            "How long its probes take",
            "Has it become slow, and does one director find it slower than the others? The mean.",
            Query(
                f"sum by (instance, check) (rate(lvsguard_probe_seconds_total{{{PROBED}}}"
                "[$__rate_interval])) / sum by (instance, check)"
                f" (rate(lvsguard_probe_results_total{{{PROBED}}}[$__rate_interval]))",
                "{{instance}}: {{check}}",
            ),
            unit="s",
            width=8,
        ),
        course(
            "Share of probes that fail",
            "How ill is it? Each director asks for itself.",
            Query(
                "(sum by (instance) (rate(lvsguard_probe_results_total"
                f'{{code!~"L[47]OK",{PROBED}}}[$__rate_interval])) or sum by (instance)'
                f" (rate(lvsguard_probe_results_total{{{PROBED}}}[$__rate_interval])) * 0)"
                " / sum by (instance)"
                f" (rate(lvsguard_probe_results_total{{{PROBED}}}[$__rate_interval]))",
                "{{instance}}",
            ),
            unit="percentunit",
            steps=((0.01, YELLOW), (0.5, RED)),
            maximum=1,
            runbook="realserver-flapping",
            width=8,
        ),
        rows(
            "When it was probed last",
            "By which director, by which check, and how long ago?",
            Query(f"time() - lvsguard_last_check_timestamp_seconds{{{PROBED}}}"),
            {"instance": "Director", "check": "Check", "Value": "Ago"},
            links={"instance": ("The daemon", frame.TO_DAEMON)},
            unit="s",
            steps=((10, ORANGE), (60, RED)),
            runbook="checks-stalled",
        ),
        states(
            "Agent",
            "Does its agent answer? Only where it has one.",
            Query("lvsguard_realserver_agent_answering{@r}", "asked by {{instance}}"),
            words={1: ("answers", GREEN), 0: ("silent", ORANGE)},
        ),
    )


def _load() -> tuple[frame.Part, ...]:
    return (
        row("What does it do?"),
        course(
            "New connections",
            "How many new connections a second does it get?",
            Query(
                "sum by (instance) (rate(lvsguard_ipvs_connections_total{@r}[$__rate_interval]))",
                "by {{instance}}",
            ),
            unit="cps",
            width=8,
        ),
        course(
            "Connections",
            "How many connections has it? In a drain the active ones go to 0.",
            Query("max by (cluster) (lvsguard_ipvs_active_connections{@r})", "active {{cluster}}"),
            Query(
                "max by (cluster) (lvsguard_ipvs_inactive_connections{@r})", "inactive {{cluster}}"
            ),
            runbook="drain-forgotten",
            width=8,
        ),
        course(
            "Traffic from clients",
            "How many bytes a second do clients send to it?",
            Query(
                "sum by (instance)"
                ' (rate(lvsguard_ipvs_bytes_total{direction="in",@r}[$__rate_interval]))',
                "by {{instance}}",
            ),
            unit="Bps",
            width=8,
        ),
    )
