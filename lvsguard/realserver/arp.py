"""What Linux does with ARP under given settings (net/ipv4/arp.c, Documentation ip-sysctl).

Pure. Both settings take effect as the larger of ``all`` and the interface's own (IN_DEV_MAXCONF).
"""

from __future__ import annotations

from typing import Final

QUIET_IGNORE: Final = frozenset({1, 2, 8})
"""arp_ignore: 1 and 2 answer only for addresses of the receiving interface, 8 for none. 3 looks at
the scope only and answers for a VIP on another interface; 4 to 7 and above 8 are as 0."""
DEAF_IGNORE: Final = 8
QUIET_ANNOUNCE: Final = 2
"""arp_announce: 0 sends the packet's source, 1 does so when both ends are on the interface's
network, which a VIP usually is; above 2 is as 0."""


def effective(everywhere: int, interface: int) -> int:
    """The value that counts, from that of ``all`` and the interface's own."""
    return max(everywhere, interface)


def ignore_is_quiet(value: int) -> bool:
    """Whether an interface with this effective arp_ignore is silent about others' addresses."""
    return value in QUIET_IGNORE


def announce_is_quiet(value: int) -> bool:
    """Whether an interface with this effective arp_announce never asks in a VIP's name."""
    return value == QUIET_ANNOUNCE
