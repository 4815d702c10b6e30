"""Every metric: its name, type, meaning and labels, declared once. Nothing is measured here.

The reference page is made from this; a name or label that is missing here cannot be exposed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Types of the text exposition format."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric family."""

    name: str
    kind: Kind
    help: str
    """One sentence."""
    labels: tuple[str, ...] = ()


def _gauge(name: str, text: str, *labels: str) -> Metric:
    return Metric(f"lvsguard_{name}", Kind.GAUGE, text, labels)


def _counter(name: str, text: str, *labels: str) -> Metric:
    return Metric(f"lvsguard_{name}_total", Kind.COUNTER, text, labels)


def _histogram(name: str, text: str, *labels: str) -> Metric:
    return Metric(f"lvsguard_{name}", Kind.HISTOGRAM, text, labels)


# -- the program -------------------------------------------------------------------------------

BUILD_INFO = _gauge("build_info", "1; version of lvsguard and of Python.", "version", "python")
PROCESS_CPU = _counter(
    "process_cpu_seconds",
    "CPU time of each of the daemon's processes: controller, vrrp, prober0 and so on.",
    "process",
)
PROCESS_RESIDENT = _gauge(
    "process_resident_memory_bytes",
    "Resident memory of each of the daemon's processes; pages that they share count in each.",
    "process",
)
START_TIME = _gauge("start_time_seconds", "When the daemon started, in seconds since the epoch.")
CONFIG_INFO = _gauge(
    "config_info",
    "1; configuration in force: digest is that of all of it, served that of what is served and how "
    "(vip, service, ipvs, sync), which directors of a cluster should have in common.",
    "director",
    "digest",
    "served",
)
RELOAD_SUCCESS = _gauge("config_reload_success", "1 when the last reload was accepted, else 0.")
RELOAD_TIME = _gauge(
    "config_last_reload_success_timestamp_seconds",
    "When a configuration was accepted last, in seconds since the epoch.",
)
CONFIG_GENERATION = _gauge(
    "config_generation",
    "Number of the configuration in force: 1 since the start, one more for each accepted reload.",
)
RELOADS = _counter("config_reloads", "Reloads by outcome: accepted, refused.", "outcome")
HOOKS = _counter(
    "hook_events",
    "Events for a hook by outcome: done, retried, failed (given up), dropped (its queue was full).",
    "hook",
    "outcome",
)
EVENTS = _counter("events", "Events by kind, as in lvsguard events.", "kind")
OVERRIDES = _gauge("overrides", "Overrides in force by kind: drain, disable, weight.", "kind")
STATE_WRITABLE = _gauge(
    "state_writable", "1 when overrides and history reach the disk, 0 when they do not."
)

# -- the controller ----------------------------------------------------------------------------

PROGRAMMED = _gauge("programmed", "1 when the last pass left the kernel as wanted, else 0.")
TROUBLES = _gauge("troubles", "Things that are wrong now, as lvsguard status tells them.")
PASSES = _counter("passes", "Passes: read, decide, plan, apply.")
PASS_TIME = _gauge("last_pass_timestamp_seconds", "When the last pass ended, since the epoch.")
PASS_DURATION = _gauge("last_pass_duration_seconds", "How long the last pass took.")
PASS_SECONDS = _histogram("pass_duration_seconds", "How long passes took, writing included.")
READS = _counter("reads", "Reads of the kernel: the IPVS table and the addresses.")
READ_DURATION = _gauge("last_read_duration_seconds", "How long the last read of the kernel took.")
READ_CPU = _counter("read_cpu_seconds", "CPU time that reads of the kernel took.")
KERNEL_WRITES = _counter("kernel_writes", "Messages sent that change something in the kernel.")
KERNEL_ERRORS = _counter(
    "kernel_errors",
    "What the kernel refused: a step, or to be read or asked at all (access).",
    "kind",
)
DRIFT_REPAIRS = _counter(
    "drift_repairs",
    "Changes by somebody else that were mended, by what was changed.",
    "kind",
)
FOREIGN = _gauge("foreign_services", "Services in the kernel that the configuration does not name.")
VERDICT_TO_KERNEL = _histogram(
    "verdict_to_kernel_seconds", "From a change of verdict to the kernel's answer to the step."
)
LOOP_LAG = _histogram(
    "loop_lag_seconds", "How late the controller's timer was, four times a second."
)

