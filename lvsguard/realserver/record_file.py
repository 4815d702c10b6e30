"""Keeps the record: one JSON file, written whole and renamed, and one lock.

It holds only for the boot and the network namespace that it was written in: kernel settings, links
and rules are gone after a reboot, so a record from before it is dropped. It is read as untrusted
input: it can name nothing but the ARP settings, addresses and rules that this room deals with.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address, ip_interface
from pathlib import Path
from typing import Final

import msgspec

from lvsguard.kernel.link import link_name_problem
from lvsguard.kernel.port import KernelError
from lvsguard.realserver.model import ArpMode, ArpRule, RealserverSetup
from lvsguard.realserver.record import ArpKey, ArpSetting, Original, Own, Record

DIRECTORY: Final = Path("/run/lvsguard-realserver")
FILE: Final = "record.json"
VERSION: Final = 1
MAX_BYTES: Final = 1 << 20
LOCK_TIMEOUT_S: Final = 10.0
_SO_NETNS_COOKIE: Final = 71  # asm-generic/socket.h, Linux 5.14


class RecordError(KernelError):
    """The record cannot be read, written or locked; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Era:
    """The boot and the network namespace in which a record holds."""

    boot: str
    namespace: str


def present_era(boot: str) -> Era:
    """The era of the calling process. ``boot`` is kernel/random/boot_id."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            cookie = probe.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8)
            return Era(boot, str(int.from_bytes(cookie, "little")))
        except OSError:  # older kernel: the inode, which may be used again in the same boot
            return Era(boot, f"inode-{Path('/proc/thread-self/ns/net').stat().st_ino}")


class RecordFile:
    """The file in one directory, for one era. Use it only inside ``locked``."""

    def __init__(self, directory: Path, era: Era) -> None:
        self._path = directory / FILE
        self._era = era
        self._elsewhere: dict[str, _Namespace] = {}

    def load(self) -> Record:
        """What holds now; empty when there is no record or it is of an earlier boot."""
        try:
            with self._path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return Record()
        except OSError as error:
            raise RecordError(
                f"{self._path} cannot be read: {error.strerror}; run as root"
            ) from error
        try:
            if len(data) > MAX_BYTES:
                raise ValueError("it is too big")
            document = msgspec.json.decode(data, type=_Document)
            if document.version != VERSION:
                raise ValueError(f"version {document.version} is not {VERSION}")
            if document.boot != self._era.boot:
                return Record()
            self._elsewhere = dict(document.namespaces)
            mine = self._elsewhere.pop(self._era.namespace, None)
            return mine.record() if mine else Record()
        except (ValueError, msgspec.MsgspecError) as error:
            raise RecordError(
                f"{self._path} is no record that this version can use ({error}): undo by hand what"
                " the last `lvsguard realserver up` made (`lvsguard realserver check` shows it),"
                " then delete the file"
            ) from error

    def save(self, record: Record) -> None:
        """Write it, durably, before what it tells is done. An empty record removes the file."""
        namespaces = dict(self._elsewhere)
        if record.owns or record.originals:
            namespaces[self._era.namespace] = _Namespace.of(record)
        try:
            if namespaces:
                document = _Document(VERSION, self._era.boot, namespaces)
                self._write(msgspec.json.format(msgspec.json.encode(document)) + b"\n")
            else:
                self._path.unlink(missing_ok=True)
        except OSError as error:
            raise RecordError(
                f"{self._path} cannot be written: {error.strerror};"
                " nothing was changed that is not recorded: make room or run as root, then again"
            ) from error

    def _write(self, data: bytes) -> None:
        temporary = self._path.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        descriptor = os.open(temporary, flags, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(self._path)


@asynccontextmanager
async def locked(directory: Path) -> AsyncIterator[None]:
    """Hold the directory for one writer; made when missing. Raises RecordError."""
    descriptor = _open(directory)
    try:
        await _lock(descriptor, directory)
        yield
    finally:
        os.close(descriptor)


def _open(directory: Path) -> int:
    try:
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        return os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise RecordError(
            f"{directory} cannot be used: {error.strerror}; run as root,"
            " or make it (systemd: RuntimeDirectory=lvsguard-realserver)"
        ) from error


async def _lock(descriptor: int, directory: Path) -> None:
    try:
        async with asyncio.timeout(LOCK_TIMEOUT_S):
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    await asyncio.sleep(0.05)
                else:
                    return
    except TimeoutError:
        raise RecordError(
            f"another `lvsguard realserver` has held {directory} for {LOCK_TIMEOUT_S:.0f} s:"
            " wait for it, or end it if it hangs"
        ) from None


class _Setting(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    link: str
    key: ArpKey

    def value(self) -> ArpSetting:
        if problem := link_name_problem(self.link):
            raise ValueError(problem)
        return ArpSetting(self.link, self.key)


class _Original(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    setting: _Setting
    before: int
    ours: int


class _Rule(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    vip: str
    rip: str | None = None


class _Own(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    link: str
    vips: tuple[str, ...]
    rip: str | None
    mode: ArpMode
    link_made: bool
    link_raised: bool
    addresses: tuple[str, ...]
    settings: tuple[_Setting, ...]
    rules: tuple[_Rule, ...]
    table: bool

    @classmethod
    def of(cls, own: Own) -> _Own:
        return cls(
            link=own.setup.link,
            vips=tuple(map(str, own.setup.vips)),
            rip=str(own.setup.rip) if own.setup.rip is not None else None,
            mode=own.setup.mode,
            link_made=own.link_made,
            link_raised=own.link_raised,
            addresses=tuple(sorted(map(str, own.addresses))),
            settings=tuple(_Setting(s.link, s.key) for s in sorted(own.settings)),
            rules=tuple(sorted((_rule(r) for r in own.rules), key=lambda r: (r.vip, r.rip or ""))),
            table=own.table,
        )

    def value(self) -> Own:
        return Own(
            setup=RealserverSetup(
                vips=tuple(map(ip_address, self.vips)),
                rip=ip_address(self.rip) if self.rip is not None else None,
                link=self.link,
                mode=self.mode,
            ),
            link_made=self.link_made,
            link_raised=self.link_raised,
            addresses=frozenset(map(ip_interface, self.addresses)),
            settings=frozenset(setting.value() for setting in self.settings),
            rules=frozenset(
                ArpRule(IPv4Address(r.vip), IPv4Address(r.rip) if r.rip is not None else None)
                for r in self.rules
            ),
            table=self.table,
        )


class _Namespace(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    owns: tuple[_Own, ...]
    originals: tuple[_Original, ...]

    @classmethod
    def of(cls, record: Record) -> _Namespace:
        return cls(
            owns=tuple(_Own.of(own) for _, own in sorted(record.owns.items())),
            originals=tuple(
                _Original(_Setting(s.link, s.key), o.before, o.ours)
                for s, o in sorted(record.originals.items())
            ),
        )

    def record(self) -> Record:
        return Record(
            owns={own.link: own.value() for own in self.owns},
            originals={o.setting.value(): Original(o.before, o.ours) for o in self.originals},
        )


class _Document(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    version: int
    boot: str
    namespaces: dict[str, _Namespace]


def _rule(rule: ArpRule) -> _Rule:
    return _Rule(str(rule.vip), str(rule.rip) if rule.rip is not None else None)
