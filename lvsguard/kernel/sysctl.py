"""Kernel settings under /proc/sys, by name: read, write, and put back what was there.

A name is the path below /proc/sys with slashes (``net/ipv4/conf/eth0.100/arp_ignore``), because an
interface may have dots in its name. It knows no setting's meaning and remembers nothing itself.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal

from lvsguard.kernel.port import KernelError

PROC_SYS: Final = Path("/proc/sys")
MAX_VALUE: Final = 4096
"""Bytes read at most; the settings in question are numbers or short lists of them."""


class SysctlFault(StrEnum):
    """Why a setting could not be read or written."""

    MISSING = "missing"
    READ_ONLY = "read-only"
    DENIED = "denied"
    REFUSED = "refused"
    """The kernel did not take the value."""
    NAME = "name"
    """The name cannot be one below /proc/sys."""
    OTHER = "other"


class SysctlError(KernelError):
    """A setting could not be read or written; the message says what to do."""

    def __init__(self, name: str, fault: SysctlFault, message: str, errno: int = 0) -> None:
        super().__init__(message, errno)
        self.name = name
        self.fault = fault


@dataclass(frozen=True, slots=True)
class SettingValue:
    """One setting and its value, as text without the final newline."""

    name: str
    value: str

    def __str__(self) -> str:
        return f"{self.name}={self.value}"


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A setting that was written: what it was and what it is now."""

    name: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.name} {' '.join(self.before.split())} -> {self.after}"


def conf(family: Literal["ipv4", "ipv6"], link: str, key: str) -> str:
    """Name of a setting of one interface (or of ``all`` and ``default``)."""
    return f"net/{family}/conf/{link}/{key}"


def canonical(name: str) -> str:
    """Name with slashes from either of sysctl(8)'s spellings.

    Whichever of ``/`` and ``.`` comes first is the separator; when that is the dot, a slash stands
    for a dot in a name: ``net.ipv4.conf.eth0/100.arp_ignore``. Raises SysctlError.
    """
    dot, slash = name.find("."), name.find("/")
    if dot >= 0 and (slash < 0 or dot < slash):
        name = name.translate(str.maketrans("./", "/."))
    parts = name.split("/")
    if any(part in {"", ".", ".."} or "\0" in part for part in parts):
        raise SysctlError(
            name,
            SysctlFault.NAME,
            f"{name!r} is no kernel setting: write it like net/ipv4/conf/eth0/arp_ignore",
        )
    return "/".join(parts)


class Sysctl:
    """The settings below one root (``/proc/sys`` unless a test says otherwise).

    Calls are short file operations of procfs and do not wait for anything.
    """

    def __init__(self, root: Path = PROC_SYS) -> None:
        self._root = root

    def read(self, name: str) -> str:
        """Value of a setting, without the final newline. Raises SysctlError."""
        name = canonical(name)
        try:
            with (self._root / name).open("rb") as file:
                return file.read(MAX_VALUE).decode("ascii", "replace").rstrip("\n")
        except OSError as error:
            raise self._error(name, "read", error) from error

    def read_int(self, name: str) -> int:
        """Value of a setting that is one number. Raises SysctlError."""
        value = self.read(name)
        try:
            return int(value)
        except ValueError:
            raise SysctlError(
                name, SysctlFault.OTHER, f"{name} is {value!r} where a number was expected"
            ) from None

    def find(self, name: str) -> str | None:
        """Value of a setting, or None when this kernel has no such setting."""
        try:
            return self.read(name)
        except SysctlError as error:
            if error.fault is SysctlFault.MISSING:
                return None
            raise

    def write(self, name: str, value: str) -> None:
        """Write a setting. Raises SysctlError."""
        name = canonical(name)
        try:
            # Unbuffered: procfs takes each write(2) as one whole value, and "r+" never creates.
            with (self._root / name).open("r+b", buffering=0) as file:
                file.write(value.encode("ascii") + b"\n")
        except OSError as error:
            raise self._error(name, f"set to {value}", error) from error

    def remember(self, names: Iterable[str]) -> tuple[SettingValue, ...]:
        """Present values, in the order asked. Raises SysctlError."""
        return tuple(SettingValue(name, self.read(name)) for name in names)

    def set(self, wanted: Iterable[SettingValue]) -> tuple[SettingChange, ...]:
        """Write the values that differ, in order; return those that were written.

        Raises SysctlError at the first that fails; the ones before it stay written. Give back what
        ``remember`` returned to restore.
        """
        changes = []
        for setting in wanted:
            before = self.read(setting.name)
            # Lists are printed with tabs whatever was written (net/ipv4/vs/sync_threshold).
            if before.split() == setting.value.split():
                continue
            self.write(setting.name, setting.value)
            changes.append(SettingChange(setting.name, before, setting.value))
        return tuple(changes)

    def _error(self, name: str, action: str, error: OSError) -> SysctlError:
        number = error.errno or 0
        fault = _FAULTS.get(number, SysctlFault.OTHER)
        hint = self._missing(name) if fault is SysctlFault.MISSING else _HINTS[fault]
        text = error.strerror or str(error)
        return SysctlError(
            name, fault, f"{self._root / name} cannot be {action}: {text}; {hint}", number
        )

    def _missing(self, name: str) -> str:
        """What to do about a setting that is not there: the module or link that would bring it."""
        parts = name.split("/")
        if name.startswith("net/ipv4/vs/"):
            return (
                "this kernel has no such setting"
                if (self._root / "net/ipv4/vs").exists()
                else "load the kernel module: modprobe ip_vs"
            )
        if len(parts) > 3 and parts[0] == "net" and parts[2] == "conf":
            if not (self._root / parts[0] / parts[1]).exists():
                return f"this kernel runs without {parts[1]}: boot it with {parts[1]} enabled"
            if not (self._root / "/".join(parts[:4])).exists():
                return f"there is no interface {parts[3]}: create it or name another (ip link)"
        return "this kernel has no such setting"


_FAULTS: Final = {
    errno.ENOENT: SysctlFault.MISSING,
    errno.ENOTDIR: SysctlFault.MISSING,
    errno.EROFS: SysctlFault.READ_ONLY,
    errno.EACCES: SysctlFault.DENIED,
    errno.EPERM: SysctlFault.DENIED,
    errno.EINVAL: SysctlFault.REFUSED,
    errno.ERANGE: SysctlFault.REFUSED,
}
_HINTS: Final = {
    SysctlFault.READ_ONLY: "/proc/sys is mounted read-only here: set ProtectKernelTunables=no in"
    " the systemd unit, or start the container with --network host and /proc/sys writable",
    SysctlFault.DENIED: "CAP_NET_ADMIN is needed: run as root, or give it in the systemd unit"
    " (AmbientCapabilities=CAP_NET_ADMIN)",
    SysctlFault.REFUSED: "the kernel does not take this value: see its documentation"
    " (ip-sysctl, ipvs-sysctl) for what is allowed",
    SysctlFault.OTHER: "check that /proc is mounted and look at the kernel's log (dmesg)",
}