# -- checks ------------------------------------------------------------------------------------

PROBERS = _gauge("probers", "Prober processes alive.")
PROBERS_WANTED = _gauge("probers_wanted", "Prober processes configured.")
PROBER_RESTARTS = _counter("prober_restarts", "Prober processes that ended and were replaced.")
PROBER_LATENESS = _gauge(
    "prober_lateness_seconds", "How late the prober's probes began in its last second.", "process"
)
PROBER_IN_FLIGHT = _gauge("prober_probes_in_flight", "Probes under way.", "process")
PROBER_WAITING = _gauge("prober_probes_waiting", "Probes that wait for a socket.", "process")
CHECKS = _gauge(
    "checks",
    "Checks that are configured; those of one realserver that differ in neither kind nor path are "
    "one.",
)
CHECKS_OVERDUE = _gauge(
    "checks_overdue",
    "Checks without a probe for 3 times their longest interval and timeout, and 5 s; "
    "lvsguard_last_check_timestamp_seconds tells which.",
)
VERDICT_CHANGES = _counter(
    "verdict_changes", "Changes of a check's verdict, by the new one.", "verdict"
)
PROBE_DURATION = _histogram(
    "probe_duration_seconds",
    "How long probes took, by service and kind of check. A check that several services share "
    "counts in each. Not by realserver, so that the number of series stays bounded.",
    "service",
    "kind",
)
PROBE_RESULTS = _counter(
    "probe_results",
    "Probes by result code (L4OK, L7OK: good; L4CON, L4TOUT, L6*, L7STS, L7RSP, L7TOUT: bad). "
    "realserver is the address and port that is probed.",
    "realserver",
    "check",
    "code",
)
PROBE_SECONDS = _counter(
    "probe_seconds",
    "How long its probes took, in sum, failed ones included; by the growth of "
    "lvsguard_probe_results_total it is the mean.",
    "realserver",
    "check",
)
PROBE_FAILURES = _counter(
    "probe_failures",
    "Probes that failed, by failure class: refused, host-dead, timeout, wrong, vip-path (only of a"
    " check via the VIP), local (the director could not ask).",
    "service",
    "kind",
    "failure",
)
CERTIFICATE_EXPIRY = _gauge(
    "certificate_expiry_timestamp_seconds",
    "When the certificate ends that the realserver showed last, in seconds since the epoch; of "
    "https checks.",
    "realserver",
    "check",
)
LAST_CHECK = _gauge(
    "last_check_timestamp_seconds",
    "When a realserver was probed last, in seconds since the epoch.",
    "realserver",
    "check",
)

# -- elections (only where a VIP group has one) ------------------------------------------------

