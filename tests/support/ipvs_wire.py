"""Dumps of the IPVS table as a kernel writes them (ip_vs_genl_fill_* in ip_vs_ctl.c).

For tests of the reader without a kernel. ``padded`` is how kernels for processors that want
64-bit numbers aligned write (user-mode Linux among them); the others leave the padding out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from struct import pack

from lvsguard.core.model import CounterKey, Counters, RealserverKey, ServiceKey, VirtualService
from lvsguard.kernel.ipvs_codec import (
    CMD_DEST,
    CMD_SERVICE,
    Command,
    realserver_settings,
    service_settings,
)
from lvsguard.kernel.netlink import NLA_F_NESTED, attributes

PIECE = 32 * 1024
"""A dump's datagrams are at most this long."""
FAMILY = 28


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes dumps for one kind of kernel."""

    padded: bool = False
    tunnels: bool = True
    """Linux 5.3 and later tell tunnel type, port and flags."""

    def services(
        self,
        table: Mapping[ServiceKey, VirtualService],
        counters: Mapping[CounterKey, Counters] | None = None,
        sequence: int = 0,
    ) -> list[bytes]:
        """The dump of all services."""
        known = counters or {}
        return self._pieces(
            [
                self._message(
                    sequence,
                    Command.NEW_SERVICE,
                    CMD_SERVICE,
                    self._service(key, service),
                    known.get((key, None), Counters()),
                )
                for key, service in table.items()
            ]
        )

    def realservers(
        self,
        key: ServiceKey,
        service: VirtualService,
        counters: Mapping[CounterKey, Counters] | None = None,
        sequence: int = 1,
    ) -> list[bytes]:
        """The dump of one service's realservers."""
        known = counters or {}
        messages = []
        for realserver, entry in service.realservers.items():
            mine = known.get((key, realserver), Counters())
            body = self._realserver(realserver, realserver_settings(realserver, entry), mine)
            messages.append(self._message(sequence, Command.NEW_DEST, CMD_DEST, body, mine))
        return self._pieces(messages)

    def _service(self, key: ServiceKey, service: VirtualService) -> bytes:
        found = _split(service_settings(key, service))
        if found[11][4:5] == b"\0":
            del found[11]
        flags = int.from_bytes(found[7][4:8], "little") | 0x2
        found[7] = _attribute(7, pack("=II", flags, 0xFFFFFFFF))
        return b"".join(found[kind] for kind in (1, 5, 2, 3, 4, 6, 11, 7, 8, 9) if kind in found)

    def _realserver(self, _key: RealserverKey, settings: bytes, counters: Counters) -> bytes:
        found = _split(settings)
        tunnel = (13, 14, 15) if self.tunnels else ()
        gauges = {
            7: _attribute(7, pack("=I", counters.active)),
            8: _attribute(8, pack("=I", counters.inactive)),
            9: _attribute(9, pack("=I", counters.persistent)),
        }
        found.update(gauges)
        return b"".join(found[kind] for kind in (1, 2, 3, 4, *tunnel, 5, 6, 7, 8, 9, 11))

    def _message(
        self, sequence: int, command: int, nest: int, body: bytes, counters: Counters
    ) -> bytes:
        position = 20 + 4 + len(body)
        totals = counters[:5]
        old = b""
        for kind, total in enumerate(totals, 1):
            if kind <= 3:
                old += _attribute(kind, pack("=I", total & 0xFFFFFFFF))
            else:
                old += self._wide(kind, total, position + 4 + len(old))
        old += b"".join(_attribute(kind, bytes(4)) for kind in range(6, 11))
        body += _attribute(10, old)
        position += 4 + len(old)
        new = b""
        for kind in range(1, 11):
            total = totals[kind - 1] if kind <= 5 else 0
            new += self._wide(kind, total, position + 4 + len(new))
        body += _attribute(12, new)
        nested = _attribute(nest | NLA_F_NESTED, body)
        header = pack("=IHHII", 20 + len(nested), FAMILY, 2, sequence, 4711)
        return header + pack("=BBH", command, 1, 0) + nested

    def _wide(self, kind: int, value: int, position: int) -> bytes:
        """A 64-bit number; its payload is aligned to 8 where the kernel wants that."""
        padding = pack("=HH", 4, 11) if self.padded and position % 8 == 0 else b""
        return padding + _attribute(kind, pack("=Q", value))

    def _pieces(self, messages: Sequence[bytes]) -> list[bytes]:
        pieces: list[bytes] = []
        for message in messages:
            if pieces and len(pieces[-1]) + len(message) <= PIECE:
                pieces[-1] += message
            else:
                pieces.append(message)
        return pieces


def done(sequence: int, code: int = 0) -> bytes:
    """NLMSG_DONE."""
    return pack("=IHHIIi", 20, 3, 2, sequence, 4711, code)


def refused(sequence: int, errno: int) -> bytes:
    """NLMSG_ERROR that repeats a request's header."""
    return pack("=IHHIIi", 36, 2, 0, sequence, 4711, -errno) + pack(
        "=IHHII", 16, FAMILY, 5, sequence, 0
    )


def _split(nested: bytes) -> dict[int, bytes]:
    """The attributes inside an encoded service or realserver, whole, by kind."""
    return {
        kind: _attribute(kind, nested[start:end])
        for kind, (start, end) in attributes(nested, 4, len(nested)).items()
    }


def _attribute(kind: int, payload: bytes) -> bytes:
    return pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)
