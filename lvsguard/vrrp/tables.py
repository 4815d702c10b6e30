"""The connection table around changes of role.

A master sends it when a director joins and asks, and around a handover; a director that joins, or
was out of hearing as master, or stood still, does not preempt before it was sent; and a successor
holds back for a moment what would end connections that it is about to hear of. The kernel's own
sync, which tells a peer only of what happens from now on, is the controller's. Everything here is a
help: what fails is told, and no role waits for it longer than ``joining`` says. Nothing here waits.
Times are monotonic.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterable
from math import inf
from typing import Final

from lvsguard.core.event import Event
from lvsguard.core.model import IPAddress
from lvsguard.core.snapshot import Role
from lvsguard.core.vrrp_event import TableFailed, TableReceived, TableSent, VrrpTold
from lvsguard.vrrp.action import Stage
from lvsguard.vrrp.errands import Errands
from lvsguard.vrrp.giving import Giving
from lvsguard.vrrp.holding import Holding
from lvsguard.vrrp.instance import Instance
from lvsguard.vrrp.joining import Asking, Joining, Member, Voice
from lvsguard.vrrp.message import SyncTarget
from lvsguard.vrrp.refusals import Refusals
from lvsguard.vrrp.sending import Sending
from lvsguard.vrrp.serving import Asker, Serving
from lvsguard.vrrp.table_request import Answer, Rule, decode, encode, genuine
from lvsguard.vrrp.table_socket import Heard, TableSocket
from lvsguard.vrrp.transfer_client import COMMAND, TransferClient
from lvsguard.vrrp.transfer_message import Begin, Failed, Sent, Target
from lvsguard.vrrp.transitions import Trigger

REOPEN_S: Final = 10.0
"""Until a port that was taken is tried again."""
_PLANNED: Final = frozenset(
    {Trigger.MASTER_RESIGNED, Trigger.PREEMPTS, Trigger.OWNER_STARTED, Trigger.OWNER_BACK}
)
"""Causes for which the master of before may still be there, and sends what it knows."""
_LOST: Final = frozenset({Trigger.HIGHER_PRIORITY, Trigger.GREATER_ADDRESS})
_APART: Final = _LOST | {Trigger.WAS_LATE}
"""A master that is one no longer for these may have missed another's reign: a partition, or time
in which it did not run. The winner's idle connections are told by no sync daemon later."""
STOOD_S: Final = 3.0
"""A backup that stood still for so long has missed what its master's sync daemon told meanwhile."""