VRRP_ALIVE = _gauge(
    "vrrp_process_alive", "1 when the VRRP process is there and speaks to the controller, else 0."
)
VRRP_RESTARTS = _counter(
    "vrrp_process_restarts", "VRRP processes that ended, or fell silent, and were started anew."
)
VRRP_REAL_TIME = _gauge(
    "vrrp_real_time", "1 when the VRRP process runs with real-time priority, else 0."
)
VRRP_STATE = _gauge(
    "vrrp_state",
    "1 for the role that this director has for the VIP group, 0 for the others.",
    "vip",
    "state",
)
VRRP_PRIORITY = _gauge("vrrp_priority", "Priority that this director stands with now.", "vip")
VRRP_READY = _gauge(
    "vrrp_ready", "1 when this director can serve the VIP group, 0 when it stands back.", "vip"
)
VRRP_SINCE = _gauge(
    "vrrp_last_change_timestamp_seconds",
    "When this director's role for the VIP group changed last, since the epoch.",
    "vip",
)
VRRP_TRANSITIONS = _counter("vrrp_transitions", "Changes of role, by the new one.", "vip", "to")
VRRP_SENT = _counter(
    "vrrp_adverts_sent", "Adverts sent; one for each path and each unicast peer.", "vip"
)
VRRP_RECEIVED = _counter("vrrp_adverts_received", "Adverts of others that were believed.", "vip")
VRRP_ZERO_SENT = _counter(
    "vrrp_priority_zero_adverts_sent",
    "Adverts of priority 0 sent, by which a master gives up at once.",
    "vip",
)
VRRP_ZERO_RECEIVED = _counter(
    "vrrp_priority_zero_adverts_received", "Adverts of priority 0 that were believed.", "vip"
)
VRRP_LATE = _counter(
    "vrrp_adverts_late",
    "Adverts that left late by more than half their interval, or not at all for that. By two "
    "intervals, and another director takes over.",
    "vip",
)
VRRP_REJECTED = _counter(
    "vrrp_adverts_rejected",
    "Adverts of others that were dropped, by reason; lvsguard events tells what to do about it.",
    "vip",
    "reason",
)
VRRP_DISCARDED = _counter(
    "vrrp_packets_discarded",
    "Packets that were thrown away before they were looked at as adverts, by reason; some of them "
    "are estimated from samples.",
    "reason",
)
VRRP_ANNOUNCEMENTS = _counter(
    "vrrp_announcements", "ARP and ND frames sent to tell neighbours where the VIPs are."
)
VRRP_CONFLICTS = _counter(
    "vrrp_conflicts", "Times that another master was heard while this director was master.", "vip"
)
ARP_CONFLICTS = _counter(
    "vip_arp_conflicts",
    "Times that somebody else answered ARP or ND for the VIP while this director was master.",
    "vip",
)
VRRP_LATENESS = _histogram(
    "vrrp_timer_lateness_seconds", "How late the VRRP process was to send its adverts."
)

# -- connections kept in step with the other directors (only where a VIP group has an election) ---

SYNC_DAEMON = _gauge(
    "sync_daemon_running",
    "1 when the kernel's sync daemon of this role (master: sends, backup: hears) runs as it "
    "should, else 0.",
    "role",
)
SYNC_DURATION = _histogram(
    "sync_transfer_duration_seconds",
    "How long it took to have a connection table sent (to a director that joins, or ahead of a "
    "handover) or received; its count is that of transfers.",
    "direction",
)
SYNC_CONNECTIONS = _counter(
    "sync_transferred_connections", "Connections in the tables sent and received.", "direction"
)
SYNC_FAILURES = _counter(
    "sync_transfer_failures",
    "Times that a connection table was not sent or did not come; what fails each time is counted "
    "once, until it goes well again.",
    "direction",
)
SYNC_LAST = _gauge(
    "sync_last_transfer_timestamp_seconds",
    "When a connection table was sent or received last, in seconds since the epoch.",
    "direction",
)

# -- VIPs, services, realservers ---------------------------------------------------------------

VIP_HELD = _gauge(
    "vip_held", "1 when the address stands on the interface, else 0.", "vip", "address"
)

VIP_CONFLICTS = _gauge(
    "vip_conflicts", "Others that claim an address of the VIP group now, by ARP or ND.", "vip"
)

PEER_HEARD = _gauge(
    "peer_heard", "1 while the director is heard over the peer channel, else 0.", "peer"
)
PEER_LAST_WORD = _gauge(
    "peer_last_word_timestamp_seconds", "Last word of the director; 0 before the first.", "peer"
)
PEER_SAME = _gauge(
    "peer_same",
    "1 while the director has the same config (of what is served and how), health or overrides, "
    "else 0; only while it is heard.",
    "peer",
    "what",
)

