"""The fleet: is everybody served, by whom, and what is not as it should be?"""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models

from grafana import frame
from grafana.parts import (
    BLUE,
    GREEN,
    NONE_IS_GOOD,
    ORANGE,
    PURPLE,
    RED,
    SCRAPED,
    SOME_IS_ODD,
    Query,
    course,
    number,
    row,
    rows,
    states,
)
from grafana.words import ROLES, role_of

SERVICES = {
    0: ("well", GREEN),
    1: ("quorum lost", RED),
    2: ("sorry server", PURPLE),
    3: ("quorum lost, sorry server", PURPLE),
    4: ("panic", ORANGE),
    5: ("quorum lost, panic", ORANGE),
    6: ("sorry server, panic", ORANGE),
    7: ("quorum lost, sorry server, panic", ORANGE),
}
OUT = {
    1: ("drained", BLUE),
    2: ("disabled", BLUE),
    10: ("down", RED),
    11: ("down, drained", ORANGE),
    12: ("down, disabled", ORANGE),
}
STATE_OF_SERVICES = (
    "max by (cluster, service)"
    " ((lvsguard_service_live_weight{@i} < bool lvsguard_service_quorum{@i})"
    " + 2 * lvsguard_service_sorry_server{@i} + 4 * lvsguard_service_panic{@i})"
)
NOT_IN = (
    "(max by (cluster, service, realserver) (lvsguard_realserver_admin_state{@i})"
    " + 10 * max by (cluster, service, realserver) (lvsguard_realserver_up{@i} == bool 0)) > 0"
)
ALERTS = 'ALERTS{alertname=~"Lvsguard.*",alertstate="firing",@c,'
FIRING = f'{ALERTS}severity="warning"}} or 2 * {ALERTS}severity="critical"}}'
SEVERITIES = {1: ("warning", ORANGE), 2: ("critical", RED)}
"""By ``FIRING``, which asks for all directors: many alerts are about no single one."""
DAY_S = 86400
LEFT = (
    "max by (cluster, realserver, check) (lvsguard_certificate_expiry_timestamp_seconds{@i})"
    " - time()"
)


