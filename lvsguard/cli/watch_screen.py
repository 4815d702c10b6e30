"""What the screen of ``status --watch`` shows, and what a key does to it. Pure: it asks nobody.

``press`` takes a key and returns what is to be asked of the daemon, if anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from lvsguard.cli.text import printable
from lvsguard.cli.watch_rates import Place, Rates
from lvsguard.core.override import Admin, OverrideKind

if TYPE_CHECKING:
    from lvsguard.admin.protocol import EventReply, OverrideReply
    from lvsguard.admin.status_reply import HealthReply, RealserverReply, ServiceReply, Status
    from lvsguard.core.health import Verdict

MESSAGE_S = 8.0
"""How long an answer stays on the screen."""
AGAIN = "connected again"
LINE_MAX = 200
"""Characters that can be typed into a line."""


class Mode(StrEnum):
    """What keys are for at the moment."""

    TABLE = "table"
    FILTER = "filter"
    DRAIN = "drain"
    UNDRAIN = "undrain"
    WHY = "why"
    HELP = "help"


@dataclass(frozen=True, slots=True)
class Look:
    """What the daemon said at one time (wall clock)."""

    at: float
    status: Status
    health: HealthReply
    overrides: Sequence[OverrideReply]
    events: Sequence[EventReply]


@dataclass(frozen=True, slots=True)
class Row:
    """A realserver of a service."""

    service: ServiceReply
    realserver: RealserverReply

    @property
    def place(self) -> Place:
        """Its identity."""
        return self.service.name, self.realserver.address, self.realserver.port

    @property
    def endpoint(self) -> str:
        """Its address and port, as commands take them."""
        one = self.realserver
        return f"[{one.address}]:{one.port}" if ":" in one.address else f"{one.address}:{one.port}"

    @property
    def title(self) -> str:
        """Its name, where it has one, and its address."""
        name = self.realserver.name
        return self.endpoint if name == self.realserver.address else f"{name} {self.endpoint}"

    @property
    def state(self) -> Verdict | Admin:
        """One word."""
        admin = self.realserver.admin
        return self.realserver.verdict if admin is Admin.READY else admin

    @property
    def well(self) -> bool:
        """Whether it needs no look."""
        one = self.realserver
        return self.state == "up" and one.weight == one.configured_weight

    def matches(self, words: Sequence[str]) -> bool:
        """Whether all words of a filter are in it."""
        one = self.realserver
        said = f"{self.service.name} {self.service.address} {self.title} {self.state} {one.reason}"
        return all(word in said.lower() for word in words)

    def held_by(self, override: OverrideReply) -> bool:
        """Whether an override is about it."""
        return (
            override.address == self.realserver.address
            and override.port in (None, self.realserver.port)
            and override.service in (None, self.service.name)
        )


def where(override: OverrideReply) -> str:
    """An override's target without its service, as requests take it."""
    address, port = override.address, override.port
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


@dataclass(frozen=True, slots=True)
class Drain:
    """To be asked: drain one realserver of one service."""

    row: Row
    reason: str


@dataclass(frozen=True, slots=True)
class Undrain:
    """To be asked: end these drains."""

    row: Row
    drains: tuple[OverrideReply, ...]


@dataclass(frozen=True, slots=True)
class Why:
    """To be asked: why it is as it is."""

    row: Row


@dataclass(frozen=True, slots=True)
class Quit:
    """The end."""


