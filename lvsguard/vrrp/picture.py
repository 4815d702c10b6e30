"""How the elections of this director stand, as messages for the controller."""

from __future__ import annotations

import time
from typing import Final

from lvsguard.vrrp import message
from lvsguard.vrrp.hearing import together
from lvsguard.vrrp.message import Counts, State
from lvsguard.vrrp.station import Station

_COUNTED: Final = (
    "sent",
    "received",
    "resigned",
    "resignations",
    "conflicts",
    "claims",
    "late",
)


class Pictures:
    """Of one station."""

    def __init__(self, station: Station, *, real_time: bool) -> None:
        self._station = station
        self._real_time = real_time
        self._since: dict[str, tuple[str, float]] = {}
        """Role and, by the wall clock as it was then, when it began."""

    def state(self, vip: str) -> State | None:
        """How a VIP group stands; None: it takes no part."""
        station = self._station
        party = station.roster.party(vip)
        members = station.roster.members(vip)
        if party is None or not members or vip not in station.roster.puts:
            self._since.pop(vip, None)
            return None
        election = party.group.members[members[0].name]
        role = str(election.role)
        if self._since.get(vip, ("", 0.0))[0] != role:
            # Once, for what the wall clock says may jump.
            self._since[vip] = role, time.time() - (time.monotonic() - election.since)
        return State(
            name=vip,
            role=role,
            since=self._since[vip][1],
            priority=election.priority,
            master=str(election.master or ""),
            held=tuple(map(message.address, sorted(station.held(members), key=str))),
            held_back=election.aside,
            problem=station.problem(party),
            paths=together(
                one.hearing.look(part.role, part.since, time.monotonic())
                for one in members
                for part in (party.group.members[one.name],)
            ),
        )

    def counts(self) -> Counts:
        """What was counted since the process began."""
        station = self._station
        by_vip: dict[str, dict[str, int]] = {}
        rejected: dict[str, dict[str, int]] = {}
        for one in station.roster.instances.values():
            counted = by_vip.setdefault(one.vip, dict.fromkeys(_COUNTED, 0))
            for what in _COUNTED:
                counted[what] += getattr(one, what)
            reasons = rejected.setdefault(one.vip, {})
            for reason, count in one.rejected.items():
                reasons[reason] = reasons.get(reason, 0) + count
        column = {what: {vip: counts[what] for vip, counts in by_vip.items()} for what in _COUNTED}
        return Counts(
            rejected=rejected,
            discarded=dict(station.paths.discarded()),
            announced=station.doing.announcing.sent,
            lateness=tuple(station.doing.lateness.counts),
            lateness_sum=station.doing.lateness.sum,
            real_time=self._real_time,
            **column,
        )
