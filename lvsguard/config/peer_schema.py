"""The peer table: the channel on which directors tell each other how they do."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lvsguard.config.address import ADDRESS, FILE
from lvsguard.config.check_schema import PORT_MAX
from lvsguard.config.leaf import whole
from lvsguard.config.table import PerDirector, Table
from lvsguard.core.model import IPAddress


class PeerTable(Table):
    """The channel on which directors tell each other how they do; without it VRRP is all."""

    addresses: PerDirector[Annotated[IPAddress, ADDRESS]] = Field(
        description="Each director's own address, on which the others find it: a table.",
        examples=[{"director1": "10.0.0.41", "director2": "10.0.0.40"}],
    )
    port: Annotated[int, whole(1, PORT_MAX, "a TCP port")] = Field(
        8850, description="TCP port, the same on every director."
    )
    credential: Annotated[str, FILE] = Field(
        description="File with the certificate and key that all directors show each other, made by"
        " lvsguard peer-key on one of them and copied to the others. Nobody else may read it.",
        examples=["/etc/lvsguard/peer.pem"],
    )
