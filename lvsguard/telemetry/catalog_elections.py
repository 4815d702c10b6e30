"""Metrics of elections, of VIPs, and of what directors know of each other."""

from __future__ import annotations

from lvsguard.telemetry.metric import counter, declared, gauge, histogram

# -- elections (only where a VIP group has one) ------------------------------------------------

VRRP_ALIVE = gauge(
    "vrrp_process_alive", "1 when the VRRP process is there and speaks to the controller, else 0."
)
VRRP_RESTARTS = counter(
    "vrrp_process_restarts", "VRRP processes that ended, or fell silent, and were started anew."
)
VRRP_REAL_TIME = gauge(
    "vrrp_real_time", "1 when the VRRP process runs with real-time priority, else 0."
)
VRRP_STATE = gauge(
    "vrrp_state",
    "1 for the role that this director has for the VIP group, 0 for the others.",
    "vip",
    "state",
)
VRRP_PRIORITY = gauge("vrrp_priority", "Priority that this director stands with now.", "vip")
VRRP_READY = gauge(
    "vrrp_ready", "1 when this director can serve the VIP group, 0 when it stands back.", "vip"
)
VRRP_SINCE = gauge(
    "vrrp_last_change_timestamp_seconds",
    "When this director's role for the VIP group changed last, since the epoch.",
    "vip",
)
VRRP_PATH = gauge(
    "vrrp_path_heard",
    "1 while adverts of another director come by this interface, and of a master while its own go "
    "out there, for it hears nobody; 0 when a backup has heard none for three master-down "
    "intervals, or an interface is down.",
    "vip",
    "interface",
)
VRRP_TRANSITIONS = counter("vrrp_transitions", "Changes of role, by the new one.", "vip", "to")
VRRP_SENT = counter(
    "vrrp_adverts_sent", "Adverts sent; one for each path and each unicast peer.", "vip"
)
VRRP_RECEIVED = counter("vrrp_adverts_received", "Adverts of others that were believed.", "vip")
VRRP_ZERO_SENT = counter(
    "vrrp_priority_zero_adverts_sent",
    "Adverts of priority 0 sent, by which a master gives up at once.",
    "vip",
)
VRRP_ZERO_RECEIVED = counter(
    "vrrp_priority_zero_adverts_received", "Adverts of priority 0 that were believed.", "vip"
)
VRRP_LATE = counter(
    "vrrp_adverts_late",
    "Adverts that left late by more than half their interval, or not at all for that. By two "
    "intervals, and another director takes over.",
    "vip",
)
VRRP_REJECTED = counter(
    "vrrp_adverts_rejected",
    "Adverts of others that were dropped, by reason; lvsguard events tells what to do about it.",
    "vip",
    "reason",
)
VRRP_DISCARDED = counter(
    "vrrp_packets_discarded",
    "Packets that were thrown away before they were looked at as adverts, by reason; some of them "
    "are estimated from samples.",
    "reason",
)
VRRP_ANNOUNCEMENTS = counter(
    "vrrp_announcements", "ARP and ND frames sent to tell neighbours where the VIPs are."
)
VRRP_CONFLICTS = counter(
    "vrrp_conflicts", "Times that another master was heard while this director was master.", "vip"
)
ARP_CONFLICTS = counter(
    "vip_arp_conflicts",
    "Times that somebody else answered ARP or ND for the VIP while this director was master.",
    "vip",
)
VRRP_LATENESS = histogram(
    "vrrp_timer_lateness_seconds", "How late the VRRP process was to send its adverts."
)

# -- connections kept in step with the other directors (only where a VIP group has an election) ---

SYNC_DAEMON = gauge(
    "sync_daemon_running",
    "1 when the kernel's sync daemon of this role (master: sends, backup: hears) runs as it "
    "should, else 0.",
    "role",
)
SYNC_DURATION = histogram(
    "sync_transfer_duration_seconds",
    "How long it took to have a connection table sent (to a director that joins, or ahead of a "
    "handover) or received; its count is that of transfers.",
    "direction",
)
SYNC_CONNECTIONS = counter(
    "sync_transferred_connections", "Connections in the tables sent and received.", "direction"
)
SYNC_FAILURES = counter(
    "sync_transfer_failures",
    "Times that a connection table was not sent or did not come; what fails each time is counted "
    "once, until it goes well again.",
    "direction",
)
SYNC_LAST = gauge(
    "sync_last_transfer_timestamp_seconds",
    "When a connection table was sent or received last, in seconds since the epoch.",
    "direction",
)

# -- VIPs and other directors ------------------------------------------------------------------

VIP_HELD = gauge(
    "vip_held", "1 when the address stands on the interface, else 0.", "vip", "address"
)

VIP_CONFLICTS = gauge(
    "vip_conflicts", "Others that claim an address of the VIP group now, by ARP or ND.", "vip"
)

PEER_HEARD = gauge(
    "peer_heard", "1 while the director is heard over the peer channel, else 0.", "peer"
)
PEER_LAST_WORD = gauge(
    "peer_last_word_timestamp_seconds", "Last word of the director; 0 before the first.", "peer"
)
PEER_SAME = gauge(
    "peer_same",
    "1 while the director has the same config (of what is served and how), health or overrides, "
    "else 0; only while it is heard.",
    "peer",
    "what",
)

PEER_FIT = gauge(
    "peer_fit",
    "1 while the director is fit to take over, else 0; lvsguard status says why.",
    "peer",
)
PEER_CONFIG_DIFFERENCES = gauge(
    "peer_config_differences",
    "Keys of the configuration that the director has otherwise, those about the host among them.",
    "peer",
)
PEER_CLOCK = gauge(
    "peer_clock_offset_seconds",
    "How far the director's clock is ahead of this one's; only while it is known.",
    "peer",
)

CLUSTER = gauge(
    "cluster_connected",
    "1 while etcd, where directors meet, can be asked, else 0; only with [cluster] etcd.",
)

CATALOG = declared(globals())
"""In the order of this file."""
