"""Configs of a director in the lab, from a few arguments; the seed's where none is given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.topology import VIP

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.topology import Host

HTTP_CHECK = '{ kind = "http", path = "/health", interval = "1s", timeout = "1s" }'
"""All else as it comes: rise and fall of 2, 50 ms between two probes while in doubt."""
NO_CHECK = '{ kind = "none" }'
LISTEN = ("127.0.0.1", 9852)
"""Where metrics and readiness are served, in the director's namespace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A `[[service]]` of the config; the seed's when nothing is given."""

    name: str = "web"
    address: str = f"{VIP}:80"
    """`address:port`, or `fwmark 7`."""
    protocol: str = "tcp"
    scheduler: str = "rr"
    forwarding: str = "dr"
    check: str = HTTP_CHECK
    """A TOML value."""
    realservers: Mapping[str, int] = field(default_factory=lambda: {"10.0.0.42": 1, "10.0.0.43": 1})
    """Weights by address, or by `address:port`."""
    more: str = ""
    """Further lines of TOML."""

    def toml(self) -> str:
        mark = self.address.removeprefix("fwmark ")
        lines = ["[[service]]", f'name = "{self.name}"']
        if mark != self.address:
            lines += [f"fwmark = {mark}"]
        else:
            lines += [f'address = "{self.address}"', f'protocol = "{self.protocol}"']
        lines += [f'scheduler = "{self.scheduler}"', f'forwarding = "{self.forwarding}"']
        lines += [f"check = {self.check}", self.more]
        for place, weight in self.realservers.items():
            address, _, port = place.partition(":") if place.count(":") == 1 else (place, "", "")
            lines += ["[[service.realserver]]", f'address = "{address}"', f"weight = {weight}"]
            lines += [f"port = {port}"] if port else []
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A whole config; the seed's when nothing is given. Change it by `dataclasses.replace`."""

    services: tuple[Service, ...] = (Service(),)
    vips: tuple[str, ...] = (f"{VIP}/24",)
    vip: str = ""
    """Further lines of the `[[vip]]`."""
    vrrp: str = ""
    """Lines of `[vip.vrrp]`; a lone director when empty."""
    director: str = ""
    """Further lines of `[director]`."""
    more: str = ""
    """Further tables."""
    listen: str = f"{LISTEN[0]}:{LISTEN[1]}"
    """Where telemetry is served; `Director` asks at LISTEN."""

    def toml(self, host: Host, place: Path) -> str:
        vips = ", ".join(f'"{vip}"' for vip in self.vips)
        return "\n".join(
            [
                "[director]",
                f'name = "{host.name}"',
                'interface = "eth0"',
                self.director,
                *(["[[vip]]", 'name = "web"', f"addresses = [{vips}]"] if self.vips else []),
                self.vip,
                *(["[vip.vrrp]", self.vrrp] if self.vrrp else []),
                *(service.toml() for service in self.services),
                "[telemetry]",
                f'listen = "{self.listen}"',
                "[admin]",
                f'socket = "{place / "lvsguard.sock"}"',
                'group = "root"',
                "[state]",
                f'directory = "{place / "state"}"',
                self.more,
                "",
            ]
        )
