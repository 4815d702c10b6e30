"""Tables about where packets go and how: tunnels, and the sorry server."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from lvsguard.config.address import ENDPOINT, Endpoint
from lvsguard.config.check_schema import PORT_MAX
from lvsguard.config.leaf import choice, whole
from lvsguard.config.table import Table
from lvsguard.core.model import Forwarding, TunnelChecksum, TunnelKind

FORWARDINGS: Final = (Forwarding.DR, Forwarding.NAT, Forwarding.TUN)


class TunnelTable(Table):
    """How forwarding tun encapsulates."""

    kind: Annotated[TunnelKind, choice("a kind of tunnel", TunnelKind)] = Field(
        TunnelKind.IPIP, description="Encapsulation."
    )
    port: Annotated[int | None, whole(1, PORT_MAX, "a UDP port")] = Field(
        None, description="UDP port on the realserver. Needed by gue, not taken by the others."
    )
    checksum: Annotated[TunnelChecksum, choice("a checksum", TunnelChecksum)] = Field(
        TunnelChecksum.NONE,
        description="Checksum of the encapsulation. remcsum is for gue only, ipip has none.",
    )


class SorryServerTable(Table):
    """Who takes the connections of a service that has lost its quorum."""

    address: Annotated[Endpoint, ENDPOINT] = Field(
        description="Its address. A port may follow, as in 10.0.0.50:8080; without it the"
        " service's. Only forwarding nat can have another one.",
        examples=["10.0.0.50"],
    )
    forwarding: Annotated[Forwarding | None, choice("a forwarding method", FORWARDINGS)] = Field(
        None,
        description="Default: the service's. With dr and tun it holds the VIP as a realserver"
        " does; tun encapsulates as the service says.",
    )
