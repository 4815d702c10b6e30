"""VIP groups as the controller says them."""

from __future__ import annotations

from ipaddress import ip_address

from lvsguard.core.config import VipConfig
from lvsguard.core.model import VipAddress
from lvsguard.core.vrrp import VrrpConfig
from lvsguard.vrrp import message
from lvsguard.vrrp.message import Put

INTERFACE = "lvsg-none"
"""There is none of that name on any host."""
VIP = VipAddress(INTERFACE, ip_address("10.0.0.8"), 24)
SECOND = VipAddress(INTERFACE, ip_address("10.0.0.9"), 24)
VIP6 = VipAddress(INTERFACE, ip_address("2001:db8::8"), 64)
VRRP = VrrpConfig(51)


def put(*addresses: VipAddress, name: str = "web", vrrp: VrrpConfig = VRRP) -> Put:
    """A VIP group of these addresses, or of VIP."""
    return message.put(VipConfig(name, addresses or (VIP,), vrrp), vrrp)
