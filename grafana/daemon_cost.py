"""The daemon itself, continued: is it in time, and what does it cost?"""

from __future__ import annotations

from grafana import frame
from grafana.parts import RED, SOME_IS_ODD, YELLOW, Query, course, row

LAG = "sum by (le) (rate(lvsguard_loop_lag_seconds_bucket{@i}[$__rate_interval]))"
PASSES = "sum by (le) (rate(lvsguard_pass_duration_seconds_bucket{@i}[$__rate_interval]))"


def time() -> tuple[frame.Part, ...]:
    """Whether what must be done in time is."""
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
            steps=((1, RED),),
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
        course(
            "How long passes take",
            "How long do passes take, writing included?",
            Query(f"histogram_quantile(0.5, {PASSES})", "median"),
            Query(f"histogram_quantile(0.99, {PASSES})", "p99"),
            unit="s",
            steps=((1, RED),),
            logarithmic=True,
            runbook="checks-stalled",
        ),
        course(
            "Checks overdue",
            "How many checks have had no probe for long?",
            Query("lvsguard_checks_overdue{@i}", "{{instance}}"),
            steps=((1, RED),),
            runbook="checks-stalled",
        ),
        course(
            "How late probes begin",
            "Has a prober more to do than it can? At worst in its last second.",
            Query("lvsguard_prober_lateness_seconds{@i}", "{{instance}}: {{process}}"),
            unit="s",
            steps=((0.1, YELLOW), (1, RED)),
            runbook="checks-stalled",
        ),
        course(
            "Probes under way",
            "How many probes wait for an answer, and how many for a socket?",
            Query("lvsguard_prober_probes_in_flight{@i}", "{{instance}}: {{process}}"),
            Query(
                "lvsguard_prober_probes_waiting{@i}", "{{instance}}: {{process}} waits for a socket"
            ),
            runbook="checks-stalled",
        ),
    )


def cost() -> tuple[frame.Part, ...]:
    """What it takes of the machine."""
    return (
        row("What does it cost?"),
        course(
            "CPU of each process",
            "How much of a core does each process take, and how much of it the controller to read"
            " the kernel?",
            Query(
                "rate(lvsguard_process_cpu_seconds_total{@i}[$__rate_interval])",
                "{{instance}}: {{process}}",
            ),
            Query(
                "rate(lvsguard_read_cpu_seconds_total{@i}[$__rate_interval])",
                "{{instance}}: reads",
            ),
            unit="percentunit",
            steps=((0.9, RED),),
            width=8,
            runbook="advert-late",
        ),
        course(
            "Memory of each process",
            "Does one of them grow? Pages that they share count in each.",
            Query("lvsguard_process_resident_memory_bytes{@i}", "{{instance}}: {{process}}"),
            unit="bytes",
            width=8,
        ),
        course(
            "Scrapes",
            "How long does an exposition take, and how long does it hold up the loop at most?",
            Query("lvsguard_exposition_duration_seconds{@i}", "{{instance}}: whole"),
            Query("lvsguard_exposition_longest_slice_seconds{@i}", "{{instance}}: longest slice"),
            unit="s",
            steps=((2, RED),),
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
            steps=SOME_IS_ODD,
            bars=True,
            width=8,
            runbook="checks-stalled",
        ),
        course(
            "Overrides in force",
            "How many drains, disables and weights did people set?",
            Query("max by (cluster, kind) (lvsguard_overrides{@i})", "{{kind}} {{cluster}}"),
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
