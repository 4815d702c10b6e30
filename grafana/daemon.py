"""The daemon itself: does it do its work, in time, at what cost?"""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models

from grafana import daemon_cost, frame
from grafana.parts import (
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
    rows,
    states,
)

WAY = "sum by (le) (rate(lvsguard_verdict_to_kernel_seconds_bucket{@i}[$__rate_interval]))"


def build(runbooks: str = frame.RUNBOOKS_URL) -> models.Dashboard:
    """The dashboard."""
    return frame.frame(
        frame.DAEMON,
        "lvsguard / The daemon itself",
        "Does the daemon do its work, in time, and at what cost?",
        (*_well(), *_kernel(), *daemon_cost.time(), *daemon_cost.cost()),
        runbooks=runbooks,
    )


def _well() -> tuple[frame.Part, ...]:
    return (
        row("Does it do its work?"),
        number(
            "Kernel as wanted",
            "Did the last pass leave the kernel as it should be, on every director?",
            Query("min(lvsguard_programmed{@i})"),
            words=YES_IS_GOOD,
            runbook="kernel-not-as-wanted",
        ),
        number(
            "Troubles",
            "How many things are wrong now, as lvsguard status tells them?",
            Query("sum(lvsguard_troubles{@i})"),
            steps=NONE_IS_GOOD,
            runbook="kernel-not-as-wanted",
        ),
        number(
            "Configuration accepted",
            "Was the last reload accepted?",
            Query("min(lvsguard_config_reload_success{@i})"),
            words=YES_IS_GOOD,
            runbook="reload-refused",
        ),
        number(
            "Configurations in force",
            "Do all directors of a cluster serve by the same configuration? More than 1: they"
            " differ.",
            Query(
                "max(count by (cluster) (count by (cluster, served) (lvsguard_config_info{@i})))"
            ),
            steps=((2, ORANGE),),
            runbook="config-differs",
        ),
        number(
            "Probers missing",
            "How many prober processes are not there?",
            Query("sum(lvsguard_probers_wanted{@i} - lvsguard_probers{@i})"),
            steps=NONE_IS_GOOD,
            runbook="checks-stalled",
        ),
        number(
            "State can be written",
            "Do overrides and history reach the disk?",
            Query("min(lvsguard_state_writable{@i})"),
            words=YES_IS_GOOD,
            runbook="state-not-kept",
        ),
        states(
            "Is it well?",
            "Since when is something wrong with a daemon, and with which?",
            Query("lvsguard_programmed{@i}", "{{instance}}: kernel as wanted"),
            Query("lvsguard_config_reload_success{@i}", "{{instance}}: configuration accepted"),
            Query("lvsguard_state_writable{@i}", "{{instance}}: state can be written"),
            Query(
                "lvsguard_probers{@i} >= bool lvsguard_probers_wanted{@i}",
                "{{instance}}: all probers there",
            ),
            words=YES_IS_GOOD,
            runbook="kernel-not-as-wanted",
            width=24,
        ),
        rows(
            "Directors",
            "Which configuration has each director, by its own name?",
            Query("lvsguard_config_info{@i}"),
            {
                "instance": "Instance",
                "director": "Director",
                "served": "What is served",
                "digest": "Whole configuration",
                "Value": "Up",
            },
            words=YES_IS_GOOD,
            runbook="config-differs",
        ),
        rows(
            "Uptime",
            "Since when does each daemon run, and which version is it?",
            Query(
                "(time() - lvsguard_start_time_seconds{@i}) * on (cluster, instance)"
                " group_left (version, python) lvsguard_build_info{@i}"
            ),
            {"instance": "Instance", "version": "Version", "python": "Python", "Value": "Uptime"},
            unit="s",
            runbook="director-down",
        ),
        course(
            "Events that hooks missed",
            "Is somebody not told of what happens, since a command or a webhook fails?",
            Query(
                "sum by (instance, hook, outcome) (increase("
                'lvsguard_hook_events_total{outcome=~"failed|dropped",@i}[$__rate_interval]))',
                "{{instance}}: {{hook}} ({{outcome}})",
            ),
            steps=SOME_IS_ODD,
            bars=True,
            width=24,
            runbook="hook-failing",
        ),
    )


def _kernel() -> tuple[frame.Part, ...]:
    return (
        row("What does it do to the kernel?"),
        course(
            "Repairs of what somebody else changed",
            "Does somebody else write the same table or addresses?",
            Query(
                "sum by (instance, kind)"
                " (increase(lvsguard_drift_repairs_total{@i}[$__rate_interval])) > 0",
                "{{instance}}: {{kind}}",
            ),
            steps=SOME_IS_ODD,
            bars=True,
            runbook="drift-repeated",
        ),
        course(
            "Writes, and what was refused",
            "How much does it change, and does the kernel take it?",
            Query(
                "sum by (instance) (increase(lvsguard_kernel_writes_total{@i}[$__rate_interval]))",
                "{{instance}}: writes",
            ),
            Query(
                "sum by (instance, kind)"
                " (increase(lvsguard_kernel_errors_total{@i}[$__rate_interval])) > 0",
                "{{instance}}: refused ({{kind}})",
            ),
        ),
        course(
            "Changes of verdict",
            "How many verdicts of checks changed, and to what?",
            Query(
                "sum by (verdict)"
                " (increase(lvsguard_verdict_changes_total{@i}[$__rate_interval])) > 0",
                "{{verdict}}",
            ),
            bars=True,
            runbook="realserver-flapping",
        ),
        course(
            "From a verdict to the kernel",
            "How long after a change of verdict had the kernel taken it?",
            Query(f"histogram_quantile(0.5, {WAY})", "median"),
            Query(f"histogram_quantile(0.99, {WAY})", "p99"),
            unit="s",
            steps=((0.1, YELLOW), (1, RED)),
            logarithmic=True,
        ),
    )
