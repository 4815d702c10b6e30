"""The prose of the admin API's description. Numbers come from where they are kept."""

from __future__ import annotations

from typing import Final

from lvsguard.admin import protocol
from lvsguard.admin.bounds import BOUNDS, FOLLOWERS

ABOUT: Final = (
    "HTTP/1.1 with JSON on the unix socket of a director. Version 1, the first part of every path,"
    " only ever gains resources and fields: pass over fields that you do not know. Requests are"
    " strict: an unknown field is refused. Times are RFC 3339 in UTC."
)
_HEAD: Final = """\
# Admin API

The daemon answers HTTP/1.1 with JSON on a unix socket, `/run/lvsguard/lvsguard.sock` (`[admin] \
socket`). The `lvsguard` command is one client, [the Python client](../howto/use-the-python-client\
.md) another, and any HTTP client that can use a unix socket is one too:

```
curl --unix-socket /run/lvsguard/lvsguard.sock http://lvsguard/v1/status
curl --unix-socket /run/lvsguard/lvsguard.sock http://lvsguard/v1/overrides \\
     -d '{"target": "10.0.0.42", "kind": "drain", "reason": "kernel update"}'
```

This page and [its OpenAPI 3.1 document](admin-api.openapi.json) are made from the code; a running \
daemon gives its own at `GET /v1/openapi.json`.

Who may: the socket has mode 0660 and belongs to the group of `[admin] group` (`lvsguard`). Who \
did: the kernel tells the daemon the peer's user (SO_PEERCRED), which is recorded as `actor`, such \
as `alice (uid 1000)`. [From afar](../howto/administer-from-afar.md) the same is there over HTTPS, \
for callers with certificates: what they may do is their role (`read`, `operate`) in the table \
below, and the `actor` is the certificate's name and the address.

Version 1, the first part of every path, only ever gains resources and fields: pass over fields \
that you do not know. Requests are strict: an unknown field is refused. Every answer says which \
lvsguard gave it, in the header `Lvsguard-Version`; the command and the Python client name both \
versions when one does not understand the other. Times are RFC 3339 in UTC.

## Bounds

"""
_REST: Final = """

## Resources
"""


def page_head() -> str:
    """What stands before the table of resources."""
    return _HEAD + _bounds() + _REST


def _bounds() -> str:
    return (
        f"One request a connection. {BOUNDS.connections} connections, {FOLLOWERS} of them event"
        f" streams. A header is read within {BOUNDS.header:g} s, a body within another"
        f" {BOUNDS.body:g} s and up to {protocol.BODY_BYTES // 1024} KiB (`/v1/plan`:"
        f" {protocol.CONFIG_BYTES // 1024 // 1024} MiB); a connection lives {BOUNDS.lifetime:g} s"
        f" at most, unless it follows events; a reader that blocks for {BOUNDS.write:g} s is cut"
        " off."
    )
