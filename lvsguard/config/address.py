"""Leaves that are addresses, names of things on the network, and what an HTTP check may say.

Host names are not addresses here: a director that waits for DNS while it decides is late.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address, ip_interface
from typing import Final, NamedTuple

from lvsguard.config.leaf import Leaf, show, text
from lvsguard.core.model import IPAddress

STATUS_LOW: Final = 200
"""1xx answers are never the last one of a request (RFC 9110 section 15.2)."""
STATUS_HIGH: Final = 599


class Endpoint(NamedTuple):
    """An address and a port; 0 where none was written."""

    address: IPAddress
    port: int


class Prefixed(NamedTuple):
    """An address and the prefix length it stands with."""

    address: IPAddress
    prefix: int


_HOW_IP: Final = 'write an address such as "10.0.0.8" or "2001:db8::8"'


def one_address(value: object, written: object | None = None) -> IPAddress:
    """A unicast address; ``written`` is what messages repeat. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError(f"{show(value)} is not an IP address; {_HOW_IP}")
    try:
        address = ip_address(value)
    except ValueError:
        wrong = f"is not an IP address; {_HOW_IP}{_hint(value)}"
    else:
        wrong = _unfit(address)
    if wrong:
        raise ValueError(f"{show(value if written is None else written)} {wrong}")
    return address


def _unfit(address: IPAddress) -> str:
    """Why an address cannot be that of one host; empty when it can."""
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return f"names a zone; {_HOW_IP} without %"
        if address.ipv4_mapped is not None:
            return f"is an IPv4 address in disguise; write {address.ipv4_mapped}"
    if address.is_multicast or address.is_unspecified or int(address) == 0xFFFFFFFF:
        return f"is not the address of one host; {_HOW_IP}"
    return ""


def _hint(value: str) -> str:
    if re.fullmatch(r"[0-9.]+/[0-9]+|[0-9a-fA-F:.]+/[0-9]+", value):
        return " without a prefix length"
    if re.fullmatch(r"[0-9.]+:[0-9]+|\[[0-9a-fA-F:.]+\](:[0-9]+)?", value):
        return "; the port has a key of its own: port"
    if re.search(r"[g-zG-Z]", value):
        return "; host names are not looked up"
    return ""


_PORT: Final = re.compile(r"[0-9]{1,5}", re.ASCII)


def _endpoint(value: object) -> Endpoint:
    how = 'write "10.0.0.8:80" or "[2001:db8::8]:80"'
    if not isinstance(value, str):
        raise ValueError(f"{show(value)} is not an address and port; {how}")
    host, port = value, ""
    if value.startswith("["):
        host, _, rest = value[1:].partition("]")
        if not rest.startswith(":"):
            raise ValueError(f"{show(value)} is not an address and port; {how}")
        port = rest[1:]
    elif value.count(":") == 1:
        host, _, port = value.partition(":")
    elif value.count(":") == 0 or _is_v6(value):
        return Endpoint(one_address(value), 0)
    if not _PORT.fullmatch(port) or int(port) > 65535:
        raise ValueError(f"{show(port)} in {show(value)} is not a port; 0 to 65535")
    try:
        return Endpoint(one_address(host), int(port))
    except ValueError as error:
        raise ValueError(f"{show(value)}: {error}") from None


def _is_v6(value: str) -> bool:
    try:
        return ip_address(value).version == 6
    except ValueError:
        return False


def _prefixed(value: object) -> Prefixed:
    how = 'write an address with its prefix length, such as "10.0.0.8/24" or "2001:db8::8/64"'
    if not isinstance(value, str):
        raise ValueError(f"{show(value)} is not a VIP; {how}")
    host, slash, length = value.partition("/")
    address = one_address(host, value)
    if not slash:
        return Prefixed(address, address.max_prefixlen)
    if not re.fullmatch(r"[0-9]{1,3}", length, re.ASCII) or int(length) > address.max_prefixlen:
        raise ValueError(f"{show(value)} is not a VIP; {how}")
    if int(length) == 0:
        raise ValueError(f"{show(value)} would put the whole internet on the link; {how}")
    network = ip_interface(value).network
    spare = address.max_prefixlen - network.prefixlen
    if spare > 1 and address == network.network_address:
        raise ValueError(f"{show(value)} is the network, not an address in it; {how}")
    if spare > 1 and address.version == 4 and address == network.broadcast_address:
        raise ValueError(f"{show(value)} is the network's broadcast address; {how}")
    return Prefixed(address, int(length))