class Tables:
    """All transfers of one VRRP process."""

    def __init__(
        self,
        *,
        emit: Callable[[Event], None],
        hold: Callable[[str, float], None],
        command: tuple[str, ...] = COMMAND,
    ) -> None:
        """``hold`` has a VIP group's preemption held back for some seconds, 0: no longer; it is
        only called from ``wake``. ``command`` starts the transfer process."""
        self._emit = emit
        self._hold = hold
        self._errands = Errands()
        self._transfer = TransferClient(self._errands, command)
        self._sending = Sending(self._transfer.ask)
        self._holding = Holding(self._errands, lambda text: self._tell("all", text))
        self._joining = Joining(ask=self._ask, wait=self._want_hold, chance=os.urandom)
        self._serving = Serving(
            self._sending,
            begin=self._begin,
            reply=self._reply,
            sent=self._served,
            failed=self._not_sent,
        )
        self._socket: TableSocket | None = None
        self._target: Target | None = None
        self._port = 0
        self._reopen: float | None = None
        self._instances: dict[str, Instance] = {}
        self._roles: dict[str, Role] = {}
        self._giving = Giving()
        self._refusals = Refusals()
        self._holds: dict[str, float] = {}
        """What ``wake`` has to say to ``hold``."""
        self._restart: float | None = None
        """When the transfer process may be started again."""
        self._failing = False
        self._ears = select.epoll()
        self._ears.register(self._errands.fileno(), select.EPOLLIN)

    def configure(self, sync: SyncTarget | None, instances: Iterable[Instance], now: float) -> None:
        """Serve these. Without sync there is no table to send: nothing is asked, nothing held."""
        self._instances = {one.name: one for one in instances}
        self._roles = {n: role for n, role in self._roles.items() if n in self._instances}
        self._refusals.keep(self._instances)
        self._giving.keep(self._instances)
        self._joining.keep({one.vip for one in self._instances.values()}, self._instances)
        self._target = None
        if sync is not None and self._instances:
            self._target = Target(
                interface=sync.interface, syncid=sync.sync_id, group=sync.group, port=sync.port
            )
        self._giving.active = self._target is not None
        self._listen(sync.port + 1 if sync is not None and self._target is not None else 0, now)
        self._look(now)
        if any(role is Role.MASTER for role in self._roles.values()):
            self._prepare(now)

    def _listen(self, port: int, now: float) -> None:
        """Have the port open, and no other."""
        self._reopen = None
        if self._socket is not None and self._socket.port != port:
            self._socket.close()
            self._socket = None
        if self._socket is not None or not port:
            return
        told, self._port = self._port == port, port
        try:
            self._socket = TableSocket(port)
        except (OSError, OverflowError) as error:
            self._reopen = now + REOPEN_S
            if not told:
                self._tell(
                    "all",
                    f"directors cannot ask each other for connections: UDP port {port}: {error}:"
                    " find who has it (ss -ulnp), or choose another [sync] port (this is the one"
                    " after it)",
                )
            return
        self._port = 0
        self._ears.register(self._socket.fileno(), select.EPOLLIN)

    def fileno(self) -> int:
        """Readable when something came: always the same descriptor."""
        return self._ears.fileno()

    @property
    def busy(self) -> bool:
        """Whether a handover still has something to send."""
        return self._sending.busy or self._giving.busy

    def timer(self) -> float | None:
        """When to call ``wake`` though nothing came."""
        due: list[float | None] = [self._restart]
        due += [self._joining.timer(), self._serving.timer(), self._transfer.timer(), self._reopen]
        due += [self._giving.timer(), self._refusals.timer()]
        due.append(-inf if self._holds else None)
        due.append(self._socket.timer() if self._socket is not None else None)
        return min((at for at in due if at is not None), default=None)

    def wake(self, now: float) -> None:
        """Read what came, do what is due."""
        self._errands.read()
        self._transfer.read(now)
        for heard in self._socket.read(now) if self._socket is not None else ():
            self._heard(heard, now)
        if self._reopen is not None and self._reopen <= now:
            self._listen(self._port, now)
        self._refusals.expire(now)
        self._send_due(now)
        self._serving.expire(now)
        for one in self._joining.expire(now):
            self._given_up(one)
        self._look(now)
        holds, self._holds = self._holds, {}
        for vip, seconds in holds.items():
            self._hold(vip, seconds)

    def close(self, now: float) -> None:
        """Let everything go."""
        self._transfer.close(now)
        self._holding.close()
        self._errands.close()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._ears.close()

    # -- roles -----------------------------------------------------------------------------

    def master_heard(self, mine: Instance, master: IPAddress, interface: str, now: float) -> None:
        """A backup has heard on an interface who is master."""
        if self._socket is not None and self._target is not None:
            member = Member(mine.name, mine.vip, mine.settings.vrid, mine.family)
            self._joining.hears(member, Voice(master, interface), now)
            self._filter()

    def changed(
        self, mine: Instance, before: Role, after: Role, cause: Trigger, now: float
    ) -> None:
        """An instance has another role; its addresses are in place."""
        self._roles[mine.name] = after
        if after is Role.MASTER:
            self._joining.is_master(mine.vip)
            self._refusals.takes_over(mine.name, planned=cause in _PLANNED, now=now)
            self._prepare(now)
        else:
            self._refusals.steps_down(mine.name)
        if after in (Role.MASTER, Role.FAULT):
            self._giving.ends(mine.name)
        if before is Role.MASTER and cause in _LOST:
            self._giving.lost(mine.name, mine.vip, now)
        joins = before in (Role.INIT, Role.FAULT) and cause is not Trigger.RESUMED
        if after is Role.BACKUP and (joins or cause in _APART):
            self._joining.begins(mine.vip)
        self._look(now)

    def stalled(self, mine: Instance, seconds: float) -> None:
        """An instance did not run for a while; of a master, its change of role tells what follows
        from that."""
        if self._roles.get(mine.name) is Role.BACKUP and seconds >= STOOD_S:
            self._joining.begins(mine.vip)

    def handover(self, mine: Instance, stage: Stage, now: float) -> None:
        """A planned handover has come so far."""
        if stage is Stage.BEGUN:
            self._giving.begins(mine.name, mine.vip, now)
        elif stage is Stage.HEARD:
            self._giving.heard(mine.name, mine.vip, now)
        else:
            self._giving.ends(mine.name)

    def _want_hold(self, vip: str, seconds: float) -> None:
        if self._target is not None or not seconds:
            self._holds[vip] = seconds

    # -- holding back ----------------------------------------------------------------------

    def _look(self, now: float) -> None:
        """Have exactly that held back which a takeover would want, that let in which is asked for,
        and a transfer process there."""
        wish: dict[str, frozenset[IPAddress]] = {}
        for name, one in self._instances.items():
            role = self._roles.get(name)
            held = self._target is not None and self._refusals.held(name)
            held = held and role in (Role.BACKUP, Role.MASTER)
            vips = frozenset(a.address for a in one.addresses) if held else frozenset()
            wish[one.interface] = wish.get(one.interface, frozenset()) | vips
        self._holding.want(wish)
        self._filter()
        self._restart = self._transfer.start(now) if self._target is not None else None
        if self._transfer.fileno() >= 0:
            self._hear_transfer()

    def _hear_transfer(self) -> None:
        try:
            self._ears.register(self._transfer.fileno(), select.EPOLLIN)
        except FileExistsError:
            return

    def _filter(self) -> None:
        if self._socket is None:
            return
        ours = (one for one in self._instances.values() if self._is_master(one))
        served = frozenset((one.settings.vrid, one.family) for one in ours)
        self._socket.listen(Rule(served, self._joining.awaited))

    def _is_master(self, mine: Instance) -> bool:
        return self._roles.get(mine.name) is Role.MASTER

    # -- sending ---------------------------------------------------------------------------

    def _prepare(self, now: float) -> None:
        if self._target is not None:
            self._sending.prepare(now)

    def _send_due(self, now: float) -> None:
        vip, again = self._giving.due(now)
        begin = self._begin() if vip is not None else None
        if vip is not None and begin is not None:
            self._sending.whole(begin, lambda how, _: self._handed_over(vip, how), now)
        if again:
            self._sending.again(lambda how, _: self._ended("all", how), now)
        self._giving.expire(now)

    def _begin(self) -> Begin | None:
        """What this director knows best; None: nothing."""
        if self._target is None:
            return None
        ours = [
            one for n, one in self._instances.items() if self._is_master(one) or n in self._giving
        ]
        if len(ours) == len(self._instances):
            return Begin(target=self._target)
        # Of the other VIPs the peer knows more than this director; of marks, which belong to no
        # VIP, perhaps.
        addresses = tuple(str(a.address) for one in ours for a in one.addresses)
        return Begin(target=self._target, addresses=addresses, marks=()) if ours else None

    def _handed_over(self, vip: str, how: Sent | Failed) -> None:
        if isinstance(how, Sent):
            self._emit(TableSent(vip, how.entries, how.seconds, "", "handover"))
        self._ended(vip, how)

    def _ended(self, vip: str, how: Sent | Failed) -> None:
        """What went wrong is told once until it went well again."""
        if isinstance(how, Failed) and not self._failing:
            self._emit(TableFailed(vip, False, "", how.reason))
        self._failing = isinstance(how, Failed)

    # -- asking and answering --------------------------------------------------------------

    def _ask(self, asking: Asking) -> None:
        mine = self._instances.get(asking.member.name)
        if self._socket is not None and mine is not None:
            self._filter()
            voice = asking.voice
            place = self._socket.place(voice.address, voice.interface)
            self._socket.send(encode(asking.request, mine.auth), place)

    def _heard(self, heard: Heard, now: float) -> None:
        message = decode(heard.data)
        if message is None or self._target is None:
            return
        request = message.request if isinstance(message, Answer) else message
        for mine in self._instances.values():
            ours = (mine.settings.vrid, mine.family) == (request.vrid, request.family)
            if not ours or heard.interface not in mine.paths:
                continue
            if not genuine(heard.data, mine.auth):
                continue
            if isinstance(message, Answer):
                self._answered(message, now)
            elif self._is_master(mine):
                self._serving.asked(request, Asker(mine.name, heard.place), now)
            return

    def _answered(self, answer: Answer, now: float) -> None:
        asking = self._joining.answered(answer, now)
        if asking is not None and answer.entries is not None:
            seconds = now - asking.begun
            master = str(asking.voice.address)
            self._emit(TableReceived(asking.member.vip, answer.entries, seconds, master))

    def _given_up(self, asking: Asking) -> None:
        why = "it did not send them in time" if asking.coming else "it is no lvsguard"
        self._emit(TableFailed(asking.member.vip, True, str(asking.voice.address), why))

    def _reply(self, asker: Asker, answer: Answer) -> None:
        mine = self._instances.get(asker.member)
        if self._socket is not None and mine is not None:
            self._socket.send(encode(answer, mine.auth), asker.place)

    def _served(self, asker: Asker, sent: Sent) -> None:
        mine = self._instances.get(asker.member)
        if mine is not None:
            peer = str(asker.place.address)
            self._emit(TableSent(mine.vip, sent.entries, sent.seconds, peer, "join"))
            self._ended(mine.vip, sent)

    def _not_sent(self, member: str, failed: Failed) -> None:
        mine = self._instances.get(member)
        self._ended(mine.vip if mine is not None else "all", failed)

    def _tell(self, vip: str, text: str) -> None:
        self._emit(VrrpTold(vip, text))
