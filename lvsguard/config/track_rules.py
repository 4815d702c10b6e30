"""Rules of what a priority depends on: each entry is one thing, known, and there once."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Final

from lvsguard.config.leaf import near, period, show
from lvsguard.config.problem import KeyPath
from lvsguard.config.review import Review
from lvsguard.config.validate import entries
from lvsguard.config.vrrp_schema import TrackTable, VrrpTable

KINDS: Final = ("service", "interface", "file", "command", "peer")


def check_tracks(sheet: Review, here: KeyPath, vrrp: VrrpTable) -> None:
    """Every rule on the track tables of one election."""
    seen: dict[tuple[str, object], int] = {}
    for index, track in entries(vrrp.track):
        path = (*here, "track", index)
        kinds = [kind for kind in KINDS if getattr(track, kind) is not None]
        every = [(*path, kind) for kind in KINDS]
        if len(kinds) != 1:
            found = f"{' and '.join(kinds)} at once" if kinds else "nothing to look at"
            sheet.say(
                path,
                f"{found}; one of service, interface, file, command and peer makes an entry",
                *every,
            )
        for kind in kinds[:1] if len(kinds) == 1 else ():
            subject = repr(getattr(track, kind))
            if seen.setdefault((kind, subject), index) != index:
                sheet.say((*path, kind), f"the same as track[{seen[kind, subject]}]; leave one out")
        _check_subject(sheet, path, track)
        _check_times(sheet, path, track)


def _check_subject(sheet: Review, path: KeyPath, track: TrackTable) -> None:
    if track.service is not None:
        names = [service.name for _, service in entries(sheet.document.service)]
        if track.service not in names:
            guess = near(track.service, names)
            hint = f"; did you mean {show(guess)}?" if guess else ""
            sheet.say(
                (*path, "service"),
                f"no service {show(track.service)} in this file; name one of its [[service]]{hint}",
                ("service",),
            )
    if track.peer is not None:
        _check_peer(sheet, path, track)
    if sheet.interfaces is None:
        return
    if track.interface is not None:
        name = sheet.pick(track.interface)
        if name is not None and name not in sheet.interfaces:
            there = ", ".join(sorted(sheet.interfaces)) or "none at all"
            sheet.say(
                (*path, "interface"), f"no interface {show(name)} on this host; it has {there}"
            )
    if track.command is not None and (wrong := _not_a_program(track.command[0])):
        sheet.say((*path, "command"), f"{show(track.command[0])} {wrong}")


def _check_peer(sheet: Review, path: KeyPath, track: TrackTable) -> None:
    where = (*path, "peer")
    if track.peer is False:
        sheet.say(where, "false tracks nothing; leave the entry out")
    elif sheet.document.peer is None and sheet.document.cluster is None:
        sheet.say(where, "there is no channel to another director; write a [peer] table", ("peer",))
    elif track.drop is None:
        sheet.say(
            where,
            "without drop this director would stand back, also where the other one cannot take"
            " over; write drop, larger than the difference of their priorities",
            (*path, "drop"),
        )


def _not_a_program(path: str) -> str:
    """Why a file cannot be run; empty when it can, or when this user may not look."""
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        return "is not there; write it, or correct the path"
    except (OSError, ValueError):
        return ""
    if not stat.S_ISREG(mode) or not mode & 0o111:
        return "is not a program; name one, or chmod +x it"
    if mode & stat.S_IWOTH:
        return "may be changed by everybody, and the daemon would run it; chmod o-w it"
    return ""


def _check_times(sheet: Review, path: KeyPath, track: TrackTable) -> None:
    if track.timeout is None:
        return
    where = (*path, "timeout")
    if track.command is None:
        sheet.say(where, "is for a command; leave it out", (*path, "command"))
    elif track.timeout > track.interval:
        sheet.say(
            where,
            f"{period(track.timeout)} is longer than interval ({period(track.interval)}), and"
            " looks would pile up; make it at most that",
            (*path, "interval"),
        )