Wish = Drain | Undrain | Why | Quit


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a question on the screen is about, as it was when its key was pressed."""

    row: Row
    drains: tuple[OverrideReply, ...] = ()
    """That hold it."""


Told = Callable[[int], Sequence[str]]
"""Lines of an answer, for a terminal of so many columns."""


def _nothing(_width: int) -> Sequence[str]:
    return ()


@dataclass
class Screen:
    """The state of the screen."""

    look: Look | None = None
    lost: Sequence[str] = ()
    """Why the daemon cannot be asked; empty: it can."""
    lost_at: float = 0.0
    asked_at: float | None = None
    """Since when (wall clock) the daemon has owed an answer; None: it owes none."""
    mode: Mode = Mode.TABLE
    line: str = ""
    """What is being typed."""
    filter: str = ""
    only: bool = False
    """Only what needs a look."""
    chosen: Place | None = None
    subject: Subject | None = None
    """Of the modes drain and undrain. Looks may move the choice before the answer."""
    told: Told = _nothing
    """The answer to a why."""
    scroll: int = 0
    """First line of that answer that is shown."""
    scroll_max: int = 0
    """That line when the last one is shown, as it was drawn."""
    message: str = ""
    message_until: float = 0.0
    rates: Rates = field(default_factory=Rates)

    # -- what the daemon says --------------------------------------------------------------

    def take(self, look: Look) -> None:
        """The daemon answered."""
        before = self.look
        if self.lost:
            self.lost = ()
            anew = before is not None and before.health.started != look.health.started
            self.say(AGAIN + (": the daemon was restarted" if anew else ""), look.at)
        if before is not None and before.health.started != look.health.started:
            self.rates.forget()
        self.look = look
        self.rates.take(look.at, look.status)
        if self.row is None:
            self.chosen = next((row.place for row in self.rows()), None)

    def lose(self, lines: Sequence[str], at: float) -> None:
        """The daemon did not answer."""
        if not self.lost:
            self.lost_at = at
            if self.message.startswith(AGAIN):
                self.message = ""
        self.lost = lines

    def say(self, message: str, at: float) -> None:
        """Show an answer for a while."""
        self.message, self.message_until = printable(message), at + MESSAGE_S

    def tell(self, told: Told, at: float) -> None:
        """Show the answer to a why until a key is pressed."""
        if self.mode not in (Mode.TABLE, Mode.WHY):  # the next key is for something else
            self.say("the answer to why has come meanwhile: press w again", at)
            return
        self.mode, self.told, self.scroll, self.scroll_max = Mode.WHY, told, 0, 0
        self.message = ""

    def settle_scroll(self, most: int) -> None:
        """So many lines of the answer do not fit on a terminal of this size."""
        self.scroll, self.scroll_max = min(self.scroll, most), most

    # -- what is chosen --------------------------------------------------------------------

    def rows(self) -> list[Row]:
        """Realservers that are shown, in the order of the config."""
        if self.look is None:
            return []
        words = self.filter.lower().split()
        return [
            row
            for service in self.look.status.services
            for row in (Row(service, one) for one in service.realservers)
            if row.matches(words) and not (self.only and row.well)
        ]

    @property
    def row(self) -> Row | None:
        """The chosen one."""
        return next((row for row in self.rows() if row.place == self.chosen), None)

    def _move(self, by: int) -> None:
        rows = self.rows()
        if not rows:
            return
        at = next((n for n, row in enumerate(rows) if row.place == self.chosen), 0)
        self.chosen = rows[min(max(at + by, 0), len(rows) - 1)].place

    # -- keys ------------------------------------------------------------------------------

    def press(self, key: str, at: float) -> Wish | None:
        """A key: a character, or ``up``, ``down``, ``page-up``, ``page-down``, ``home``, ``end``,
        ``enter``, ``escape``, ``backspace``, ``erase``."""
        if self.mode is Mode.TABLE:
            return self._command(key, at)
        if self.mode in (Mode.HELP, Mode.WHY):
            self._read(key)
            return None
        return self._typed(key, at)

    def _command(self, key: str, at: float) -> Wish | None:
        steps = {"up": -1, "k": -1, "down": 1, "j": 1, "page-up": -10, "page-down": 10}
        ends = {"home": -(10**6), "end": 10**6, "g": -(10**6), "G": 10**6}
        if key in steps or key in ends:
            self._move((steps | ends)[key])
        elif key in ("q", "Q"):
            return Quit()
        elif key in ("?", "h"):
            self.mode = Mode.HELP
        elif key == "/":
            self.mode, self.line = Mode.FILTER, self.filter
        elif key == "t":
            self.only = not self.only
            self._settle()
        elif key == "escape":
            self.filter, self.only, self.message = "", False, ""
            self._settle()
        elif key in ("d", "u", "w", "enter"):
            return self._about(key, at)
        return None

    def _about(self, key: str, at: float) -> Wish | None:
        row = self.row
        if row is None:
            self.say("choose a realserver first (arrow keys)", at)
        elif key in ("w", "enter"):
            return Why(row)
        elif key == "d":
            self.mode, self.line, self.subject = Mode.DRAIN, "", Subject(row, self.drains(row))
        elif drains := self.drains(row):
            self.mode, self.subject = Mode.UNDRAIN, Subject(row, drains)
        else:
            self.say(f"{row.endpoint} is not drained", at)
        return None

    def drains(self, row: Row) -> tuple[OverrideReply, ...]:
        """Drains that hold a realserver."""
        overrides = () if self.look is None else self.look.overrides
        return tuple(o for o in overrides if o.kind is OverrideKind.DRAIN and row.held_by(o))

    def _read(self, key: str) -> None:
        steps = {"up": -1, "k": -1, "down": 1, "j": 1, "page-up": -10, "page-down": 10}
        if key in steps and self.mode is Mode.WHY:
            self.scroll = max(0, min(self.scroll + steps[key], self.scroll_max))
        else:
            self.mode, self.told = Mode.TABLE, _nothing

    def _typed(self, key: str, at: float) -> Wish | None:
        mode = self.mode
        if key == "escape":
            self.mode = Mode.TABLE
        elif key == "enter":
            self.mode = Mode.TABLE
            return self._entered(mode, at)
        elif key == "backspace":
            self.line = self.line[:-1]
        elif key == "erase":
            self.line = ""
        elif len(key) == 1 and key.isprintable() and len(self.line) < LINE_MAX:
            self.line += key
        if self.mode is Mode.FILTER:
            self.filter = self.line
            self._settle()
        return None

    def _entered(self, mode: Mode, at: float) -> Wish | None:
        subject = self.subject
        if mode is Mode.FILTER or subject is None:
            return None
        row = subject.row
        if not self._configured(row.place):
            gone = f"{row.endpoint} of {row.service.name} is not in the configuration any more"
            self.say(f"{gone}: nothing was done", at)
            return None
        if mode is Mode.DRAIN:
            return Drain(row, self.line.strip())
        return Undrain(row, subject.drains)

    def _configured(self, place: Place) -> bool:
        """Whether the last look had it, shown or not."""
        services = () if self.look is None else self.look.status.services
        return any(Row(s, one).place == place for s in services for one in s.realservers)

    def _settle(self) -> None:
        """Choose something that is shown."""
        if self.row is None:
            self.chosen = next((row.place for row in self.rows()), self.chosen)
