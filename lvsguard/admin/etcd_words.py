"""What directors keep in etcd: the names of the keys, and what is in them. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from lvsguard.admin import peer_message
from lvsguard.admin.peer_message import Digests, Services
from lvsguard.admin.peer_session import Peer
from lvsguard.core.clock import Clock
from lvsguard.core.config_keys import Path
from lvsguard.core.ledger import Record
from lvsguard.core.peer import Account, ServiceHealth
from lvsguard.core.turns import Turns

DIRECTORS: Final = "directors"
OVERRIDES: Final = "overrides"
BEAT: Final = "beat"
NAME_MAX: Final = 63
encode: Final = msgspec.json.Encoder().encode


def named(rest: str) -> tuple[str, str]:
    """Whose key it is, and which piece. Raises ValueError."""
    name, _, piece = rest.partition("/")
    if not 0 < len(name) <= NAME_MAX or not piece:
        raise ValueError("no key of a director")
    return name, piece


def put_together(peer: Peer, pieces: Iterable[Services | Digests]) -> None:
    """Give a director the services and keys that its pieces tell of."""
    services: dict[str, ServiceHealth] = {}
    keys: dict[Path, str] = {}
    of: set[str] = set()
    for piece in pieces:
        match piece:
            case Services():
                services |= peer_message.healths(piece)
            case Digests():
                keys |= {tuple(one.path): one.digest for one in piece.keys}
                of.add(piece.config)
    peer.services, peer.keys = services, keys
    # While it writes the keys of another configuration both are there.
    peer.keys_of = of.pop() if len(of) == 1 else ""


def wanted(account: Account) -> dict[str, bytes]:
    """What a director tells of itself besides the beat, by the names of the pieces."""
    found: dict[str, bytes] = {}
    for number, piece in enumerate(peer_message.services(account.services, None)):
        found[f"services-{number}"] = encode(piece)
    for number, keys in enumerate(peer_message.digests(account.config, account.keys)):
        found[f"keys-{number}"] = encode(keys)
    return found


def beat_now(
    account: Account, fingerprint: str, turns: Turns, peers: Mapping[str, Peer], now: float
) -> bytes:
    """The beat with the times that the others measure clocks by (``now``: wall clock)."""
    clocks = {one.name: one.clock.stamp(now) for one in peers.values() if not one.silent}
    return encode(peer_message.beat(account, fingerprint, turns, Clock(now), clocks))


def record_key(record: Record) -> str:
    """The name of a record: the same on every director, and fit for a key."""
    target, kind = record.key
    text = f"{target.address} {target.port} {target.service} {kind}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]