def _listen(value: object) -> tuple[str, int] | None:
    if value is False or value == "":
        return None
    how = 'write an address and a port such as "127.0.0.1:9852", or false to turn it off'
    if not isinstance(value, str) or not re.fullmatch(r"[^/\s]+:[0-9]{1,5}", value, re.ASCII):
        raise ValueError(f"{show(value)} is not where to listen; {how}")
    host, _, port = value.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        address = ip_address(bare)
    except ValueError:
        raise ValueError(f"{show(value)} is not where to listen; {how}") from None
    if address.version == 6 and bare == host:
        raise ValueError(f"{show(value)} has an IPv6 address without brackets; write [::1]:9852")
    if not 1 <= int(port) <= 65535:
        raise ValueError(f"{port} in {show(value)} is not a port; 1 to 65535")
    return str(address), int(port)


def _client_prefix(value: object) -> int:
    how = "1 to 32 for IPv4 or 1 to 128 for IPv6"
    if isinstance(value, int) and not isinstance(value, bool):
        if not 1 <= value <= 128:
            raise ValueError(f"{show(value)} is not a prefix length; {how}")
        return value
    wanted = f'{how}, or a mask such as "255.255.255.0"'
    if not isinstance(value, str) or not re.fullmatch(r"[0-9.]{7,15}", value, re.ASCII):
        raise ValueError(f"{show(value)} is not a prefix length; {wanted}")
    try:
        bits = f"{int(ip_address(value)):032b}"
    except ValueError:
        raise ValueError(f"{show(value)} is not a mask; {wanted}") from None
    length = bits.count("1")
    if not length or "01" in bits:
        raise ValueError(f"{show(value)} is not a mask; {wanted}")
    return length


def _statuses(value: object) -> frozenset[int]:
    wanted = f'numbers from {STATUS_LOW} to {STATUS_HIGH} or ranges such as "200-299"'
    values = value if isinstance(value, list) else [value]
    if not values:
        raise ValueError(f"no status would ever pass; {wanted}")
    found: set[int] = set()
    wrong = []
    for one in values:
        bounds = _status_range(one)
        if bounds is None:
            wrong.append(show(one))
        else:
            found.update(bounds)
    if wrong:
        some = "is not an HTTP status" if len(wrong) == 1 else "are not HTTP statuses"
        raise ValueError(f"{', '.join(wrong[:20])} {some}; {wanted}")
    return frozenset(found)


def _status_range(value: object) -> range | None:
    """The statuses that one item means; None when it means none."""
    if isinstance(value, int) and not isinstance(value, bool):
        low = high = value
    elif isinstance(value, str) and re.fullmatch(r"[0-9]{3}(-[0-9]{3})?", value, re.ASCII):
        low, high = int(value[:3]), int(value[-3:])
    else:
        return None
    return range(low, high + 1) if STATUS_LOW <= low <= high <= STATUS_HIGH else None


_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}")  # RFC 9110 section 5.6.2
_FIELD_VALUE: Final = re.compile(r"(?:[!-~](?:[ \t!-~]*[!-~])?)?")  # ... 5.5, without obs-text
OWN_HEADERS: Final = {
    "host": "use the key host",
    "connection": "every probe is a connection of its own",
    "content-length": "it follows from body",
    "transfer-encoding": "it follows from body",
    "accept-encoding": "an answer must come as it is to be compared",
}


def _headers(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise ValueError(f'{show(value)} is not a table of headers; write {{ Name = "value" }}')
    if len(value) > 32:
        raise ValueError(f"{len(value)} headers are too many; at most 32")
    wrong = [text for name, content in value.items() if (text := _wrong_header(name, content))]
    if wrong:
        raise ValueError("; ".join(wrong))
    return tuple(value.items())


def _wrong_header(name: str, content: object) -> str:
    """What is wrong with one header; empty when nothing is."""
    if not _TOKEN.fullmatch(name):
        return f"{show(name)} is not a header name, which has letters, digits and -"
    if name.lower() in OWN_HEADERS:
        return f"{name} cannot be set here: {OWN_HEADERS[name.lower()]}"
    if not isinstance(content, str) or len(content) > 1024:
        return f"{name} wants a string of at most 1024 characters"
    if not _FIELD_VALUE.fullmatch(content):
        return f"{name} has a value that HTTP cannot carry: {show(content)}"
    return ""


def _name(what: str, value: object) -> str:
    how = "letters, digits, '.', '_' and '-', at most 63 characters"
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9._-]{1,63}", value):
        raise ValueError(f"{show(value)} is not {what}; {how}")
    # Commands take an address or a name in the same place, so the two must not look alike.
    if re.fullmatch(r"[0-9.]+", value):
        raise ValueError(f"{show(value)} looks like an address; {what} needs a letter in it")
    return value


