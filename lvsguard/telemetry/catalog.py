"""Every metric: its name, type, meaning and labels, declared once. Nothing is measured here.

Here are those of the program and the controller; checks, elections and services have files of their
own. The reference page is made from them; a name or label that is missing there cannot be exposed.
"""

from __future__ import annotations

from lvsguard.telemetry import catalog_checks, catalog_elections, catalog_services
from lvsguard.telemetry.metric import counter, declared, gauge, histogram

# -- the program -------------------------------------------------------------------------------

BUILD_INFO = gauge("build_info", "1; version of lvsguard and of Python.", "version", "python")
PROCESS_CPU = counter(
    "process_cpu_seconds",
    "CPU time of each of the daemon's processes: controller, vrrp, prober0 and so on.",
    "process",
)
PROCESS_RESIDENT = gauge(
    "process_resident_memory_bytes",
    "Resident memory of each of the daemon's processes; pages that they share count in each.",
    "process",
)
START_TIME = gauge("start_time_seconds", "When the daemon started, in seconds since the epoch.")
CONFIG_INFO = gauge(
    "config_info",
    "1; configuration in force: digest is that of all of it, served that of what is served and how "
    "(vip, service, ipvs, sync), which directors of a cluster should have in common.",
    "director",
    "digest",
    "served",
)
RELOAD_SUCCESS = gauge("config_reload_success", "1 when the last reload was accepted, else 0.")
RELOAD_TIME = gauge(
    "config_last_reload_success_timestamp_seconds",
    "When a configuration was accepted last, in seconds since the epoch.",
)
CONFIG_GENERATION = gauge(
    "config_generation",
    "Number of the configuration in force: 1 since the start, one more for each accepted reload.",
)
RELOADS = counter("config_reloads", "Reloads by outcome: accepted, refused.", "outcome")
HOOKS = counter(
    "hook_events",
    "Events for a hook by outcome: done, retried, failed (given up), dropped (its queue was full).",
    "hook",
    "outcome",
)
EVENTS = counter("events", "Events by kind, as in lvsguard events.", "kind")
OVERRIDES = gauge("overrides", "Overrides in force by kind: drain, disable, weight.", "kind")
STATE_WRITABLE = gauge(
    "state_writable", "1 when overrides and history reach the disk, 0 when they do not."
)

# -- the controller ----------------------------------------------------------------------------

PROGRAMMED = gauge("programmed", "1 when the last pass left the kernel as wanted, else 0.")
TROUBLES = gauge("troubles", "Things that are wrong now, as lvsguard status tells them.")
PASSES = counter("passes", "Passes: read, decide, plan, apply.")
PASS_TIME = gauge("last_pass_timestamp_seconds", "When the last pass ended, since the epoch.")
PASS_DURATION = gauge("last_pass_duration_seconds", "How long the last pass took.")
PASS_SECONDS = histogram("pass_duration_seconds", "How long passes took, writing included.")
READS = counter("reads", "Reads of the kernel: the IPVS table and the addresses.")
READ_DURATION = gauge("last_read_duration_seconds", "How long the last read of the kernel took.")
READ_CPU = counter("read_cpu_seconds", "CPU time that reads of the kernel took.")
KERNEL_WRITES = counter("kernel_writes", "Messages sent that change something in the kernel.")
KERNEL_ERRORS = counter(
    "kernel_errors",
    "What the kernel refused: a step, or to be read or asked at all (access).",
    "kind",
)
DRIFT_REPAIRS = counter(
    "drift_repairs",
    "Changes by somebody else that were mended, by what was changed.",
    "kind",
)
FOREIGN = gauge("foreign_services", "Services in the kernel that the configuration does not name.")
VERDICT_TO_KERNEL = histogram(
    "verdict_to_kernel_seconds", "From a change of verdict to the kernel's answer to the step."
)
LOOP_LAG = histogram(
    "loop_lag_seconds", "How late the controller's timer was, four times a second."
)

_PROGRAM = declared(globals())

# -- the exposition itself ---------------------------------------------------------------------

EXPOSITION_DURATION = gauge(
    "exposition_duration_seconds", "How long the previous exposition took to be made and sent."
)
EXPOSITION_SLICE = gauge(
    "exposition_longest_slice_seconds",
    "Longest time that the previous exposition kept the loop to itself.",
)

CATALOG = (
    *_PROGRAM,
    *catalog_checks.CATALOG,
    *catalog_elections.CATALOG,
    *catalog_services.CATALOG,
    EXPOSITION_DURATION,
    EXPOSITION_SLICE,
)
"""Every metric, in the order of the reference page."""
