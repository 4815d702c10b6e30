"""A reader of ipvsadm(8)'s command syntax, written from its man page and not from the printer."""

from __future__ import annotations

from dataclasses import dataclass
from getopt import gnu_getopt
from ipaddress import ip_address
from typing import Final

from lvsguard.core.model import (
    Family,
    Forwarding,
    IPAddress,
    Persistence,
    Protocol,
    Realserver,
    RealserverKey,
    ServiceKey,
    Tunnel,
    TunnelChecksum,
    TunnelKind,
    VirtualService,
)

SHORT: Final = "AEDaedt:u:f:6s:p:M:ob:r:gimw:x:y:"
LONG: Final = [
    "sctp-service=",
    "pe=",
    "tun-type=",
    "tun-port=",
    "tun-nocsum",
    "tun-csum",
    "tun-remcsum",
]
PROTOCOLS: Final = {"-t": Protocol.TCP, "-u": Protocol.UDP, "--sctp-service": Protocol.SCTP}
FORWARDINGS: Final = {"-g": Forwarding.DR, "-i": Forwarding.TUN, "-m": Forwarding.NAT}
CHECKSUMS: Final = {f"--tun-{checksum}": checksum for checksum in TunnelChecksum}


@dataclass(frozen=True, slots=True)
class Command:
    """What a command line says. ``wanted`` and ``entry`` are None where it says nothing of them."""

    verb: str
    service: ServiceKey
    wanted: VirtualService | None = None
    realserver: RealserverKey | None = None
    entry: Realserver | None = None


def read(line: str) -> Command:
    """Read one command line; AssertionError or KeyError where ipvsadm would complain."""
    program, *words = line.split(" ")
    assert program == "ipvsadm"
    pairs, rest = gnu_getopt(words, SHORT, LONG)
    assert not rest, f"words that belong to no option: {rest}"
    options = dict(pairs)
    assert len(options) == len(pairs), f"an option is given twice: {line}"
    (verb,) = options.keys() & {"-A", "-E", "-D", "-a", "-e", "-d"}
    del options[verb]
    service = _service(options)
    command = Command(verb, service)
    if verb in ("-A", "-E"):
        command = Command(verb, service, wanted=_wanted(options, service))
    elif verb in ("-a", "-e"):
        command = Command(verb, service, None, _realserver(options, service), _entry(options))
    elif verb == "-d":
        command = Command(verb, service, realserver=_realserver(options, service))
    assert not options, f"options that do not belong to {verb}: {options}"
    return command


def _service(options: dict[str, str]) -> ServiceKey:
    (how,) = options.keys() & {*PROTOCOLS, "-f"}
    value = options.pop(how)
    if how == "-f":
        six = options.pop("-6", None) is not None
        return ServiceKey.marked(int(value), Family.INET6 if six else Family.INET)
    return ServiceKey.at(PROTOCOLS[how], *_endpoint(value, 0))


def _endpoint(text: str, default_port: int) -> tuple[IPAddress, int]:
    """``host[:port]``; an IPv6 address has brackets exactly when a port follows."""
    if text.startswith("["):
        host, _, port = text[1:].partition("]:")
        return ip_address(host), int(port)
    if text.count(":") > 1:
        return ip_address(text), default_port
    host, _, port = text.partition(":")
    return ip_address(host), int(port) if port else default_port


def _wanted(options: dict[str, str], service: ServiceKey) -> VirtualService:
    bits = 32 if service.family is Family.INET else 128
    persistence = None
    if "-p" in options:
        persistence = Persistence(
            int(options.pop("-p")),
            _prefix(options.pop("-M", str(bits)), service.family),
            options.pop("--pe", None),
        )
    flags = options.pop("-b", "")
    return VirtualService(
        options.pop("-s"),
        frozenset(flags.split(",")) if flags else frozenset(),
        persistence,
        options.pop("-o", None) is not None,
    )


def _prefix(mask: str, family: Family) -> int:
    """A netmask for IPv4, a prefix length for IPv6."""
    if family is Family.INET6 or "." not in mask:
        return int(mask)
    bits = f"{int(ip_address(mask)):032b}"
    assert "01" not in bits, f"a mask with holes: {mask}"
    return bits.count("1")


def _realserver(options: dict[str, str], service: ServiceKey) -> RealserverKey:
    return RealserverKey(*_endpoint(options.pop("-r"), service.port))


def _entry(options: dict[str, str]) -> Realserver:
    (how,) = options.keys() & FORWARDINGS.keys()
    del options[how]
    return Realserver(
        int(options.pop("-w", "1")),
        FORWARDINGS[how],
        _tunnel(options) if how == "-i" else None,
        int(options.pop("-x", "0")),
        int(options.pop("-y", "0")),
    )


def _tunnel(options: dict[str, str]) -> Tunnel:
    kind = TunnelKind(options.pop("--tun-type", "ipip"))
    port = int(options.pop("--tun-port")) if kind is TunnelKind.GUE else 0
    checksums = [CHECKSUMS[option] for option in options.keys() & CHECKSUMS.keys()]
    for option in options.keys() & CHECKSUMS.keys():
        del options[option]
    assert len(checksums) <= (0 if kind is TunnelKind.IPIP else 1), "one checksum, if it has any"
    return Tunnel(kind, port, *checksums)
