"""The election: who is master, does the other stand ready, do they hear each other in time?"""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models

from grafana import frame
from grafana.parts import (
    GREEN,
    NONE_IS_GOOD,
    ORANGE,
    RED,
    SOME_IS_ODD,
    YELLOW,
    YES_IS_GOOD,
    Query,
    course,
    number,
    row,
    states,
)
from grafana.words import ROLES, role_of


def build(runbooks: str = frame.RUNBOOKS_URL) -> models.Dashboard:
    """The dashboard."""
    return frame.frame(
        frame.ELECTION,
        "lvsguard / Election",
        "Who is master, does the other stand ready, and do they hear each other in time?",
        (*_now(), *_roles(), *_adverts(), *_in_step()),
        variables=("instance", "vip"),
        runbooks=runbooks,
    )


def _now() -> tuple[frame.Part, ...]:
    return (
        row("Is there one master, and somebody to take over?"),
        number(
            "Masters",
            "How many directors are master of the VIP group that has the fewest? It must be 1.",
            Query('min(sum by (cluster, vip) (lvsguard_vrrp_state{state="master",@v}))'),
            words={0: ("none", RED), 1: ("one", GREEN), 2: ("two", RED)},
            runbook="no-master",
        ),
        number(
            "Two masters",
            "How many VIP groups have more than one master?",
            Query('sum(sum by (cluster, vip) (lvsguard_vrrp_state{state="master",@v}) > bool 1)'),
            steps=NONE_IS_GOOD,
            runbook="two-masters",
        ),
        number(
            "Directors that could serve",
            "How many directors could serve the VIP group that has the fewest?",
            Query("min(sum by (cluster, vip) (lvsguard_vrrp_ready{@v}))"),
            words={0: ("none", RED), 1: ("1: no standby", ORANGE)},
            runbook="standby-unfit",
        ),
        number(
            "Others that claim a VIP",
            "How many other machines answer for a VIP now, by ARP or ND?",
            Query("sum(lvsguard_vip_conflicts{@v})"),
            steps=NONE_IS_GOOD,
            runbook="vip-conflict",
        ),
        number(
            "VRRP processes that are gone",
            "How many directors have no VRRP process?",
            Query("sum(lvsguard_vrrp_process_alive{@i} == bool 0)"),
            steps=NONE_IS_GOOD,
            runbook="not-standing-by",
        ),
        number(
            "Without real-time priority",
            "How many VRRP processes may be late, since they have no real-time priority?",
            Query("sum(lvsguard_vrrp_real_time{@i} == bool 0)"),
            steps=((1, ORANGE),),
            runbook="without-real-time",
        ),
    )


def _roles() -> tuple[frame.Part, ...]:
    return (
        states(
            "Roles",
            "Which director had which role for each VIP group?",
            Query(role_of("@v"), "{{vip}} on {{instance}}"),
            words=ROLES,
            runbook="no-master",
        ),
        states(
            "Addresses",
            "Where did each address of the VIP groups stand?",
            Query("lvsguard_vip_held{@v}", "{{address}} on {{instance}}"),
            words={1: ("held", GREEN), 0: ("not here", "text")},
            runbook="two-masters",
        ),
        states(
            "Ready to be master",
            "Could each director serve, and if not, since when?",
            Query("lvsguard_vrrp_ready{@v}", "{{vip}} on {{instance}}"),
            words={1: ("ready", GREEN), 0: ("stands back", ORANGE)},
            runbook="not-standing-by",
        ),
        course(
            "Priorities",
            "With what priority does each director stand? It drops when something that is tracked"
            " fails.",
            Query("lvsguard_vrrp_priority{@v}", "{{vip}} on {{instance}}"),
            runbook="not-standing-by",
        ),
        course(
            "Changes of role",
            "How often did roles change, and to what?",
            Query(
                "sum by (cluster, instance, vip, to)"
                " (increase(lvsguard_vrrp_transitions_total{@v}[$__rate_interval])) > 0",
                "{{instance}}: {{vip}} to {{to}}",
            ),
            bars=True,
            runbook="failovers-repeated",
        ),
        course(
            "Conflicts",
            "Did somebody else claim a VIP while this director was master?",
            Query(
                "sum by (instance) (increase(lvsguard_vrrp_conflicts_total{@v}[$__rate_interval]))",
                "{{instance}}: another master",
            ),
            Query(
                "sum by (instance)"
                " (increase(lvsguard_vip_arp_conflicts_total{@v}[$__rate_interval]))",
                "{{instance}}: answers for the VIP",
            ),
            steps=NONE_IS_GOOD,
            bars=True,
            runbook="vip-conflict",
        ),
    )


