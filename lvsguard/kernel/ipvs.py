"""The real IPVS table, over generic netlink. The only place that writes to it.

It does what it is told: which steps, in which order, and whether again, is decided elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from errno import EAFNOSUPPORT, EINTR, ENOBUFS, ENOENT, EPERM, ESRCH, ETIMEDOUT
from os import strerror
from typing import Final, Self

from lvsguard.core.model import Observation, ServiceKey
from lvsguard.core.step import AddService, EditService, IpvsStep
from lvsguard.kernel.genl import FamilyMissing, GenericNetlink
from lvsguard.kernel.ipvs_codec import GENL_NAME, Command, encode, service_name
from lvsguard.kernel.ipvs_dump import TableReader
from lvsguard.kernel.ipvs_settings import (
    decode_info,
    decode_sync,
    decode_timeouts,
    encode_sync,
    encode_sync_role,
    encode_timeouts,
)
from lvsguard.kernel.module import load
from lvsguard.kernel.netlink import GENL_PAYLOAD, Ack, Malformed, messages
from lvsguard.kernel.netlink_socket import RECEIVE_BUFFER, AnswersLost, Refused
from lvsguard.kernel.port import (
    Info,
    KernelError,
    StepFailure,
    SyncDaemon,
    SyncRole,
    Timeouts,
)
from lvsguard.kernel.refusal import (
    NEED_CAPABILITY,
    check_sync,
    check_timeouts,
    failure,
    modules_of,
    refusal,
    sync_refused,
)

BATCH_MAX: Final = 250
"""Messages in one send; the answers to more overflow a socket with a default buffer."""
FIRST_BATCH: Final = 16
STRETCH: Final = 0.005
"""Seconds that the event loop is kept from others at a time, as far as it is up to us."""
NO_ANSWER: Final = 0.1
"""Seconds after which a request that the kernel may leave unanswered counts as that."""
WORTH_ANOTHER_TRY: Final = frozenset({ENOBUFS, EINTR, ENOENT})
"""Errors of a read that a fresh socket may mend; ENOENT: the module was loaded anew."""


class LinuxIpvs:
    """``kernel.port.Ipvs`` on the running kernel, in the network namespace it is opened in."""

    def __init__(self, *, receive_buffer: int = RECEIVE_BUFFER, load_modules: bool = True) -> None:
        """``load_modules``: run modprobe for a module that the kernel did not load itself."""
        self._receive_buffer = receive_buffer
        self._load_modules = load_modules
        self._netlink: GenericNetlink | None = None
        self._turn = asyncio.Lock()
        self._table = TableReader()
        self._batch = FIRST_BATCH
        self._writes = 0

    @classmethod
    async def open(cls, *, receive_buffer: int = RECEIVE_BUFFER, load_modules: bool = True) -> Self:
        """Open it and see that the kernel has IPVS. Raises KernelError."""
        ipvs = cls(receive_buffer=receive_buffer, load_modules=load_modules)
        await ipvs.info()
        return ipvs

    async def close(self) -> None:
        """Give the socket back."""
        self._drop()

    @property
    def writes(self) -> int:
        """Messages sent so far that change something."""
        return self._writes

    async def read(self) -> Observation:
        """Everything in the table. What did not change is the same object as last time, down to
        ``services`` itself; counters are decoded when they are asked for."""
        try:
            return await self._read()
        except FamilyMissing:
            raise
        except KernelError as error:
            if error.errno not in WORTH_ANOTHER_TRY:
                raise
        return await self._read()

    async def apply(self, steps: Sequence[IpvsStep]) -> tuple[StepFailure, ...]:
        """Apply steps in batches. A refused one does not keep the others."""
        failures: dict[int, StepFailure] = {}
        todo: list[tuple[int, IpvsStep]] = []
        for at, step in enumerate(steps):
            refused = refusal(step)
            if refused is None:
                todo.append((at, step))
            else:
                failures[at] = refused
        if todo:
            failures.update(await self._apply(todo))
        again = [(at, steps[at]) for at in await self._mended(failures)]
        if again:
            for at, _step in again:
                del failures[at]
            failures.update(await self._apply(again))
        return tuple(failures[at] for at in sorted(failures))

    async def info(self) -> Info:
        """Version and size of the connection table."""
        async with self._asking("ask for IPVS") as netlink:
            for raw, start, end in await netlink.ask(Command.GET_INFO):
                return decode_info(raw, start, end)
            raise Malformed("no answer to GET_INFO")

    async def timeouts(self) -> Timeouts:
        """The connection timeouts."""
        async with self._asking("read the IPVS timeouts") as netlink:
            for raw, start, end in await netlink.ask(Command.GET_CONFIG):
                return decode_timeouts(raw, start, end)
            raise Malformed("no answer to GET_CONFIG")

    async def set_timeouts(self, timeouts: Timeouts) -> None:
        """Set the connection timeouts; a 0 leaves that one."""
        check_timeouts(timeouts)
        async with self._asking("set the IPVS timeouts") as netlink:
            self._writes += 1
            await netlink.ask(Command.SET_CONFIG, encode_timeouts(timeouts))

    async def zero(self, service: ServiceKey | None = None) -> None:
        """Zero the counters of one service, or of all."""
        what = "all counters" if service is None else f"the counters of {service}"
        async with self._asking(f"zero {what}") as netlink:
            self._writes += 1
            await netlink.ask(Command.ZERO, b"" if service is None else service_name(service))

    async def sync_daemons(self) -> tuple[SyncDaemon, ...]:
        """The sync daemons that run, the master first."""
        async with self._asking("read the sync daemons") as netlink:
            datagrams = await netlink.dump(Command.GET_DAEMON, b"", 0)
            daemons = [
                decode_sync(raw, message.start + GENL_PAYLOAD, message.end)
                for raw in datagrams
                for message in messages(raw)
            ]
            return tuple(sorted(daemons, key=lambda daemon: daemon.role is SyncRole.BACKUP))

    async def start_sync(self, daemon: SyncDaemon) -> None:
        """Start a sync daemon; EEXIST when one of that role runs."""
        check_sync(daemon)
        async with self._asking(f"start the sync daemon ({daemon.role})") as netlink:
            self._writes += 1
            try:
                await netlink.ask(Command.NEW_DAEMON, encode_sync(daemon))
            except Refused as error:
                raise sync_refused(error.errno, daemon.role, daemon) from error

    async def stop_sync(self, role: SyncRole) -> None:
        """Stop the sync daemon of a role; ESRCH when none runs."""
        try:
            async with self._asking(f"stop the sync daemon ({role})") as netlink:
                self._writes += 1
                try:
                    await netlink.ask(Command.DEL_DAEMON, encode_sync_role(role), NO_ANSWER)
                except Refused as error:
                    raise sync_refused(error.errno, role) from error
        except KernelError as error:
            # A daemon that is stopped before its thread has run at all makes the kernel return
            # EINTR (kthread_stop), and netlink_rcv_skb gives no answer to that.
            if error.errno != ETIMEDOUT or await self._runs(role):
                raise

    async def _runs(self, role: SyncRole) -> bool:
        return any(daemon.role is role for daemon in await self.sync_daemons())

    async def _read(self) -> Observation:
        now = asyncio.get_running_loop().time
        pause = now() + STRETCH
        table = self._table
        async with self._asking("read the IPVS table") as netlink:
            for record in table.begin(await netlink.dump(Command.GET_SERVICE, b"", 0)):
                answer = await netlink.dump(Command.GET_DEST, record.request, record.sequence)
                for _ in table.fill(record, answer):
                    if now() >= pause:
                        await asyncio.sleep(0)
                        pause = now() + STRETCH
                if now() >= pause:
                    await asyncio.sleep(0)
                    pause = now() + STRETCH
            await asyncio.sleep(0)
            return table.finish()

    async def _apply(self, todo: Sequence[tuple[int, IpvsStep]]) -> dict[int, StepFailure]:
        failures: dict[int, StepFailure] = {}
        loop = asyncio.get_running_loop()
        done = 0
        while done < len(todo):
            batch = todo[done : done + self._batch]
            done += len(batch)
            began = loop.time()
            answers = await self._send([step for _at, step in batch])
            self._pace(len(batch), loop.time() - began)
            for number, (at, step) in enumerate(batch):
                answer = answers.get(number)
                if answer is None:
                    failures[at] = _unanswered(step)
                elif answer.errno:
                    failures[at] = failure(step, answer.errno, answer.detail)
            await asyncio.sleep(0)
        return failures

    async def _send(self, steps: Sequence[IpvsStep]) -> dict[int, Ack]:
        """One batch; the answers by position. A missing one may have been done or not."""
        async with self._asking("change the IPVS table") as netlink:
            self._writes += len(steps)
            try:
                answers = dict(enumerate(await netlink.batch([encode(step) for step in steps])))
            except AnswersLost as lost:
                if lost.errno != ENOBUFS:
                    raise
                answers = lost.answers
                self._drop()
            if any(answer.errno == EPERM for answer in answers.values()):
                raise Refused(EPERM)
            return answers

    def _pace(self, size: int, took: float) -> None:
        """Let a batch take about one stretch: with mh, each realserver rebuilds a whole table."""
        if took > 2 * STRETCH:
            self._batch = max(1, size // 2)
        elif took < STRETCH and size == self._batch:
            self._batch = min(BATCH_MAX, 2 * size)

    async def _mended(self, failures: dict[int, StepFailure]) -> list[int]:
        """Which failures lacked a module that could be loaded, and so are worth a new try."""
        lacking = {
            at: modules_of(failed.step.wanted)
            for at, failed in failures.items()
            if failed.errno == ENOENT and isinstance(failed.step, AddService | EditService)
        }
        if not self._load_modules:
            return []
        modules = sorted({module for needed in lacking.values() for module in needed})
        loaded = {module for module in modules if await load(module) is None}
        return [at for at, needed in lacking.items() if loaded.issuperset(needed)]

    @asynccontextmanager
    async def _asking(self, what: str) -> AsyncIterator[GenericNetlink]:
        """A turn on the socket. Any error, a cancellation too, makes the next one open a new
        socket, so that no late answer is ever taken for another's."""
        async with self._turn:
            try:
                if self._netlink is None:
                    self._netlink = await self._connect()
                yield self._netlink
            except FamilyMissing:
                self._drop()
                raise
            except (Refused, AnswersLost) as error:
                self._drop()
                raise KernelError(_explained(what, error), error.errno) from error
            except BaseException:
                self._drop()
                raise

    async def _connect(self) -> GenericNetlink:
        try:
            return await GenericNetlink.open(GENL_NAME, self._receive_buffer)
        except FamilyMissing:
            problem = await load("ip_vs") if self._load_modules else "not tried"
        try:
            return await GenericNetlink.open(GENL_NAME, self._receive_buffer)
        except FamilyMissing as error:
            raise FamilyMissing(
                "this kernel has no IPVS: the module ip_vs is not loaded, and modprobe ip_vs"
                f" failed ({problem or 'it loaded nothing'}): run `modprobe ip_vs` as root, or"
                " install the package that has the kernel's modules",
                ENOENT,
            ) from error

    def _drop(self) -> None:
        if self._netlink is not None:
            self._netlink.close()
            self._netlink = None


def _unanswered(step: IpvsStep) -> StepFailure:
    why = "the kernel's answer was lost; the table will be read again to see what was done"
    return StepFailure(step, ENOBUFS, f"{step}: {strerror(ENOBUFS)}: {why}", stale=True)


def _explained(what: str, error: KernelError) -> str:
    hint = {
        EPERM: f": {NEED_CAPABILITY}",
        ESRCH: ": the service is not in the table any more: read again",
        EAFNOSUPPORT: ": the kernel has no IPv6 in IPVS: it needs CONFIG_IP_VS_IPV6",
    }.get(error.errno, "")
    return f"cannot {what}: {error}{hint}"
