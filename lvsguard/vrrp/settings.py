"""What is configured for one VRRP instance. Pure values."""

from __future__ import annotations

from dataclasses import dataclass

from lvsguard.core.model import IPAddress
from lvsguard.vrrp.advert import Version


@dataclass(frozen=True, slots=True)
class Settings:
    """What is configured for one instance."""

    vrid: int
    addresses: tuple[IPAddress, ...]
    local: IPAddress
    """The address that the director speaks from; decides between equal priorities."""
    priority: int = 100
    """1 to 255; 255: owns the addresses, and is master as soon as it starts."""
    interval: float = 1.0
    version: Version = Version.V3
    preempt: bool = True
    preempt_delay: float = 0.0
    """Seconds for which a lower-priority master is left alone, from its first advert heard."""
    start_delay: float = 0.0
    """Seconds from ``start`` to taking part."""
    unready_drop: int | None = None
    """How much the priority drops while not ready; None: it stands back. As a backup it then takes
    over from nobody; as a master it hands over, and goes on with priority 1 if nobody comes."""
