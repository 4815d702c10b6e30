"""What the dashboards ask, asked of the lab's Prometheus at the end of a play.

That each query returns data over a simulated day is tested elsewhere (tests/unit/grafana); here are
the series of directors that really run, with the names and labels that they really have. What a
play cannot show is listed with the reason, and whatever is not in NEITHER must be in one play.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support import dashboards
from tests.support.prometheus import WINDOW

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.prometheus import Prometheus

CHOSEN = {
    "cluster": "seed",
    "instance": "(10.0.0.41:9852|10.0.0.40:9852)",
    "vip": "web",
    "service": "web",
    "realserver": "10.0.0.42:80",
    "__rate_interval": WINDOW,
}
NEITHER = {
    "lvsguard_sync_transfer_failures_total": "tables arrive",
}
"""Parts of queries, and why they may be without data. Slow start, sorry server and panic need not
be here: without them their metrics are 0."""
IN_THIRD = {
    "lvsguard_cluster_connected": "directors meet in etcd",
    "lvsguard_hook_events_total": "a hook is configured",
}
"""Parts of queries that the third play alone can answer, and why it can."""
NOT_IN_FIRST = {
    "lvsguard_realserver_agent_": "no realserver has an agent",
    'to="fault"': "no director loses its link",
    "lvsguard_kernel_errors_total": "the kernel takes all",
    "lvsguard_vrrp_packets_discarded_total": "nobody sends what is no advert",
    "lvsguard_realserver_vip_path": "no check goes via the VIP",
    "lvsguard_vrrp_adverts_rejected_total": "nobody forges adverts",
}
NOT_IN_SECOND = {
    "lvsguard_sync_transferred": "no connection is open when a director joins",
    "lvsguard_drift_repairs_total": "nobody edits the table",
    "lvsguard_certificate_expiry_timestamp_seconds": "no check is https",
    "(lvsguard_realserver_admin_state{": "nobody drains but on a full disk, which may be refused",
    "lvsguard_ipvs_packets_total": "there are no clients, and they are counted by connection",
}


def asked() -> list[str]:
    """Every query of a panel, an annotation or a variable, once."""
    return list(
        dict.fromkeys(expr for name in dashboards.names() for expr in dashboards.expressions(name))
    )


def excused(expr: str, parts: Iterable[str]) -> bool:
    """Whether one of these parts is in the query."""
    return any(part in expr for part in parts)


def unanswered(
    prometheus: Prometheus, but: Iterable[str] = (), of: Iterable[str] = ("",)
) -> list[str]:
    """Queries that have had no value since Prometheus was started; those with such a part (``but``)
    are left out, and those without any of these (``of``)."""
    parts, wanted = (*NEITHER, *but), (*of,)
    return [
        expr
        for expr in asked()
        if excused(expr, wanted)
        and not excused(expr, parts)
        and not _answered(prometheus, dashboards.filled(expr, CHOSEN))
    ]


def _answered(prometheus: Prometheus, expr: str) -> bool:
    if expr.startswith("label_values("):
        return bool(prometheus.values(*dashboards.label_values(expr)))
    return bool(prometheus.query(expr))
