"""A table as text and back: `ipvsadm -Sn` read into the project's values."""

from __future__ import annotations

import re
from dataclasses import replace

from lvsguard.core.model import ServiceKey, VirtualService
from lvsguard.core.step import AddRealserver, AddService
from tests.support import ipvsadm_syntax

Table = dict[ServiceKey, VirtualService]
MARK = re.compile(r"-[0-9]{2,}\Z|-[1-57-9]\Z")
"""A firewall mark above 2**31, as ipvsadm prints it. ``-6`` is an option."""


def from_ipvsadm(saved: str) -> Table:
    """The table that `ipvsadm -Sn` printed. It prints no thresholds: they are 0 here."""
    table: Table = {}
    for line in saved.splitlines():
        # Written by ipvsadm with one space too many here and there, and with a signed mark.
        words = [f"{int(w) + 2**32}" if MARK.match(w) else w for w in line.split()]
        command = ipvsadm_syntax.read(" ".join(("ipvsadm", *words)))
        if command.wanted is not None:
            table[command.service] = command.wanted
        else:
            assert command.realserver is not None
            assert command.entry is not None
            service = table[command.service]
            entries = {**service.realservers, command.realserver: command.entry}
            table[command.service] = replace(service, realservers=entries)
    return table


def without_thresholds(table: Table) -> Table:
    """What is left of a table when `ipvsadm -Sn` prints it."""
    return {
        key: replace(
            service,
            realservers={
                realserver: replace(entry, upper_threshold=0, lower_threshold=0)
                for realserver, entry in service.realservers.items()
            },
        )
        for key, service in table.items()
    }


def steps_to(table: Table) -> list[AddService | AddRealserver]:
    """The steps that make a table from nothing."""
    steps: list[AddService | AddRealserver] = []
    for key, service in table.items():
        steps.append(AddService(key, service))
        steps.extend(AddRealserver(key, r, entry) for r, entry in service.realservers.items())
    return steps