def build(runbooks: str = frame.RUNBOOKS_URL) -> models.Dashboard:
    """The dashboard."""
    return frame.frame(
        frame.OVERVIEW,
        "lvsguard / Fleet overview",
        "Is everybody served, by which director, and what is not as it should be?",
        (
            row("Is everybody served?"),
            number(
                "Services without quorum",
                "How many services have fewer live realservers than they need?",
                Query(
                    "sum(max by (cluster, service)"
                    " (lvsguard_service_live_weight{@i} < bool lvsguard_service_quorum{@i}))"
                ),
                steps=NONE_IS_GOOD,
                runbook="quorum-lost",
            ),
            number(
                "Realservers down",
                "How many realservers fail their checks though nobody drained them?",
                Query(
                    "sum(max by (cluster, service, realserver)"
                    " ((lvsguard_realserver_up{@i} == bool 0)"
                    " * (lvsguard_realserver_admin_state{@i} == bool 0)))"
                ),
                steps=NONE_IS_GOOD,
                runbook="realserver-down",
            ),
            number(
                "Drained or disabled",
                "How many realservers did somebody take out, and perhaps forget?",
                Query(
                    "sum(max by (cluster, service, realserver)"
                    " (lvsguard_realserver_admin_state{@i} > bool 0))"
                ),
                steps=SOME_IS_ODD,
                runbook="drain-forgotten",
            ),
            number(
                "VIP groups without a master",
                "How many VIP groups does no director answer for?",
                Query(
                    'sum(sum by (cluster, vip) (lvsguard_vrrp_state{state="master",@i}) == bool 0)'
                ),
                steps=NONE_IS_GOOD,
                runbook="no-master",
            ),
            number(
                "VIP groups with two masters",
                "For how many VIP groups do two directors answer, since they do not hear each"
                " other?",
                Query(
                    'sum(sum by (cluster, vip) (lvsguard_vrrp_state{state="master",@i}) > bool 1)'
                ),
                steps=NONE_IS_GOOD,
                runbook="two-masters",
            ),
            number(
                "Directors that do not answer",
                "How many directors could Prometheus not scrape?",
                Query(f"sum(up{{{SCRAPED},@i}} == bool 0)"),
                steps=NONE_IS_GOOD,
                runbook="director-down",
            ),
            states(
                "Who is master",
                "Which director had which role for each VIP group, and when did it change?",
                Query(role_of("@i"), "{{vip}} on {{instance}}"),
                words=ROLES,
                runbook="no-master",
                height=7,
            ),
            states(
                "Services",
                "Which service lost its quorum, went into panic or to its sorry server, and when?",
                Query(STATE_OF_SERVICES, "{{service}} {{cluster}}"),
                words=SERVICES,
                runbook="quorum-lost",
                height=7,
            ),
            *_alerts(),
            row("How much is it?"),
            course(
                "New connections by service",
                "How many new connections a second does the kernel schedule for each service?",
                Query(
                    "sum by (cluster, service)"
                    " (rate(lvsguard_ipvs_service_connections_total{@i}[$__rate_interval]))",
                    "{{service}} {{cluster}}",
                ),
                unit="cps",
                stacked=True,
            ),
            course(
                "Traffic from clients by service",
                "How many bytes a second do clients send to each service? Answers pass the"
                " director with forwarding nat only.",
                Query(
                    "sum by (cluster, service) (rate("
                    'lvsguard_ipvs_service_bytes_total{direction="in",@i}[$__rate_interval]))',
                    "{{service}} {{cluster}}",
                ),
                unit="Bps",
                stacked=True,
            ),
            course(
                "Share of realservers that are up",
                "How much of each service is left? All of it is well; less than half is not.",
                Query(
                    "avg by (cluster, service)"
                    " (max by (cluster, service, realserver) (lvsguard_realserver_up{@i}))",
                    "{{service}} {{cluster}}",
                ),
                unit="percentunit",
                steps=((0.5, ORANGE), (1, GREEN)),
                below=RED,
                maximum=1,
                runbook="quorum-near",
            ),
            course(
                "Active connections by service",
                "How many connections does each service have? A backup counts those that it was"
                " told of, so this is what the director with the most has.",
                Query(
                    "sum by (cluster, service) (max by (cluster, service, realserver)"
                    " (lvsguard_ipvs_active_connections{@i}))",
                    "{{service}} {{cluster}}",
                ),
                stacked=True,
            ),
            row("What happened, and what is left of it?"),
            course(
                "Events by kind",
                "What happened, and when? lvsguard events tells each of them.",
                Query(
                    "sum by (kind) (increase(lvsguard_events_total{@i}[$__rate_interval])) > 0",
                    "{{kind}}",
                ),
                bars=True,
            ),
            rows(
                "Realservers that are not in",
                "Which realservers get no new connections now, and is that somebody's wish?",
                Query(NOT_IN),
                {
                    "cluster": "Cluster",
                    "service": "Service",
                    "realserver": "Realserver",
                    "Value": "State",
                },
                words=OUT,
                links={
                    "service": ("The service", frame.TO_SERVICE),
                    "realserver": ("The realserver", frame.TO_REALSERVER),
                },
                runbook="realserver-down",
            ),
        ),
        runbooks=runbooks,
    )


def _alerts() -> tuple[frame.Part, ...]:
    return (
        row("Which alerts fire, and what comes next?"),
        rows(
            "Alerts that fire",
            "Which alerts fire now, and for whom? The runbook has the alert's name.",
            Query(
                f"max by (alertname, cluster, instance, peer, vip, service, realserver) ({FIRING})"
            ),
            {
                "alertname": "Alert",
                "cluster": "Cluster",
                "instance": "Director",
                "peer": "Other director",
                "vip": "VIP group",
                "service": "Service",
                "realserver": "Realserver",
                "Value": "Severity",
            },
            words=SEVERITIES,
            runbook="README",
            width=24,
        ),
        states(
            "Alerts",
            "Which alerts fired, and when?",
            Query(f"max by (alertname) ({FIRING})", "{{alertname}}"),
            words=SEVERITIES,
            runbook="README",
            width=24,
            height=12,
        ),
        rows(
            "Certificates",
            "When do the certificates end that realservers show to https checks?",
            Query(f"sort({LEFT})"),
            {
                "cluster": "Cluster",
                "realserver": "Realserver",
                "check": "Check",
                "Value": "Ends in",
            },
            unit="s",
            steps=((3 * DAY_S, ORANGE), (14 * DAY_S, GREEN)),
            below=RED,
            runbook="certificate-expiring",
        ),
        course(
            "Days until certificates end",
            "How many days has each certificate left, and was it renewed?",
            Query(f"({LEFT}) / {DAY_S}", "{{realserver}} {{check}} {{cluster}}"),
            unit="d",
            steps=((3, ORANGE), (14, GREEN)),
            below=RED,
            runbook="certificate-expiring",
        ),
    )
