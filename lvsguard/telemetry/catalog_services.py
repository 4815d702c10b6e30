"""Metrics of services and realservers."""

from __future__ import annotations

from lvsguard.telemetry.metric import counter, declared, gauge

SERVICE_PRESENT = gauge("service_present", "1 when the kernel has the service, else 0.", "service")
SERVICE_LIVE_WEIGHT = gauge(
    "service_live_weight",
    "Sum of the weights of realservers that are up and not drained; a slow start counts whole.",
    "service",
)
SERVICE_QUORUM = gauge(
    "service_quorum",
    "Live weight that the service needs to keep its quorum, or, once it is lost, to have it back.",
    "service",
)
SERVICE_PANIC = gauge(
    "service_panic",
    "1 while realservers that are down are in because too little of the service is live, else 0.",
    "service",
)
SERVICE_SORRY = gauge(
    "service_sorry_server", "1 while the sorry server is in the table, else 0.", "service"
)
SERVICE_RISING = gauge(
    "service_slow_starting", "Realservers whose weight rises in a slow start.", "service"
)
SERVICE_REALSERVERS = gauge(
    "service_realservers",
    "Realservers by verdict (up, down, unknown), drained ones included.",
    "service",
    "verdict",
)
SERVICE_CONNECTIONS = counter(
    "ipvs_service_connections", "Connections that the kernel has scheduled.", "service"
)
SERVICE_PACKETS = counter(
    "ipvs_service_packets",
    "Packets by direction; answers (out) pass the director with forwarding nat only.",
    "service",
    "direction",
)
SERVICE_BYTES = counter(
    "ipvs_service_bytes",
    "Bytes by direction; answers (out) pass the director with forwarding nat only.",
    "service",
    "direction",
)

_RS = ("service", "realserver")
REALSERVER_INFO = gauge(
    "realserver_info",
    "1; name in the configuration, and forwarding method.",
    *_RS,
    "name",
    "forwarding",
)
REALSERVER_UP = gauge("realserver_up", "1 when its checks pass, 0 when not or not yet known.", *_RS)
REALSERVER_IN_TABLE = gauge(
    "realserver_in_table", "1 when the kernel's table has it, else 0.", *_RS
)
REALSERVER_WEIGHT = gauge(
    "realserver_weight", "Weight in the kernel; 0 when it is not in the table.", *_RS
)
REALSERVER_CONFIGURED = gauge("realserver_configured_weight", "Weight in the configuration.", *_RS)
REALSERVER_ADMIN = gauge("realserver_admin_state", "0 ready, 1 drained, 2 disabled.", *_RS)
REALSERVER_CHANGED = gauge(
    "realserver_last_change_timestamp_seconds",
    "When its verdict changed last, since the epoch; kept over restarts of the "
    "daemon. Of one without a check: when the daemon was started.",
    *_RS,
)
ADMIN_SINCE = gauge(
    "realserver_admin_since_timestamp_seconds",
    "Since when it is drained or disabled; only while it is.",
    *_RS,
)
ADMIN_UNTIL = gauge(
    "realserver_admin_until_timestamp_seconds",
    "When that ends by itself; only where it does.",
    *_RS,
)
REALSERVER_VIP_PATH = gauge(
    "realserver_vip_path",
    "0 while it is down because it answers on its own address but not on the VIP, else 1; only with"
    " a check via the VIP.",
    *_RS,
)
AGENT_ANSWERS = gauge(
    "realserver_agent_answering",
    "1 when its agent answered the last question, else 0; only where it has one.",
    *_RS,
)
AGENT_SHARE = gauge(
    "realserver_agent_weight_ratio",
    "Share of the configured weight that its agent leaves it; drain, maint and down are 0.",
    *_RS,
)
CONNECTIONS = counter(
    "ipvs_connections", "Connections scheduled to it; only while it is in the table.", *_RS
)
PACKETS = counter(
    "ipvs_packets",
    "Packets by direction; answers (out) pass the director, and appear, with forwarding nat only.",
    *_RS,
    "direction",
)
BYTES = counter(
    "ipvs_bytes",
    "Bytes by direction; answers (out) pass the director, and appear, with forwarding nat only.",
    *_RS,
    "direction",
)
ACTIVE = gauge("ipvs_active_connections", "Connections that the kernel counts as active.", *_RS)
INACTIVE = gauge(
    "ipvs_inactive_connections", "Connections that the kernel counts as inactive.", *_RS
)

CATALOG = declared(globals())
"""In the order of this file."""
