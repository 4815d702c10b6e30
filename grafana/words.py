"""States as numbers, and what the numbers are called, where several dashboards show them."""

from __future__ import annotations

from grafana.parts import BLUE, GREEN, GREY, ORANGE, RED, YELLOW

ROLES = {
    0: ("init", GREY),
    1: ("backup", BLUE),
    2: ("master", GREEN),
    3: ("fault", RED),
}
REALSERVERS = {
    0: ("in", GREEN),
    1: ("weight 0", YELLOW),
    2: ("drained", BLUE),
    3: ("disabled", GREY),
    4: ("down", RED),
    5: ("down, but in", ORANGE),
}
"""By ``state_of_realservers``."""


def role_of(scope: str) -> str:
    """The role of each director for each VIP group, as one of ROLES."""
    numbered = " or ".join(
        f'lvsguard_vrrp_state{{state="{state}",{scope}}} * {number}'
        for number, (state, _) in ROLES.items()
    )
    return f"sum by (cluster, vip, instance) ({numbered})"


def state_of_realservers(scope: str) -> str:
    """Whether each realserver gets new connections, and why not, as one of REALSERVERS: what a
    person did comes before what the checks say; several directors are asked for the worst."""
    up, admin = f"lvsguard_realserver_up{{{scope}}}", f"lvsguard_realserver_admin_state{{{scope}}}"
    weight = f"lvsguard_realserver_weight{{{scope}}}"
    return (
        "max by (cluster, service, realserver) ("
        f"({admin} > 0) + 1"
        f" or ({up} == 0) + 4 + ({weight} > bool 0)"
        f" or {weight} == bool 0)"
    )
