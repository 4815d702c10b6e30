"""What is held back on which interface, changed without a gap and only where it differs.

The kernel may load a module for it, so an errand does it; the newest wish counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lvsguard.core.model import IPAddress
from lvsguard.kernel.port import KernelError
from lvsguard.vrrp.errands import End, Errands
from lvsguard.vrrp.holdback import Holdback

Wish = Mapping[str, frozenset[IPAddress]]


class Holding:
    """The hold-back of all VIP groups."""

    def __init__(self, errands: Errands, tell: Callable[[str], None]) -> None:
        """``tell`` gets what went wrong, each thing once until it went well again."""
        self._errands = errands
        self._tell = tell
        self._wish: dict[str, frozenset[IPAddress]] = {}
        self._under_way = False
        self._told: frozenset[str] = frozenset()
        self._held: dict[str, Holdback] = {}
        """By interface; the errands' alone."""

    def want(self, wish: Wish) -> None:
        """Hold back exactly these VIPs, by interface. An interface that is named for the first
        time loses what an earlier process left there, whether VIPs are held back on it or not."""
        if wish == self._wish:
            return
        self._wish = dict(wish)
        self._ask()

    def close(self) -> None:
        """Let everything through; the errands' end waits for it."""
        self._wish = {}
        self._errands.ask(self._let_go)

    def _ask(self) -> None:
        if not self._under_way:
            self._under_way = True
            self._errands.ask(self._fulfil)

    def _fulfil(self) -> End:
        """An errand."""
        wish = self._wish
        troubles: list[str] = []
        for name in self._held.keys() - wish.keys():
            self._held.pop(name).close()
        for name, vips in wish.items():
            try:
                if name not in self._held:
                    self._held[name] = Holdback([name], ())
                self._held[name].replace(vips)
            except KernelError as error:
                troubles.append(str(error))
        return lambda: self._fulfilled(wish, frozenset(troubles))

    def _let_go(self) -> End:
        """The last errand."""
        while self._held:
            self._held.popitem()[1].close()
        return lambda: None

    def _fulfilled(self, wish: Wish, troubles: frozenset[str]) -> None:
        self._under_way = False
        for trouble in sorted(troubles - self._told):
            self._tell(trouble)
        self._told = troubles
        if wish is not self._wish:
            self._ask()
