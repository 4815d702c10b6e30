"""The ipvs table of the file: kernel settings under net/ipv4/vs by their kernel names.

Settings of the connection sync daemon are left out: they belong to the role of a director.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from lvsguard.config.leaf import Leaf, seconds, show, whole
from lvsguard.config.table import Table

# ipvsadm.c MAX_TIMEOUT: the kernel counts in 32 bits of jiffies.
TIMEOUT_MAX: Final = 31 * 86400


def _switch(value: object) -> int:
    if not isinstance(value, bool | int) or value not in {0, 1}:
        raise ValueError(f"{show(value)} is neither true (1) nor false (0)")
    return int(value)


SWITCH: Final = Leaf(
    _switch, "true or false (1 or 0)", {"anyOf": [{"type": "boolean"}, {"enum": [0, 1]}]}
)


def _defence(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value not in {0, 1, 3}:
        raise ValueError(
            f"{show(value)} is not a mode of defence;"
            " 0 (off), 1 (when memory is short) or 3 (always); 2 is set by the kernel alone"
        )
    return value


DEFENCE: Final = Leaf(
    _defence, "0 (off), 1 (when memory is short) or 3 (always)", {"enum": [0, 1, 3]}
)


class IpvsTable(Table):
    """Kernel settings of IPVS (net/ipv4/vs and ipvsadm --set). What is not named stays."""

    tcp_timeout: Annotated[int | None, seconds(1, TIMEOUT_MAX, integral=True)] = Field(
        None, description="Idle time after which an established TCP connection is forgotten."
    )
    tcp_fin_timeout: Annotated[int | None, seconds(1, TIMEOUT_MAX, integral=True)] = Field(
        None, description="The same once the client has closed its side."
    )
    udp_timeout: Annotated[int | None, seconds(1, TIMEOUT_MAX, integral=True)] = Field(
        None, description="Idle time after which a UDP client is forgotten."
    )
    expire_nodest_conn: Annotated[int | None, SWITCH] = Field(
        None,
        description="Whether connections to a realserver that was taken out are ended at once, so"
        " that clients reconnect. Default: true, unless every service has"
        " on_failure = quiesce; then it stays.",
    )
    expire_quiescent_template: Annotated[int | None, SWITCH] = Field(
        None,
        description="Whether a persistent client leaves a realserver of weight 0."
        " Default: true if a service is persistent; else it stays.",
    )
    conn_reuse_mode: Annotated[int | None, whole(0, 3, "a bit mask")] = Field(
        None, description="How a connection from a port that was just used is scheduled."
    )
    sloppy_tcp: Annotated[int | None, SWITCH] = Field(
        None,
        description="Whether a TCP connection may begin with any packet, not only a SYN. Helps"
        " after a failover without connection sync.",
    )
    sloppy_sctp: Annotated[int | None, SWITCH] = Field(
        None, description="The same for SCTP and its INIT."
    )
    conntrack: Annotated[int | None, SWITCH] = Field(
        None, description="Whether connections are also tracked by netfilter."
    )
    snat_reroute: Annotated[int | None, SWITCH] = Field(
        None, description="nat: whether answers are routed by their new source address."
    )
    nat_icmp_send: Annotated[int | None, SWITCH] = Field(
        None, description="nat: whether answers to unknown connections get an ICMP error."
    )
    pmtu_disc: Annotated[int | None, SWITCH] = Field(
        None,
        description="Whether packets that are too long get an ICMP error (path MTU discovery).",
    )
    schedule_icmp: Annotated[int | None, SWITCH] = Field(
        None, description="Whether ICMP errors of unknown connections are scheduled too."
    )
    ignore_tunneled: Annotated[int | None, SWITCH] = Field(
        None,
        description="Whether packets from a tunnel are left alone (for tun and a director"
        " that is a realserver too).",
    )
    cache_bypass: Annotated[int | None, SWITCH] = Field(
        None, description="Whether packets go to their own destination when no cache is there."
    )
    backup_only: Annotated[int | None, SWITCH] = Field(
        None,
        description="Whether a director that is only a sync backup leaves packets alone (for"
        " directors that are realservers of each other).",
    )
    amemthresh: Annotated[int | None, whole(0, 2**31 - 1, "a number of pages")] = Field(
        None, description="Free memory below which the defences of mode 1 begin."
    )
    am_droprate: Annotated[int | None, whole(1, 2**31 - 1)] = Field(
        None, description="Drop one packet of so many in drop_packet mode 3."
    )
    drop_entry: Annotated[int | None, DEFENCE] = Field(
        None, description="Drop entries of the connection table at random."
    )
    drop_packet: Annotated[int | None, DEFENCE] = Field(
        None, description="Drop one of some packets before it is forwarded."
    )
    secure_tcp: Annotated[int | None, DEFENCE] = Field(
        None, description="Stricter TCP states with shorter timeouts."
    )


TIMEOUTS: Final = frozenset({"tcp_timeout", "tcp_fin_timeout", "udp_timeout"})
SYSCTLS: Final = tuple(key for key in IpvsTable.model_fields if key not in TIMEOUTS)