def _adverts() -> tuple[frame.Part, ...]:
    late = "sum by (le) (rate(lvsguard_vrrp_timer_lateness_seconds_bucket{@i}[$__rate_interval]))"
    return (
        row("Do they hear each other in time?"),
        states(
            "Paths that carry adverts",
            "Is each path well, so that a cut of one is no split brain?",
            Query(
                "min by (instance, interface) (lvsguard_vrrp_path_heard{@v})",
                "{{interface}} to {{instance}}",
            ),
            words={1: ("carries", GREEN), 0: ("silent", ORANGE)},
            runbook="heartbeat-lost",
            width=24,
        ),
        course(
            "Adverts",
            "Does the master speak, and is it heard?",
            Query(
                "sum by (instance) (rate(lvsguard_vrrp_adverts_sent_total{@v}[$__rate_interval]))",
                "sent by {{instance}}",
            ),
            Query(
                "sum by (instance)"
                " (rate(lvsguard_vrrp_adverts_received_total{@v}[$__rate_interval]))",
                "heard by {{instance}}",
            ),
            unit="cps",
            runbook="two-masters",
        ),
        course(
            "How late adverts leave",
            "Do adverts leave when they are due? Two intervals too late is a change of director.",
            Query(f"histogram_quantile(0.5, {late})", "median"),
            Query(f"histogram_quantile(0.99, {late})", "p99"),
            Query(f"histogram_quantile(1, {late})", "the latest (its bucket)"),
            unit="s",
            steps=((0.1, YELLOW), (1, RED)),
            logarithmic=True,
            runbook="advert-late",
        ),
        course(
            "Late by half an interval and more",
            "Does a change of director draw near that nothing but lateness would cause?",
            Query(
                "sum by (instance)"
                " (increase(lvsguard_vrrp_adverts_late_total{@v}[$__rate_interval]))",
                "{{instance}}",
            ),
            steps=((1, ORANGE),),
            bars=True,
            runbook="advert-late",
        ),
        course(
            "Given up as planned",
            "Did a master give up by itself (priority 0), and did the others hear it?",
            Query(
                "sum by (instance) (increase("
                "lvsguard_vrrp_priority_zero_adverts_sent_total{@v}[$__rate_interval]))",
                "said by {{instance}}",
            ),
            Query(
                "sum by (instance) (increase("
                "lvsguard_vrrp_priority_zero_adverts_received_total{@v}[$__rate_interval]))",
                "heard by {{instance}}",
            ),
            bars=True,
        ),
        course(
            "Adverts that were dropped",
            "Which adverts of others were not believed, and why?",
            Query(
                "sum by (instance, reason)"
                " (increase(lvsguard_vrrp_adverts_rejected_total{@v}[$__rate_interval])) > 0",
                "{{instance}}: {{reason}}",
            ),
            steps=((1, ORANGE),),
            bars=True,
            runbook="adverts-rejected",
        ),
        course(
            "Packets that were thrown away",
            "What came in that was no advert at all?",
            Query(
                "sum by (instance, reason)"
                " (increase(lvsguard_vrrp_packets_discarded_total{@i}[$__rate_interval])) > 0",
                "{{instance}}: {{reason}}",
            ),
            bars=True,
        ),
        states(
            "VRRP processes",
            "Is each VRRP process there, and may it be on time?",
            Query("lvsguard_vrrp_process_alive{@i}", "{{instance}}: there"),
            Query("lvsguard_vrrp_real_time{@i}", "{{instance}}: real-time priority"),
            words=YES_IS_GOOD,
            runbook="without-real-time",
            width=8,
        ),
        course(
            "VRRP processes that ended",
            "Does a VRRP process end and come back, again and again?",
            Query(
                "sum by (instance)"
                " (increase(lvsguard_vrrp_process_restarts_total{@i}[$__rate_interval]))",
                "{{instance}}",
            ),
            steps=SOME_IS_ODD,
            bars=True,
            width=8,
            runbook="vrrp-process-restarts",
        ),
        course(
            "Announcements",
            "When were neighbours told where the VIPs are, by ARP and ND?",
            Query(
                "sum by (instance)"
                " (increase(lvsguard_vrrp_announcements_total{@i}[$__rate_interval]))",
                "{{instance}}",
            ),
            bars=True,
            width=8,
            runbook="failovers-repeated",
        ),
    )


def _in_step() -> tuple[frame.Part, ...]:
    return (
        row("Would connections survive?"),
        states(
            "Sync daemons of the kernel",
            "Does each kernel send its connections, and hear those of the other?",
            Query("lvsguard_sync_daemon_running{@i}", "{{role}} on {{instance}}"),
            words=YES_IS_GOOD,
            runbook="connections-not-in-step",
        ),
        course(
            "Connection tables sent and received",
            "How many connections went with whole tables, and how many tables failed?",
            Query(
                "sum by (instance, direction) (increase("
                "lvsguard_sync_transferred_connections_total{@i}[$__rate_interval])) > 0",
                "{{instance}}: {{direction}}",
            ),
            Query(
                "sum by (instance, direction) (increase("
                "lvsguard_sync_transfer_failures_total{@i}[$__rate_interval])) > 0",
                "{{instance}}: {{direction}}, failed",
            ),
            bars=True,
        ),
        states(
            "The other director",
            "Do the directors hear each other over the peer channel?",
            Query("lvsguard_peer_heard{@i}", "{{peer}}, as {{instance}} hears it"),
            words={1: ("heard", GREEN), 0: ("silent", RED)},
            runbook="peer-not-heard",
        ),
        states(
            "Do they agree?",
            "Have the directors the same configuration, overrides and view of the realservers?",
            Query("lvsguard_peer_same{@i}", "{{what}}: {{instance}} and {{peer}}"),
            words={1: ("the same", GREEN), 0: ("differs", ORANGE)},
            runbook="directors-differ",
        ),
        states(
            "Fit to take over?",
            "Could the other director take over now, as each one judges it?",
            Query("lvsguard_peer_fit{@i}", "{{peer}}, as {{instance}} judges it"),
            words={1: ("fit", GREEN), 0: ("unfit", ORANGE)},
            runbook="standby-unfit",
            width=8,
        ),
        states(
            "Can etcd be asked?",
            "Where directors meet in etcd: can each of them ask it?",
            Query("lvsguard_cluster_connected{@i}", "{{instance}}"),
            words=YES_IS_GOOD,
            runbook="cluster-lost",
            width=8,
        ),
        course(
            "Clocks",
            "How far is the other director's clock from this one's? From 2 s on it is unfit.",
            Query("abs(lvsguard_peer_clock_offset_seconds{@i})", "{{peer}} and {{instance}}"),
            unit="s",
            steps=((2, RED),),
            width=8,
            runbook="standby-unfit",
        ),
    )
