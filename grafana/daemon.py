"""The daemon itself: does it do its work, in time, at what cost?"""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models

from grafana import frame
from grafana.parts import (
    NONE_IS_GOOD,
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

LAG = "sum by (le) (rate(lvsguard_loop_lag_seconds_bucket{@i}[$__rate_interval]))"
WAY = "sum by (le) (rate(lvsguard_verdict_to_kernel_seconds_bucket{@i}[$__rate_interval]))"


def build(runbooks: str = frame.RUNBOOKS_URL) -> models.Dashboard:
    """The dashboard."""
    return frame.frame(
        frame.DAEMON,
        "lvsguard / The daemon itself",
        "Does the daemon do its work, in time, and at what cost?",
        (*_well(), *_kernel(), *_time(), *_cost()),
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
            "Do all directors have the same configuration? More than 1: they differ.",
            Query("count(count by (digest) (lvsguard_config_info{@i}))"),
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
                "digest": "Configuration",
                "Value": "Up",
            },
            words=YES_IS_GOOD,
            runbook="config-differs",
        ),
        rows(
            "Uptime",
            "Since when does each daemon run, and which version is it?",
            Query(
                "(time() - lvsguard_start_time_seconds{@i}) * on (instance)"
                " group_left (version, python) lvsguard_build_info{@i}"
            ),
            {"instance": "Instance", "version": "Version", "python": "Python", "Value": "Uptime"},
            unit="s",
            runbook="director-down",
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
            logarithmic=True,
        ),
    )


def _time() -> tuple[frame.Part, ...]:
    return (
        row("Is it in time?"),
        course(
            "How late the controller's loop is",
            "Is the loop held up? The bucket's bound, of a timer four times a second.",
            Query(f"histogram_quantile(0.5, {LAG})", "median"),
            Query(f"histogram_quantile(0.99, {LAG})", "p99"),
            unit="s",
            steps=((0.1, YELLOW), (1, RED)),
            logarithmic=True,
        ),
        course(
            "Passes and reads of the kernel",
            "How long do a whole pass and a read of the kernel take?",
            Query("lvsguard_last_pass_duration_seconds{@i}", "{{instance}}: pass"),
            Query("lvsguard_last_read_duration_seconds{@i}", "{{instance}}: read"),
            unit="s",
        ),
        course(
            "Since the last pass",
            "Is the controller stuck? /healthz is 503 after 10 s.",
            Query(
                "timestamp(lvsguard_last_pass_timestamp_seconds{@i})"
                " - lvsguard_last_pass_timestamp_seconds{@i}",
                "{{instance}}",
            ),
            unit="s",
            steps=((10, RED),),
            runbook="checks-stalled",
        ),
        course(
            "Since the last probe of the realserver that waits longest",
            "Is a realserver not being probed any more?",
            Query(
                "max by (instance) (timestamp(lvsguard_last_check_timestamp_seconds{@i})"
                " - lvsguard_last_check_timestamp_seconds{@i})",
                "{{instance}}",
            ),
            unit="s",
            steps=((10, YELLOW), (60, RED)),
            runbook="checks-stalled",
        ),
    )


def _cost() -> tuple[frame.Part, ...]:
    return (
        row("What does it cost?"),
        course(
            "CPU of the controller",
            "How much of a core does the controller take, and how much of that to read the kernel?",
            Query(
                "rate(process_cpu_seconds_total{@i}[$__rate_interval])"
                " and on (instance) lvsguard_build_info{@i}",
                "{{instance}}",
            ),
            Query(
                "rate(lvsguard_read_cpu_seconds_total{@i}[$__rate_interval])",
                "{{instance}}: reads",
            ),
            unit="percentunit",
            width=8,
        ),
        course(
            "Memory of the controller",
            "Does it grow?",
            Query(
                "process_resident_memory_bytes{@i} and on (instance) lvsguard_build_info{@i}",
                "{{instance}}",
            ),
            unit="bytes",
            width=8,
        ),
        course(
            "Scrapes",
            "How long does an exposition take, and how long does it hold up the loop at most?",
            Query("lvsguard_exposition_duration_seconds{@i}", "{{instance}}: whole"),
            Query("lvsguard_exposition_longest_slice_seconds{@i}", "{{instance}}: longest slice"),
            unit="s",
            width=8,
        ),
        course(
            "Children that were replaced",
            "Do probers or the VRRP process die?",
            Query(
                "sum by (instance)"
                " (increase(lvsguard_prober_restarts_total{@i}[$__rate_interval]))",
                "{{instance}}: probers",
            ),
            Query(
                "sum by (instance)"
                " (increase(lvsguard_vrrp_process_restarts_total{@i}[$__rate_interval]))",
                "{{instance}}: VRRP process",
            ),
            bars=True,
            width=8,
            runbook="checks-stalled",
        ),
        course(
            "Overrides in force",
            "How many drains, disables and weights did people set?",
            Query("max by (kind) (lvsguard_overrides{@i})", "{{kind}}"),
            width=8,
            runbook="drain-forgotten",
        ),
        course(
            "Services of others in the kernel",
            "How many services are there that the configuration does not name?",
            Query("lvsguard_foreign_services{@i}", "{{instance}}"),
            runbook="drift-repeated",
            width=8,
        ),
    )