PEER_FIT = _gauge(
    "peer_fit",
    "1 while the director is fit to take over, else 0; lvsguard status says why.",
    "peer",
)
PEER_CONFIG_DIFFERENCES = _gauge(
    "peer_config_differences",
    "Keys of the configuration that the director has otherwise, those about the host among them.",
    "peer",
)
PEER_CLOCK = _gauge(
    "peer_clock_offset_seconds",
    "How far the director's clock is ahead of this one's; only while it is known.",
    "peer",
)

CLUSTER = _gauge(
    "cluster_connected",
    "1 while etcd, where directors meet, can be asked, else 0; only with [cluster] etcd.",
)

SERVICE_PRESENT = _gauge("service_present", "1 when the kernel has the service, else 0.", "service")
SERVICE_LIVE_WEIGHT = _gauge(
    "service_live_weight",
    "Sum of the weights of realservers that are up and not drained; a slow start counts whole.",
    "service",
)
SERVICE_QUORUM = _gauge(
    "service_quorum",
    "Live weight that the service needs to keep its quorum, or, once it is lost, to have it back.",
    "service",
)
SERVICE_PANIC = _gauge(
    "service_panic",
    "1 while realservers that are down are in because too little of the service is live, else 0.",
    "service",
)
SERVICE_SORRY = _gauge(
    "service_sorry_server", "1 while the sorry server is in the table, else 0.", "service"
)
SERVICE_RISING = _gauge(
    "service_slow_starting", "Realservers whose weight rises in a slow start.", "service"
)
SERVICE_REALSERVERS = _gauge(
    "service_realservers",
    "Realservers by verdict (up, down, unknown), drained ones included.",
    "service",
    "verdict",
)
SERVICE_CONNECTIONS = _counter(
    "ipvs_service_connections", "Connections that the kernel has scheduled.", "service"
)
SERVICE_PACKETS = _counter(
    "ipvs_service_packets",
    "Packets by direction; answers (out) pass the director with forwarding nat only.",
    "service",
    "direction",
)
SERVICE_BYTES = _counter(
    "ipvs_service_bytes",
    "Bytes by direction; answers (out) pass the director with forwarding nat only.",
    "service",
    "direction",
)

_RS = ("service", "realserver")
REALSERVER_INFO = _gauge(
    "realserver_info",
    "1; name in the configuration, and forwarding method.",
    *_RS,
    "name",
    "forwarding",
)
REALSERVER_UP = _gauge(
    "realserver_up", "1 when its checks pass, 0 when not or not yet known.", *_RS
)
REALSERVER_IN_TABLE = _gauge(
    "realserver_in_table", "1 when the kernel's table has it, else 0.", *_RS
)
REALSERVER_WEIGHT = _gauge(
    "realserver_weight", "Weight in the kernel; 0 when it is not in the table.", *_RS
)
REALSERVER_CONFIGURED = _gauge("realserver_configured_weight", "Weight in the configuration.", *_RS)
REALSERVER_ADMIN = _gauge("realserver_admin_state", "0 ready, 1 drained, 2 disabled.", *_RS)
REALSERVER_CHANGED = _gauge(
    "realserver_last_change_timestamp_seconds",
    "When its verdict changed last, since the epoch.",
    *_RS,
)
ADMIN_SINCE = _gauge(
    "realserver_admin_since_timestamp_seconds",
    "Since when it is drained or disabled; only while it is.",
    *_RS,
)
ADMIN_UNTIL = _gauge(
    "realserver_admin_until_timestamp_seconds",
    "When that ends by itself; only where it does.",
    *_RS,
)
REALSERVER_VIP_PATH = _gauge(
    "realserver_vip_path",
    "0 while it is down because it answers on its own address but not on the VIP, else 1; only with"
    " a check via the VIP.",
    *_RS,
)
AGENT_ANSWERS = _gauge(
    "realserver_agent_answering",
    "1 when its agent answered the last question, else 0; only where it has one.",
    *_RS,
)
AGENT_SHARE = _gauge(
    "realserver_agent_weight_ratio",
    "Share of the configured weight that its agent leaves it; drain, maint and down are 0.",
    *_RS,
)
CONNECTIONS = _counter(
    "ipvs_connections", "Connections scheduled to it since it is in the table.", *_RS
)
PACKETS = _counter(
    "ipvs_packets",
    "Packets by direction; answers (out) pass the director, and appear, with forwarding nat only.",
    *_RS,
    "direction",
)
BYTES = _counter(
    "ipvs_bytes",
    "Bytes by direction; answers (out) pass the director, and appear, with forwarding nat only.",
    *_RS,
    "direction",
)
ACTIVE = _gauge("ipvs_active_connections", "Connections that the kernel counts as active.", *_RS)
INACTIVE = _gauge(
    "ipvs_inactive_connections", "Connections that the kernel counts as inactive.", *_RS
)

