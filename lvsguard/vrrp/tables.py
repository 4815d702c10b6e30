"""The connection table around changes of role.

A master sends it when a director joins and asks, and around a handover; a director that joins does
not preempt before it was sent; and a successor holds back for a moment what would end connections
that it is about to hear of. The kernel's own sync, which tells a peer only of what happens from now
on, is the controller's. Everything here is a help: what fails is told, and no role waits for it
longer than is said here.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Final

from lvsguard.core.model import IPAddress
from lvsguard.core.snapshot import Role
from lvsguard.kernel.port import KernelError
from lvsguard.vrrp.action import Stage
from lvsguard.vrrp.holdback import HOLD_MAX_S, Holdback
from lvsguard.vrrp.instance import Instance
from lvsguard.vrrp.message import SyncTarget
from lvsguard.vrrp.table_request import NONCE, Answer, Request, decode, encode, genuine
from lvsguard.vrrp.table_socket import Heard, TableSocket
from lvsguard.vrrp.transfer_client import TransferClient
from lvsguard.vrrp.transfer_message import Again, Begin, Failed, FromTransfer, Prepare, Sent, Target
from lvsguard.vrrp.transitions import Trigger

JOIN_MAX_S: Final = 10.0
"""Longest that a director which joins leaves a lower priority alone, waiting for the table."""
TRIES, TRY_S = 3, 1.0
"""Requests to one master, and seconds between them; then it is none of ours (keepalived)."""
SERVE_S: Final = 2.0
"""Between two transfers to directors that ask."""
BEGUN_S: Final = (0.1, 0.2, 0.3, 0.4)
"""After a handover began: what is new is sent again."""
HEARD_S: Final = (0.0, 0.1, 0.3)
"""After the successor was heard: the last packets that came here."""
_PLANNED: Final = frozenset({Trigger.MASTER_RESIGNED, Trigger.PREEMPTS})


@dataclass(slots=True)
class _Asking:
    request: Request
    mine: Instance
    master: IPAddress
    tries: int = 0


class Tables:
    """All transfers of one VRRP process."""

    def __init__(
        self, *, tell: Callable[[str, str], None], hold: Callable[[str, float], None]
    ) -> None:
        """``tell`` gets (VIP group, text); ``hold`` has a group's preemption held back for some
        seconds, 0: no longer."""
        self._tell = tell
        self._hold = hold
        self._transfer = TransferClient()
        self._socket: TableSocket | None = None
        self._target: Target | None = None
        self._instances: dict[str, Instance] = {}
        self._roles: dict[str, Role] = {}
        self._joined: set[str] = set()
        """VIP groups that wait for no table."""
        self._asking: dict[str, _Asking] = {}
        self._served: dict[str, float] = {}
        self._open: set[str] = set()
        """Instances for which nothing may be held back any more."""
        self._holdback: Holdback | None = None
        self._due: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = count()

    def configure(self, sync: SyncTarget | None, instances: Iterable[Instance]) -> None:
        """Serve these. Without sync there is no table to send: nothing is asked, nothing held."""
        self._instances = {one.name: one for one in instances}
        self._roles = {n: role for n, role in self._roles.items() if n in self._instances}
        self._open &= self._instances.keys()
        self._target = None
        if sync is not None and self._instances:
            self._target = Target(
                interface=sync.interface, syncid=sync.sync_id, group=sync.group, port=sync.port
            )
            self._listen(sync.port + 1)
            self._transfer.start()
        self._hold_back()

    def _listen(self, port: int) -> None:
        if self._socket is not None:
            return
        try:
            self._socket = TableSocket(port)
        except OSError as error:
            self._tell(
                "all",
                f"directors cannot ask this one for its connections: UDP port {port}: {error}:"
                " find who has it (ss -ulnp), or choose another [sync] port (this is the one after"
                " it)",
            )

    def descriptors(self) -> Iterator[int]:
        """Readable when something came."""
        for one in (self._transfer, self._socket):
            if one is not None and one.fileno() >= 0:
                yield one.fileno()

    def timer(self) -> float | None:
        """When to call ``wake`` though nothing came."""
        return self._due[0][0] if self._due else None

    def wake(self, now: float) -> None:
        """Read what came, do what is due."""
        self._transfer.read()
        for heard in self._socket.read() if self._socket is not None else ():
            self._heard(heard, now)
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2](now)

    def _at(self, due: float, do: Callable[[float], None]) -> None:
        heapq.heappush(self._due, (due, next(self._order), do))

    def close(self) -> None:
        """Let everything go."""
        self._transfer.close()
        if self._socket is not None:
            self._socket.close()
        if self._holdback is not None:
            self._holdback.close()

    # -- roles -----------------------------------------------------------------------------

    def joins(self, vip: str, now: float) -> None:
        """A VIP group starts, or its link is back: it knows no connections of before."""
        self._joined.discard(vip)
        if self._target is not None:
            self._hold(vip, JOIN_MAX_S)

    def master_heard(self, mine: Instance, master: IPAddress, now: float) -> None:
        """A backup has heard who is master."""
        asking = self._asking.get(mine.vip)
        if mine.vip in self._joined or (asking is not None and asking.master == master):
            return
        request = Request(mine.settings.vrid, mine.family, os.urandom(NONCE))
        asking = _Asking(request, mine, master)
        self._asking[mine.vip] = asking
        self._ask(asking, now)

    def changed(
        self, mine: Instance, before: Role, after: Role, cause: Trigger, now: float
    ) -> None:
        """An instance has another role; its addresses are in place."""
        self._roles[mine.name] = after
        if after is Role.MASTER:
            self._asking.pop(mine.vip, None)
            self._joined.add(mine.vip)
            if cause in _PLANNED:
                self._at(now + HOLD_MAX_S, lambda _: self._let_through(mine.name))
            else:
                self._let_through(mine.name)
            self._prepare()
        elif before is Role.MASTER and cause is Trigger.HIGHER_PRIORITY:
            self._send(mine, (0.0,), HEARD_S[1:], now)
        if after is Role.BACKUP:
            if before in (Role.INIT, Role.FAULT) and cause is not Trigger.RESUMED:
                self.joins(mine.vip, now)
            self._open.discard(mine.name)
            self._hold_back()

    def handover(self, mine: Instance, stage: Stage, now: float) -> None:
        """A planned handover has come so far."""
        if stage is Stage.BEGUN:
            self._send(mine, (0.0,), BEGUN_S, now)
        elif stage is Stage.HEARD:
            for after in HEARD_S:
                self._at(now + after, lambda _: self._ask_transfer(Again(), mine.vip))

    # -- holding back ----------------------------------------------------------------------

    def _let_through(self, name: str) -> None:
        if self._roles.get(name) is Role.MASTER:
            self._open.add(name)
            self._hold_back()

    def _hold_back(self) -> None:
        """Have exactly that held back which a takeover would want."""
        held = [one for name, one in self._instances.items() if name not in self._open]
        held = [one for one in held if self._roles.get(one.name) in (Role.BACKUP, Role.MASTER)]
        try:
            if self._holdback is not None:
                self._holdback.close()
                self._holdback = None
            if held and self._target is not None:
                interfaces = sorted({one.interface for one in held})
                vips = {a.address for one in held for a in one.addresses}
                self._holdback = Holdback(interfaces, vips)
                self._holdback.arm()
        except KernelError as error:
            self._tell("all", str(error))

    # -- sending ---------------------------------------------------------------------------

    def _prepare(self) -> None:
        if self._target is not None:
            self._transfer.start()
            self._transfer.ask(Prepare(), lambda _: None)

    def _send(
        self, mine: Instance, begin: tuple[float, ...], again: tuple[float, ...], now: float
    ) -> None:
        message = self._begin()
        if message is None:
            return
        for after in begin:
            self._at(now + after, lambda _: self._ask_transfer(message, mine.vip))
        for after in again:
            self._at(now + after, lambda _: self._ask_transfer(Again(), mine.vip))

    def _begin(self) -> Begin | None:
        if self._target is None:
            return None
        mastered = [one for n, one in self._instances.items() if self._roles.get(n) is Role.MASTER]
        if len(mastered) in (0, len(self._instances)):
            return Begin(target=self._target)
        # Of the other VIPs the peer knows more than this director.
        addresses = tuple(str(a.address) for one in mastered for a in one.addresses)
        return Begin(target=self._target, addresses=addresses, marks=())

    def _ask_transfer(
        self, message: Begin | Again, vip: str, then: Callable[[int], None] = lambda entries: None
    ) -> None:
        def answered(answer: FromTransfer) -> None:
            if isinstance(answer, Failed):
                self._tell(vip, f"the connection table was not sent: {answer.reason}")
            elif isinstance(answer, Sent):
                then(answer.entries)

        self._transfer.start()
        self._transfer.ask(message, answered)

    # -- asking and answering --------------------------------------------------------------

    def _ask(self, asking: _Asking, now: float) -> None:
        vip = asking.mine.vip
        if self._asking.get(vip) is not asking or self._socket is None:
            return
        if asking.tries >= TRIES:
            self._join(vip, f"{asking.master} did not send its connections: it is no lvsguard")
            return
        asking.tries += 1
        place = self._socket.place(asking.master, asking.mine.interface)
        self._socket.send(encode(asking.request, asking.mine.auth), place)
        self._at(now + TRY_S, lambda later: self._ask(asking, later))

    def _join(self, vip: str, text: str) -> None:
        self._asking.pop(vip, None)
        self._joined.add(vip)
        self._tell(vip, text)
        self._hold(vip, 0.0)

    def _heard(self, heard: Heard, now: float) -> None:
        message = decode(heard.data)
        request = message.request if isinstance(message, Answer) else message
        if request is None:
            return
        for mine in self._instances.values():
            ours = (mine.settings.vrid, mine.family) == (request.vrid, request.family)
            if ours and genuine(heard.data, mine.auth):
                if isinstance(message, Answer):
                    self._answered(mine, message, heard)
                elif self._roles.get(mine.name) is Role.MASTER:
                    self._serve(mine, request, heard, now)
                return

    def _answered(self, mine: Instance, answer: Answer, heard: Heard) -> None:
        asking = self._asking.get(mine.vip)
        if asking is not None and (asking.request, asking.master) == (answer.request, heard.source):
            self._join(mine.vip, f"{heard.source} sent its {answer.entries} connections")

    def _serve(self, mine: Instance, request: Request, heard: Heard, now: float) -> None:
        message = self._begin()
        if message is None or now - self._served.get(mine.vip, -SERVE_S) < SERVE_S:
            return
        self._served[mine.vip] = now
        sock, auth = self._socket, mine.auth

        def sent(entries: int) -> None:
            def whole(more: int) -> None:
                if sock is not None:
                    sock.send(encode(Answer(request, max(entries, more)), auth), heard.where)
                self._tell(mine.vip, f"{entries} connections sent to {heard.source}, which joins")

            # A read misses entries while others leave the table: once more finds them.
            self._ask_transfer(Again(), mine.vip, whole)

        self._ask_transfer(message, mine.vip, sent)