def label(what: str) -> Leaf:
    """A name that becomes a label, a target on the command line and a word in logs."""
    schema = {"type": "string", "pattern": "^(?=.*[A-Za-z_-])[A-Za-z0-9._-]{1,63}$"}
    return Leaf(lambda value: _name(what, value), "letters, digits, '.', '_' and '-'", schema)


def _string(**more: object) -> Mapping[str, object]:
    return {"type": "string", **more}


ADDRESS: Final = Leaf(one_address, "an IPv4 or IPv6 address", _string())
ENDPOINT: Final = Leaf(_endpoint, '"10.0.0.8:80" or "[2001:db8::8]:80"', _string())
PREFIXED: Final = Leaf(
    _prefixed, '"10.0.0.8/24" or "2001:db8::8/64"; without a prefix length /32 or /128', _string()
)
LISTEN: Final = Leaf(
    _listen,
    'an address and a port such as "127.0.0.1:9852" or "[::1]:9852"; false is off',
    {"anyOf": [{"type": "string"}, {"const": False}]},
)
CLIENT_PREFIX: Final = Leaf(
    _client_prefix,
    '1 to 32 for IPv4, 1 to 128 for IPv6, or a mask such as "255.255.255.0"',
    {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 128}, {"type": "string"}]},
)
_ONE_STATUS: Final[Mapping[str, object]] = {
    "anyOf": [
        {"type": "integer", "minimum": STATUS_LOW, "maximum": STATUS_HIGH},
        {"type": "string", "pattern": "^[2-5][0-9]{2}(-[2-5][0-9]{2})?$"},
    ]
}
STATUSES: Final = Leaf(
    _statuses,
    'a list of numbers from 200 to 599 and ranges such as "200-299"',
    {"anyOf": [_ONE_STATUS, {"type": "array", "minItems": 1, "items": _ONE_STATUS}]},
)
HEADERS: Final = Leaf(
    _headers,
    "a table of header names and their values",
    {"type": "object", "maxProperties": 32, "additionalProperties": _string(maxLength=1024)},
)
INTERFACE: Final = text(
    "an interface name",
    15,
    pattern=r"(?!\.{1,2}$)[!-.0-9;-~]+",
    how='such as "eth0" or "bond0.12"',
)
HTTP_PATH: Final = text(
    "a path",
    2048,
    pattern=r"/[!-~]*",
    how="it starts with / and has no spaces; write other characters as %XX",
)
# What names are made of (RFC 1123 section 2.1, and the underscore that some have), and a port.
_LABEL: Final = "[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME: Final = rf"{_LABEL}(?:\.{_LABEL})*\.?"
_IPV6: Final = "[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}"
_PORT_NUMBER: Final = (
    "(?:[0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
)
HOST: Final = text(
    "a host name",
    255,
    pattern=rf"(?:{_NAME}|\[{_IPV6}\])(?::{_PORT_NUMBER})?",
    how='such as "www.example.org", with ":PORT" if the realserver wants to see one',
)
SERVER_NAME: Final = text(
    "a server name", 253, pattern=rf"{_NAME}|{_IPV6}", how='such as "www.example.org"'
)
FILE: Final = text("an absolute path", 4095, pattern=r"/[^\0]*", how="it starts with /")
# sun_path holds 108 bytes with the final zero (unix(7)).
SOCKET: Final = text("a socket's path", 107, pattern=r"/[!-~]*[!-.0-~]", how="it starts with /")
GROUP: Final = text(
    "a group name", 32, pattern=r"[A-Za-z_][A-Za-z0-9_.-]*\$?", how='such as "lvsguard"'
)