# -- the exposition itself ---------------------------------------------------------------------

EXPOSITION_DURATION = _gauge(
    "exposition_duration_seconds", "How long the previous exposition took to be made and sent."
)
EXPOSITION_SLICE = _gauge(
    "exposition_longest_slice_seconds",
    "Longest time that the previous exposition kept the loop to itself.",
)

CATALOG = tuple(value for value in tuple(globals().values()) if isinstance(value, Metric))
"""Every metric, in the order of this file."""

_PREAMBLE = """\
# Metrics

`http://127.0.0.1:9852/metrics` (`[telemetry] listen`), in the Prometheus text format 0.0.4, or in
OpenMetrics 1.0 for whom the request's `Accept` header prefers it, as Prometheus does. Times are
seconds, sizes are bytes, counters only grow, except that the kernel begins anew when a
service or realserver is removed and added again.

Labels: `service` is the service's name in the configuration; `realserver` is `address:port`;
`vip` is the name of the VIP group; `check` is the kind of check and, for HTTP, its path without
the query. The usual `process_*` metrics of the controller's process are there too.

## How many series

What is configured bounds them; nothing that comes from the network becomes a label, but for a
check's result codes, at most 32 of a check. With R realservers (one that is in two services counts
twice), C checks of a realserver, S services and V VIP groups it is about

    12 R + 4 C R + S (14 + 20 K) + 45 V + 200

where K is the number of kinds of checks that a service has, usually 1: some 300 for two realservers
of one service, 20,000 for 1,000 in 100 services, 720,000 for 37,000 in 3,700. Whatever is counted
by a reason or a class has all of them from the start, at 0, so that `increase()` sees the first. A
realserver has two more while it is drained, and one or two each for an agent, a check via the VIP,
a certificate, forwarding nat, and each further result code. One that leaves the configuration takes
its series along. What an exposition of that size costs is in [the benchmarks](../benchmarks.md). A
Prometheus that need not know each realserver drops them when it scrapes:

```yaml
metric_relabel_configs:
  - source_labels: [realserver]
    regex: .+
    action: drop
```

There are no rates: `rate()` of the kernel's 64-bit totals is exact over any window, the kernel's
own estimate is smoothed over a few seconds that nobody chose; [the recording
rules](../howto/monitor-with-prometheus.md) have them ready.

There are no exemplars, though each verdict has an id. An exemplar is there to be followed into a
trace backend, and the ids lead to none; and a histogram of thousands of verdicts would need one for
each bucket, each scrape. An id is in the log's lines and in `LVSGUARD_TRACE=`; what became of its
verdict, from the probe to the kernel, `lvsguard events --id 3f29c01ab7` tells on the director.

## All of them

This page is made from `lvsguard/telemetry/catalog.py`.

| name | type | labels | meaning |
|---|---|---|---|
"""


def reference() -> str:
    """The reference page, in Markdown."""
    rows = [
        f"| `{m.name}` | {m.kind} | {', '.join(f'`{label}`' for label in m.labels)} | {m.help} |"
        for m in CATALOG
    ]
    return _PREAMBLE + "\n".join(rows) + "\n"
