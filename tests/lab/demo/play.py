"""A performance: the stage and the screen together, what was measured, and what must hold."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.topology_pings import start_pings

if TYPE_CHECKING:
    from tests.lab.demo.show import Show
    from tests.lab.demo.stage import Stage
    from tests.support.topology import Host
    from tests.support.topology_pings import Pings

LONG_LIVED = 20
PING_EVERY_S = 0.5


class Broken(Exception):
    """Something that the demo promises did not hold."""


@dataclass(frozen=True, slots=True)
class Number:
    """Something measured on the way, as people say it."""

    what: str
    figure: str
    promised: str


@dataclass(slots=True)
class Play:
    """What a scene is given."""

    stage: Stage
    show: Show
    fast: bool
    """Whether nobody watches, so that there is no pause for the eye."""
    numbers: list[Number] = field(default_factory=list)

    def look(self, seconds: float) -> None:
        """Give the eye time; without an eye just enough for a few more requests."""
        time.sleep(min(seconds, 0.6) if self.fast else seconds)

    def run(self, host: Host, *command: str, shown: str = "") -> str:
        """Run a command on a host before everybody's eyes; return what it printed."""
        output = host.run(*command).stdout
        self.show.command(host.name, shown or " ".join(command), output)
        return output

    def lvsguard(self, *arguments: str, shown: str = "") -> str:
        """Run a command of lvsguard on the director."""
        return self.run(self.stage.network.director1, "lvsguard", *arguments, shown=shown)

    def status(self) -> None:
        """Show the status as it is now."""
        client = self.stage.director.client
        self.show.status(client.status(), client.health())

    def holds(self, condition: bool, text: str, instead: str = "") -> None:
        """Say that something holds, or end the demo with what was seen instead."""
        if not condition:
            raise Broken(f"does not hold: {text}" + (f"\n{instead}" if instead else ""))
        self.show.good(text)

    def within(self, text: str, took_s: float, at_most_s: float, what: str = "") -> None:
        """Say how long something took; end the demo when that is too long."""
        figure, promised = seconds(took_s), f"≤ {seconds(at_most_s)}"
        if took_s > at_most_s:
            raise Broken(f"too late: {text} {figure} (promised: {promised})")
        self.show.good(text, figure, promised)
        if what:
            self.numbers.append(Number(what, figure, promised))

    def count(self, text: str, number: int, at_most: int, what: str) -> None:
        """Say how often something happened; end the demo when that is too often."""
        if number > at_most:
            raise Broken(f"{text}: {number}, promised: {at_most} at most")
        self.show.good(f"{text}:", str(number))
        self.numbers.append(Number(what, str(number), str(at_most)))

    def note(self, text: str, number: int, what: str) -> None:
        """Say how often something happened that nobody promised to prevent."""
        self.show.good(f"{text}:", str(number))
        self.numbers.append(Number(what, str(number), ""))

    def event(self, kind: str, since: float, *, times: int = 1) -> None:
        """Show what lvsguard said of it: an event of a kind, each time (since a wall clock)."""
        found = self.stage.director.events(kind, since)
        if len(found) != times:
            raise Broken(f"lvsguard told of it {len(found)} times, not {times}")
        self.show.said(found[0].text + (f" ({times} times)" if times > 1 else ""))

    def open_long_lived(self) -> Pings:
        """Open connections that stay, each with a request now and then."""
        target = "10.0.0.8:80"
        return start_pings(self.stage.network.client, target, LONG_LIVED, every_s=PING_EVERY_S)

    def close_long_lived(self, pings: Pings, what: str) -> None:
        """Close them, and say whether each of them lived until now."""
        connections = pings.stop()
        alive = sum(not connection.broken for connection in connections)
        worst = max(connection.worst_s for connection in connections)
        if alive < LONG_LIVED:
            raise Broken(f"only {alive} of {LONG_LIVED} long-lived connections went on")
        figure = f"{alive} of {LONG_LIVED}, slowest answer {seconds(worst)}"
        self.show.good("long-lived connections that went on:", figure)
        self.numbers.append(Number(what, f"{alive} of {LONG_LIVED}", "all"))


def seconds(value: float) -> str:
    """A time as people say it: `8 ms`, `0.74 s`."""
    return (
        f"{value * 1000:.0f} ms"
        if value < 0.1
        else f"{value:.2g} s"
        if value < 1
        else f"{value:.1f} s"
    )
