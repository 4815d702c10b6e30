"""Rules of what the realservers of a service are to each other: quorum, sorry server, slow start.

A value that could never take effect is an error.
"""

from __future__ import annotations

from lvsguard.config.problem import KeyPath
from lvsguard.config.review import Review
from lvsguard.config.schema import ServiceTable
from lvsguard.config.service_key import (
    can_be_watched,
    family_of,
    port_of,
    service_port,
    sorry_server_of,
)
from lvsguard.config.validate import entries
from lvsguard.core.config import SorryServer
from lvsguard.core.model import Forwarding, RealserverKey


def check_pool(sheet: Review, here: KeyPath, service: ServiceTable) -> None:
    """Every rule on what the realservers of a service do together."""
    weights = [sheet.pick(one.weight) or 0 for _, one in entries(service.realserver)]
    _check_quorum(sheet, here, service, sum(weights))
    _check_sorry_server(sheet, here, service)
    if service.passive and not can_be_watched(service):
        sheet.say(
            (*here, "passive"),
            "only the counters of a TCP service tell; leave it out",
            *((*here, key) for key in ("protocol", "fwmark", "one_packet")),
        )
    if sheet.pick(service.slow_start) and weights and 0 < max(weights) < 2:
        sheet.say(
            (*here, "slow_start"),
            "no realserver has a weight above 1, and 1 has no steps; give them weights such as 20",
            (*here, "realserver"),
        )


def _check_quorum(sheet: Review, here: KeyPath, service: ServiceTable, total: int) -> None:
    quorum = sheet.pick(service.quorum)
    hysteresis = sheet.pick(service.quorum_hysteresis) or 0
    if not quorum:
        return
    whole, band = (*here, "quorum"), (*here, "quorum_hysteresis")
    if hysteresis >= quorum:
        sheet.say(band, f"{hysteresis} is not less than the quorum, {quorum}", whole)
    # All weights 0 is a service that is closed on purpose.
    elif total and quorum > total:
        sheet.say(
            whole,
            f"{quorum} can never be reached; the weights of the realservers add up to {total}",
            (*here, "realserver"),
        )
    elif total and quorum + hysteresis > total:
        sheet.say(
            band,
            f"once lost, the quorum would never be back: that takes {quorum} + {hysteresis}, and"
            f" the weights of the realservers add up to {total}",
            whole,
            (*here, "realserver"),
        )


def _check_sorry_server(sheet: Review, here: KeyPath, service: ServiceTable) -> None:
    sorry = sorry_server_of(service)
    if sorry is None:
        return
    path = (*here, "sorry_server")
    keys = {
        RealserverKey(one.address, port_of(one, service)): (*here, "realserver", index)
        for index, one in entries(service.realserver)
    }
    address = sorry.key.address
    if address in sheet.vips:
        sheet.say(path, f"{address} is a VIP; write the server's own address", ("vip",))
    elif sorry.key in keys:
        sheet.say(
            path,
            f"{sorry.key} is a realserver of this service; a sorry server is none of them",
            keys[sorry.key],
            (*here, "address"),
        )
    elif address.version != family_of(service) and sorry.forwarding is not Forwarding.TUN:
        sheet.say(
            path,
            f"{address} is IPv{address.version} and the service is IPv{family_of(service):d}; only"
            " forwarding tun can carry one in the other",
            *((*here, key) for key in ("forwarding", "address", "fwmark", "family")),
        )
    else:
        _check_port(sheet, here, service, sorry)
    if service.scheduler == "dh":
        sheet.say(
            path,
            "scheduler dh drops what it assigns to a realserver of weight 0, so that the sorry"
            " server would get a part only; use sh or mh",
            (*here, "scheduler"),
        )


def _check_port(sheet: Review, here: KeyPath, service: ServiceTable, sorry: SorryServer) -> None:
    expected, written = service_port(service), sorry.key.port
    if written == expected:
        return
    if service.address is not None and not expected:
        message = "the service takes every port, so a sorry server cannot have one; leave it out"
    elif sorry.forwarding is Forwarding.NAT:
        return
    else:
        message = (
            f"port {written} is not the service's, and {sorry.forwarding} cannot translate ports;"
            ' leave it out or use forwarding = "nat"'
        )
    going_by = ("forwarding", "address", "fwmark")
    sheet.say((*here, "sorry_server"), message, *((*here, key) for key in going_by))
