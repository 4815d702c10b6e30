"""One service: has it enough realservers, do they share the load, are they quick?"""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models

from grafana import frame
from grafana.parts import (
    GREEN,
    NONE_IS_GOOD,
    ORANGE,
    PURPLE,
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

OF_SERVICE = (
    "* on (cluster, instance, realserver) group_left ()"
    " max by (cluster, instance, realserver) (lvsguard_realserver_up{@s} >= bool 0)"
)
"""Keeps of the checks, which know no service, those of this one's realservers."""


def build(runbooks: str = frame.RUNBOOKS_URL) -> models.Dashboard:
    """The dashboard."""
    return frame.frame(
        frame.SERVICE,
        "lvsguard / One service",
        "Has this service enough realservers, do they share the load, and do they answer quickly?",
        (*_enough(), *_realservers(), *_load(), *_checks()),
        variables=("instance", "service"),
        runbooks=runbooks,
    )


def _enough() -> tuple[frame.Part, ...]:
    return (
        row("Has it enough realservers?"),
        number(
            "In the kernel",
            "Does the kernel of each director that is chosen have the service?",
            Query("min(lvsguard_service_present{@s})"),
            words=YES_IS_GOOD,
            runbook="drift-repeated",
        ),
        number(
            "Live weight left above the quorum",
            "How much live weight may still go before the quorum is lost? 0: nothing.",
            Query("min(lvsguard_service_live_weight{@s} - lvsguard_service_quorum{@s})"),
            below=RED,
            steps=((0, ORANGE), (1, GREEN)),
            runbook="quorum-near",
        ),
        number(
            "Realservers down",
            "How many of its realservers fail their checks though nobody drained them?",
            Query(
                "sum(max by (cluster, realserver) ((lvsguard_realserver_up{@s} == bool 0)"
                " * (lvsguard_realserver_admin_state{@s} == bool 0)))"
            ),
            steps=NONE_IS_GOOD,
            runbook="realserver-down",
        ),
        number(
            "Panic",
            "Are realservers in that are down, because too little is live?",
            Query("max(lvsguard_service_panic{@s})"),
            words={0: ("no", GREEN), 1: ("panic", ORANGE)},
            runbook="panic",
        ),
        number(
            "Sorry server",
            "Do clients get the sorry server?",
            Query("max(lvsguard_service_sorry_server{@s})"),
            words={0: ("no", GREEN), 1: ("in", PURPLE)},
            runbook="quorum-lost",
        ),
        number(
            "In slow start",
            "How many realservers do not have their whole weight yet?",
            Query("max(lvsguard_service_slow_starting{@s})"),
        ),
    )


def _realservers() -> tuple[frame.Part, ...]:
    return (
        states(
            "Realservers",
            "Which realserver was in, and why was it not?",
            Query(state_of_realservers("@s"), "{{realserver}} {{cluster}}"),
            words=REALSERVERS,
            runbook="realserver-down",
        ),
        course(
            "Live weight and quorum",
            "How near is the service to the loss of its quorum?",
            Query("min by (cluster) (lvsguard_service_live_weight{@s})", "live weight {{cluster}}"),
            Query("max by (cluster) (lvsguard_service_quorum{@s})", "quorum {{cluster}}"),
            runbook="quorum-near",
        ),
        rows(
            "Its realservers",
            "Which realservers has it, and how are they now?",
            Query(state_of_realservers("@s")),
            {
                "cluster": "Cluster",
                "service": "Service",
                "realserver": "Realserver",
                "Value": "State",
            },
            words=REALSERVERS,
            links={"realserver": ("The realserver", frame.TO_REALSERVER)},
            runbook="realserver-down",
        ),
        course(
            "Weights in the kernel",
            "What share of new connections does each realserver get?",
            Query(
                "max by (cluster, realserver) (lvsguard_realserver_weight{@s})",
                "{{realserver}} {{cluster}}",
            ),
            stacked=True,
        ),
    )


def _load() -> tuple[frame.Part, ...]:
    return (
        row("Do they share the load?"),
        course(
            "New connections by realserver",
            "How many new connections a second does each realserver get?",
            Query(
                "sum by (cluster, realserver)"
                " (rate(lvsguard_ipvs_connections_total{@s}[$__rate_interval]))",
                "{{realserver}} {{cluster}}",
            ),
            unit="cps",
            stacked=True,
        ),
        course(
            "Active connections by realserver",
            "How many connections does each realserver have? On a backup those it was told of;"
            " this is the director with the most.",
            Query(
                "max by (cluster, realserver) (lvsguard_ipvs_active_connections{@s})",
                "{{realserver}} {{cluster}}",
            ),
        ),
        course(
            "Traffic from clients by realserver",
            "How many bytes a second do clients send to each realserver?",
            Query(
                "sum by (cluster, realserver)"
                ' (rate(lvsguard_ipvs_bytes_total{direction="in",@s}[$__rate_interval]))',
                "{{realserver}} {{cluster}}",
            ),
            unit="Bps",
            stacked=True,
        ),
        course(
            "Packets for each new connection",
            "Do the clients of a realserver send as much as those of its neighbours? One whose"
            " clients send few is perhaps ill, though its checks pass.",
            Query(
                "sum by (cluster, realserver)"
                ' (rate(lvsguard_ipvs_packets_total{direction="in",@s}[$__rate_interval]))'
                " / (sum by (cluster, realserver)"
                " (rate(lvsguard_ipvs_connections_total{@s}[$__rate_interval])) > 0)",
                "{{realserver}} {{cluster}}",
            ),
        ),
    )


def _checks() -> tuple[frame.Part, ...]:
    buckets = (
        "sum by (le, kind) (rate(lvsguard_probe_duration_seconds_bucket{@s}[$__rate_interval]))"
    )
    return (
        row("Do they answer quickly?"),
        course(
            "How long probes take",
            "How long does a probe take at the median and at the 99th percentile? The histogram's"
            " buckets are what it can be told by. By default a probe has 1 s.",
            Query(f"histogram_quantile(0.5, {buckets})", "{{kind}} median"),
            Query(f"histogram_quantile(0.99, {buckets})", "{{kind}} p99"),
            unit="s",
            steps=((0.5, YELLOW), (1, RED)),
            logarithmic=True,
            width=8,
        ),
        course(
            "Failed probes by class",
            "Why do probes of its realservers fail? refused: nothing listens; host-dead, timeout:"
            " no answer; wrong: another one than expected; vip-path: not on the VIP; local: the"
            " director could not ask.",
            Query(
                "sum by (failure) (rate(lvsguard_probe_failures_total{@s}[$__rate_interval])) > 0",
                "{{failure}}",
            ),
            unit="cps",
            bars=True,
            runbook="realserver-down",
            width=8,
        ),
        course(
            "Failed probes by code",
            "How do probes of its realservers fail? L4CON: refused; L4TOUT, L7TOUT: no answer in"
            " time; L7STS: a wrong status. Of realservers that are probed on the service's port.",
            Query(
                'sum by (code) (rate(lvsguard_probe_results_total{code!~"L[47]OK",@i}'
                f"[$__rate_interval]) {OF_SERVICE}) > 0",
                "{{code}}",
            ),
            unit="cps",
            bars=True,
            runbook="realserver-flapping",
            width=8,
        ),
    )
