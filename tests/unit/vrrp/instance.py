"""One election on a desk: its caller in a few lines, with a clock that is turned by hand."""

from __future__ import annotations

from ipaddress import ip_address

from lvsguard.core.model import IPAddress
from lvsguard.vrrp.action import Action, RoleChanged, Send
from lvsguard.vrrp.advert import Advert, Version
from lvsguard.vrrp.election import Election
from lvsguard.vrrp.settings import Settings
from lvsguard.vrrp.transitions import Trigger

VIP = ip_address("10.0.0.8")
LOCAL = ip_address("10.0.0.41")
LOWER = ip_address("10.0.0.40")
GREATER = ip_address("10.0.0.42")


def settings(
    priority: int = 100,
    *,
    interval: float = 1.0,
    version: Version = Version.V3,
    preempt: bool = True,
    preempt_delay: float = 0.0,
    start_delay: float = 0.0,
    unready_drop: int | None = None,
) -> Settings:
    """Of the instance under test."""
    return Settings(
        51,
        (VIP,),
        LOCAL,
        priority,
        interval,
        version,
        preempt=preempt,
        preempt_delay=preempt_delay,
        start_delay=start_delay,
        unready_drop=unready_drop,
    )


def advert(priority: int, interval: float = 1.0, version: Version = Version.V3) -> Advert:
    """What somebody else says."""
    return Advert(51, priority, interval, (VIP,), version)


class Instance:
    """An election, the time, and everything that it asked for."""

    def __init__(self, config: Settings | None = None, *, ready: bool = True) -> None:
        self.now = 1000.0
        self.election = Election(config or settings(), ready=ready)
        self.asked: list[tuple[float, Action]] = []

    def start(self) -> Instance:
        self.election.start(self.now)
        self._drain()
        return self

    def run(self, seconds: float) -> list[Action]:
        """Let time pass as an idle process sees it; return what it asked for meanwhile."""
        end, seen = self.now + seconds, len(self.asked)
        while (due := self.election.timer()) is not None and due <= end:
            self.now = max(self.now, due)
            self.election.expire(self.now)
            self._drain()
        self.now = end
        return [action for _, action in self.asked[seen:]]

    def stall(self, seconds: float) -> list[Action]:
        """Let time pass without running, and call ``expire`` once afterwards."""
        self.now += seconds
        self.election.expire(self.now)
        return self._drain()

    def hear(self, priority: int, source: IPAddress = LOWER, interval: float = 1.0) -> list[Action]:
        """Receive an advert now."""
        version = self.election.settings.version
        self.election.receive(advert(priority, interval, version), source, self.now)
        return self._drain()

    def follow(self, priority: int, times: int, source: IPAddress = LOWER) -> list[Action]:
        """Hear a master that speaks each second."""
        actions = []
        for _ in range(times):
            actions += self.run(1.0)
            actions += self.hear(priority, source)
        return actions

    def does(self) -> list[Action]:
        """What a call just made asks for."""
        return self._drain()

    def _drain(self) -> list[Action]:
        actions = self.election.actions()
        self.asked += [(self.now, action) for action in actions]
        return actions

    def became(self, kind: type[Action]) -> list[float]:
        """The times of all actions of a kind."""
        return [when for when, action in self.asked if isinstance(action, kind)]


def priorities(actions: list[Action]) -> list[int]:
    """The adverts among actions, by their priority."""
    return [action.advert.priority for action in actions if isinstance(action, Send)]


def causes(actions: list[Action]) -> list[Trigger]:
    """The changes of role among actions, by their cause."""
    return [action.cause for action in actions if isinstance(action, RoleChanged)]


def master(config: Settings | None = None) -> Instance:
    """An instance that has become master, long ago."""
    one = Instance(config).start()
    one.run(60.0)
    return one


def backup(config: Settings | None = None, priority: int = 150) -> Instance:
    """An instance that follows a master of a priority at LOWER, heard just now."""
    one = Instance(config).start()
    one.follow(priority, 5)
    return one
