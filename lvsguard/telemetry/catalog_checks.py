"""Metrics of checks, their probes and the probers."""

from __future__ import annotations

from lvsguard.telemetry.metric import counter, declared, gauge, histogram

PROBERS = gauge("probers", "Prober processes alive.")
PROBERS_WANTED = gauge("probers_wanted", "Prober processes configured.")
PROBER_RESTARTS = counter("prober_restarts", "Prober processes that ended and were replaced.")
PROBER_LATENESS = gauge(
    "prober_lateness_seconds", "How late the prober's probes began in its last second.", "process"
)
PROBER_IN_FLIGHT = gauge("prober_probes_in_flight", "Probes under way.", "process")
PROBER_WAITING = gauge("prober_probes_waiting", "Probes that wait for a socket.", "process")
CHECKS = gauge(
    "checks",
    "Checks that are configured; those of one realserver that differ in neither kind nor path are "
    "one.",
)
CHECKS_OVERDUE = gauge(
    "checks_overdue",
    "Checks without a probe for 3 times their longest interval and timeout, and 5 s; "
    "lvsguard_last_check_timestamp_seconds tells which.",
)
VERDICT_CHANGES = counter(
    "verdict_changes", "Changes of a check's verdict, by the new one.", "verdict"
)
PROBE_DURATION = histogram(
    "probe_duration_seconds",
    "How long probes took, by service and kind of check. A check that several services share "
    "counts in each. Not by realserver, so that the number of series stays bounded.",
    "service",
    "kind",
)
PROBE_RESULTS = counter(
    "probe_results",
    "Probes by result code (L4OK, L7OK: good; L4CON, L4TOUT, L6*, L7STS, L7RSP, L7TOUT: bad). "
    "realserver is the address and port that is probed.",
    "realserver",
    "check",
    "code",
)
PROBE_SECONDS = counter(
    "probe_seconds",
    "How long its probes took, in sum, failed ones included; by the growth of "
    "lvsguard_probe_results_total it is the mean.",
    "realserver",
    "check",
)
PROBE_FAILURES = counter(
    "probe_failures",
    "Probes that failed, by failure class: refused, host-dead, timeout, wrong, vip-path (only of a"
    " check via the VIP), local (the director could not ask).",
    "service",
    "kind",
    "failure",
)
CERTIFICATE_EXPIRY = gauge(
    "certificate_expiry_timestamp_seconds",
    "When the certificate ends that the realserver showed last, in seconds since the epoch; of "
    "https checks.",
    "realserver",
    "check",
)
LAST_CHECK = gauge(
    "last_check_timestamp_seconds",
    "When a realserver was probed last, in seconds since the epoch.",
    "realserver",
    "check",
)

CATALOG = declared(globals())
"""In the order of this file."""
