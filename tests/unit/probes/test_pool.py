"""The pool with real prober processes, some of which are killed, stopped or talk nonsense."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import trustme

from lvsguard.core.agent import Agent, AgentSpec, Mode, Standing
from lvsguard.core.config import Check, CheckKind, CheckSpec, HttpSpec, TlsSpec
from lvsguard.core.health import FailureClass, Health, Hint, Timing, Verdict
from lvsguard.core.tally import Tally
from lvsguard.probes import pool
from lvsguard.probes.hints import GATHER_S
from lvsguard.probes.message import VERSION
from lvsguard.probes.pool import Probers
from tests.support.loop_turns import turns
from tests.unit.probes.realserver import answers, realserver
from tests.unit.probes.test_https import server_side

pytestmark = pytest.mark.slow

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
QUICK = Timing(interval=0.2, fast_interval=0.05, down_interval=0.2, timeout=1.0)


class Watched:
    """Probers and what they said."""

    def __init__(
        self, count: int, command: Sequence[str] = pool.COMMAND, silence: float = 20.0
    ) -> None:
        self.records: list[tuple[Check, Health]] = []
        self.recorded: list[float] = []
        """When (monotonic)."""
        self.deaths: list[tuple[int, str, int]] = []
        self.words: list[tuple[Agent, Standing]] = []
        self.probes: Counter[Check] = Counter()
        self.codes: Counter[str] = Counter()
        self.probers = Probers(
            count,
            record=self._record,
            tally=self._tally,
            died=self._died,
            heard=self._heard,
            command=command,
            silence=silence,
        )
        self._changed = asyncio.Event()

    def _record(self, check: Check, health: Health) -> None:
        self.records.append((check, health))
        self.recorded.append(time.monotonic())
        self._changed.set()

    def _tally(self, tallies: Sequence[Tally]) -> None:
        for tally in tallies:
            self.probes[tally.check] += sum(tally.codes.values())
            self.codes.update(tally.codes)
            assert abs(tally.last - time.time()) < 5
        self._changed.set()

    def _heard(self, agent: Agent, standing: Standing) -> None:
        self.words.append((agent, standing))
        self._changed.set()

    def _died(self, prober: int, how: str, checks: int) -> None:
        self.deaths.append((prober, how, checks))
        self._changed.set()

    def verdicts(self, check: Check) -> list[Verdict]:
        return [health.verdict for known, health in self.records if known == check]

    async def until(self, condition: Callable[[], object], within: float = 20.0) -> None:
        """Wait for something that a callback brings about."""
        async with asyncio.timeout(within):
            while not condition():
                self._changed.clear()
                try:
                    await asyncio.wait_for(self._changed.wait(), 0.1)
                except TimeoutError:
                    continue


@asynccontextmanager
async def running(
    count: int = 1, command: Sequence[str] = pool.COMMAND, silence: float = 20.0
) -> AsyncIterator[Watched]:
    watched = Watched(count, command, silence)
    task = asyncio.create_task(watched.probers.run())
    try:
        yield watched
    finally:
        pids = watched.probers.pids
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
        assert watched.probers.alive == 0
        gc.collect()


def http(port: int, number: int = 1, timing: Timing = QUICK) -> Check:
    spec = CheckSpec(CheckKind.HTTP, timing, http=HttpSpec())
    return Check(IPv4Address("127.0.0.0") + number, port, spec)


class Switch:
    """A realserver whose answer can be changed."""

    def __init__(self) -> None:
        self.answer = OK

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answers(self.answer)(reader, writer)


async def test_checks_run_and_changes_are_recorded() -> None:
    switch = Switch()
    async with realserver(switch) as port, running() as watched:
        check = http(port)
        watched.probers.configure([check])
        await watched.until(lambda: watched.verdicts(check) == [Verdict.UP])
        assert watched.probers.alive == 1
        switch.answer = BUSY
        await watched.until(lambda: watched.verdicts(check)[1:] == [Verdict.DOWN])
        (_, health) = watched.records[-1]
        assert health.result is not None
        assert health.result.reason == "503 Busy, expected 200"
        assert 0 <= time.monotonic() - health.since < 5
        switch.answer = OK
        await watched.until(lambda: watched.verdicts(check)[2:] == [Verdict.UP])
        await watched.until(lambda: watched.codes["L7OK"] and watched.codes["L7STS"])
        (load,) = watched.probers.loads
        assert (load.checks, load.pid) == (1, watched.probers.pids[0])
        assert watched.deaths == []


async def test_a_new_reason_is_recorded_under_the_same_verdict() -> None:
    switch = Switch()
    switch.answer = BUSY
    async with realserver(switch) as port, running() as watched:
        check = http(port)
        watched.probers.configure([check])
        await watched.until(lambda: watched.verdicts(check) == [Verdict.DOWN])
        switch.answer = BUSY.replace(b"503 Busy", b"500 Broken")
        await watched.until(lambda: watched.verdicts(check) == [Verdict.DOWN] * 2)
        result = watched.records[-1][1].result
        assert result is not None
        assert result.reason == "500 Broken, expected 200"


async def test_a_change_of_checks_leaves_the_others_running() -> None:
    async with realserver(answers(OK), "0.0.0.0") as port, running(2) as watched:
        kept, gone, new = (http(port, number) for number in (1, 2, 3))
        watched.probers.configure([kept, gone])
        await watched.until(lambda: len(watched.records) == 2)
        pids = watched.probers.pids
        watched.probers.configure([new, http(port, 1)])
        await watched.probers.settled()
        await watched.until(lambda: watched.verdicts(new))
        watched.probes.clear()
        await watched.until(lambda: watched.probes[kept] > 5)
        assert watched.probes[gone] <= 5
        watched.probes.clear()
        await watched.until(lambda: watched.probes[kept] > 5)
        assert watched.probes[gone] == 0
        assert watched.verdicts(kept) == [Verdict.UP]
        assert watched.probers.pids == pids
        watched.probers.configure([])
        await watched.probers.settled()
        await watched.until(lambda: all(load.checks == 0 for load in watched.probers.loads))


@pytest.mark.parametrize(
    ("number", "how"),
    [(signal.SIGKILL, "signal 9"), (signal.SIGTERM, "signal 15"), (signal.SIGSEGV, "signal 11")],
)
async def test_a_killed_prober_is_replaced_and_its_verdicts_stand(
    number: signal.Signals, how: str
) -> None:
    switch = Switch()
    async with realserver(switch) as port, running() as watched:
        up, down = http(port), http(1)
        watched.probers.configure([up, down])
        await watched.until(lambda: len(watched.records) == 2)
        (pid,) = watched.probers.pids
        os.kill(pid, number)
        await watched.until(lambda: watched.deaths)
        assert watched.deaths == [(0, how, 2)]
        await watched.until(lambda: watched.probers.alive)
        watched.probes.clear()
        await watched.until(lambda: watched.probes[up] > 2 and watched.probes[down] > 2)
        assert watched.probers.pids[0] != pid
        assert watched.verdicts(up) == [Verdict.UP]
        assert watched.verdicts(down) == [Verdict.DOWN]
        switch.answer = BUSY
        await watched.until(lambda: watched.verdicts(up) == [Verdict.UP, Verdict.DOWN])


async def test_a_dead_prober_is_told_and_replaced_within_three_seconds() -> None:
    """Of which the start of a Python takes one, where the machine is busy."""
    async with realserver(answers(OK)) as port, running() as watched:
        watched.probers.configure([http(port)])
        await watched.until(lambda: watched.records)
        (pid,) = watched.probers.pids
        started = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        await watched.until(lambda: watched.deaths)
        await watched.until(lambda: watched.probers.alive)
        assert time.monotonic() - started < 3


async def test_a_prober_ignores_the_terminals_signals() -> None:
    async with realserver(answers(OK)) as port, running() as watched:
        watched.probers.configure([http(port)])
        await watched.until(lambda: watched.records)
        (pid,) = watched.probers.pids
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGHUP)
        watched.probes.clear()
        await watched.until(lambda: sum(watched.probes.values()) > 3)
        assert watched.probers.pids == (pid,)


async def test_a_prober_that_hangs_is_killed_and_replaced() -> None:
    async with realserver(answers(OK)) as port, running(silence=2.5) as watched:
        check = http(port)
        watched.probers.configure([check])
        await watched.until(lambda: watched.records)
        (pid,) = watched.probers.pids
        os.kill(pid, signal.SIGSTOP)
        await watched.until(lambda: watched.deaths)
        assert watched.deaths == [(0, "killed, it said nothing for 2.5 s", 1)]
        assert not Path(f"/proc/{pid}").exists()
        await watched.until(lambda: watched.probers.alive)
        watched.probes.clear()
        await watched.until(lambda: watched.probes[check] > 2)
        assert watched.verdicts(check) == [Verdict.UP]


async def test_a_prober_that_stood_still_calls_nobody_down() -> None:
    async with realserver(answers(OK), "0.0.0.0") as port, running() as watched:
        checks = [http(port, n, replace(QUICK, timeout=0.3, fall=1)) for n in range(1, 200)]
        watched.probers.configure(checks)
        await watched.until(lambda: len(watched.records) == len(checks))
        (pid,) = watched.probers.pids
        for _ in range(3):
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(0.7)
            os.kill(pid, signal.SIGCONT)
            await asyncio.sleep(0.3)
        down = [h for _, h in watched.records if h.verdict is not Verdict.UP]
        assert down == []


async def test_probers_that_cannot_start_are_tried_again_ever_more_slowly() -> None:
    started = time.monotonic()
    async with running(command=["/nonexistent/python"]) as watched:
        await watched.until(lambda: len(watched.deaths) == 3)
        assert 0.55 < time.monotonic() - started < 5
        assert watched.deaths[0][1].startswith("cannot be started: ")


@pytest.mark.parametrize(
    ("says", "how"),
    [
        (b"\0\0\0\2\x92\xa5", f"not a message of version {VERSION}: "),
        (b"\0\0\0\x08\x92\xa5Hello\x63", "the other side speaks version 99"),
        (b"\xff\xff\xff\xff", "a frame of 4294967295 bytes"),
    ],
)
async def test_a_prober_that_talks_nonsense_is_replaced(says: bytes, how: str) -> None:
    code = f"import os, sys, time; os.write(int(sys.argv[1]), {says!r}); time.sleep(60)"
    async with running(command=[sys.executable, "-c", code]) as watched:
        await watched.until(lambda: len(watched.deaths) == 2)
        assert watched.deaths[0][1].startswith(f"killed, it sent garbage: {how}")


async def test_a_prober_that_hangs_while_it_is_given_its_checks_is_replaced() -> None:
    code = "import time; time.sleep(60)"
    async with running(command=[sys.executable, "-c", code], silence=0.25) as watched:
        watched.probers.configure([http(9, n) for n in range(1, 20_000)])
        await watched.until(lambda: len(watched.deaths) == 2)
        assert watched.deaths[0][1] == "killed, it said nothing for 1 s"


async def test_a_prober_may_take_longer_to_start_than_to_say_its_next_word() -> None:
    code = (
        "import os, sys, time; time.sleep(4);"
        f" os.execv({sys.executable!r}, [*{pool.COMMAND!r}, sys.argv[1]])"
    )
    async with (
        realserver(answers(OK)) as port,
        running(command=[sys.executable, "-c", code], silence=2.5) as watched,
    ):
        check = http(port)
        watched.probers.configure([check])
        await watched.until(lambda: watched.verdicts(check) == [Verdict.UP])
        assert watched.deaths == []


async def test_a_hint_is_confirmed_by_a_burst_long_before_the_next_probe() -> None:
    switch = Switch()
    slow = Timing(interval=30.0, fast_interval=10.0, down_interval=30.0)
    async with realserver(switch) as port, running() as watched:
        check = http(port, timing=slow)
        watched.probers.configure([check])
        await watched.until(lambda: watched.verdicts(check) == [Verdict.UP])
        switch.answer = BUSY
        started = time.monotonic()
        watched.probers.probe_now([check, http(port, 9)])
        await watched.until(lambda: len(watched.records) == 2)
        assert watched.records[-1][1].verdict is Verdict.DOWN
        assert time.monotonic() - started < 1


async def test_what_a_storm_of_hints_finds_out_is_told_together() -> None:
    checks: list[Check] = []
    async with running() as watched:
        async with realserver(answers(OK), "0.0.0.0") as port:
            checks += [http(port, number, Timing(interval=60.0)) for number in range(1, 301)]
            watched.probers.configure(checks)
            await watched.until(lambda: len(watched.records) == len(checks))
        watched.records.clear()
        watched.recorded.clear()
        watched.probers.hint(checks, Hint("link", "eth0 is up again", time.monotonic()))
        await watched.until(lambda: len(watched.records) == len(checks))
        found = sorted(health.since for _, health in watched.records)
        assert {health.verdict for _, health in watched.records} == {Verdict.DOWN}
        # The first were refused at once, the others some twentieths of a second later.
        assert found[-1] - found[0] > 0.05
        assert watched.recorded[0] >= found[-1]
        assert watched.recorded[-1] - found[0] < 2 * GATHER_S


async def test_https_checks_run_in_a_prober(tmp_path: Path) -> None:
    authority = trustme.CA()
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    tls = TlsSpec(server_name="www.example", ca_file=str(ca_file))
    spec = CheckSpec(CheckKind.HTTPS, QUICK, http=HttpSpec(), tls=tls)
    context = server_side(authority, "www.example")
    async with realserver(answers(OK), tls=context) as port, running() as watched:
        good = Check(IPv4Address("127.0.0.1"), port, spec)
        bad = replace(good, spec=replace(spec, tls=replace(tls, server_name="other.example")))
        watched.probers.configure([good, bad])
        await watched.until(lambda: len(watched.records) == 2)
        assert watched.verdicts(good) == [Verdict.UP]
        assert watched.verdicts(bad) == [Verdict.DOWN]


async def test_checks_of_kind_none_are_never_probed() -> None:
    async with running() as watched:
        watched.probers.configure([Check(IPv4Address("127.0.0.1"), 80, CheckSpec(CheckKind.NONE))])
        await watched.probers.settled()
        await watched.until(lambda: watched.probers.loads)
        assert watched.probers.loads[0].checks == 0
        assert watched.records == []


async def test_a_prober_without_a_free_file_descriptor_says_so_and_verdicts_stand() -> None:
    async with realserver(answers(OK)) as port, running() as watched:
        check = http(port)
        watched.probers.configure([check])
        await watched.until(lambda: watched.records)
        (pid,) = watched.probers.pids
        fds = {int(fd.name) for fd in Path(f"/proc/{pid}/fd").iterdir()}
        lowest = min(set(range(100)) - fds)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest, lowest))
        await watched.until(lambda: watched.codes["SOCKERR"] > 2)
        await watched.until(lambda: watched.probers.loads[0].local)
        assert "raise the prober's limit of open files" in watched.probers.loads[0].trouble
        await watched.until(lambda: len(watched.records) > 1)
        (_, first), (_, last) = watched.records
        assert first.verdict is last.verdict is Verdict.UP
        assert last.note.startswith("it cannot be asked: this director could not connect: too many")


async def test_ten_thousand_checks_do_not_hold_up_the_controllers_loop() -> None:
    checks = [http(9, n, Timing(interval=60, down_interval=60)) for n in range(1, 10_001)]
    async with running() as watched:
        await watched.until(lambda: watched.probers.alive)
        gc.collect()
        gc.freeze()  # as the daemon does: the test's own objects are many
        async with turns() as felt:
            watched.probers.configure(checks)
            await watched.probers.settled()
            await watched.until(lambda: len(watched.records) == len(checks), within=60)
        gc.unfreeze()
        rss = int(
            next(
                line.split()[1]
                for line in Path(f"/proc/{watched.probers.pids[0]}/status").read_text().splitlines()
                if line.startswith("VmRSS")
            )
        )
    assert {health.verdict for _, health in watched.records} == {Verdict.DOWN}
    causes = {h.cause.failure for _, h in watched.records if h.cause is not None}
    assert causes == {FailureClass.REFUSED}
    assert felt.longest_s < 0.05  # as late as the loop may ever be
    assert rss < 60_000, f"{rss} kB"


# -- agents ------------------------------------------------------------------------------------


async def test_an_agent_is_asked_and_what_it_said_outlives_the_prober() -> None:
    """The step goes on from there: an agent's first answer is its first once only."""
    switch = Switch()
    switch.answer = b"100%\n"

    async def says(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(switch.answer)

    async with realserver(says) as port, running() as watched:
        spec = AgentSpec(interval=0.2, timeout=0.2, step=0.4)
        agent = Agent(IPv4Address("127.0.0.1"), port, 20, spec)
        watched.probers.configure([agent])
        await watched.until(lambda: watched.words)
        assert watched.words[0][1].share == 1
        switch.answer = b"90% drain\n"
        await watched.until(lambda: watched.words[-1][1].mode is Mode.DRAIN)
        switch.answer = b"10%\n"
        os.kill(watched.probers.pids[0], signal.SIGKILL)
        await watched.until(lambda: watched.words[-1][1].share == 0.1)
        assert len(watched.deaths) == 1
        shares = [round(said.share, 2) for _, said in watched.words if not said.silent]
        assert shares == [1.0, 0.9, 0.5, 0.1]
        assert watched.words[-1][1].mode is Mode.DRAIN
        known = watched.probers.standing(agent)
        assert known is not None
        assert known.share == 0.1
        heavier = replace(agent, weight=30, spec=replace(spec, step=0.2))
        switch.answer = b"90%\n"
        watched.probers.configure([heavier])
        await watched.until(lambda: watched.words[-1][1].share == 0.9)
        shares = [round(said.share, 2) for who, said in watched.words if who == heavier]
        assert shares == [0.3, 0.5, 0.7, 0.9]
        assert watched.words[-1][1].mode is Mode.DRAIN, "only its ready ends that"
        watched.probers.configure([])
        await watched.probers.settled()
        assert watched.probers.standing(heavier) is None


async def test_a_hint_from_the_controller_makes_a_burst_and_is_told_with_the_verdict() -> None:
    switch = Switch()
    async with realserver(switch) as port, running() as watched:
        check = http(port, timing=Timing(interval=60.0, down_interval=60.0))
        watched.probers.configure([check])
        await watched.until(lambda: watched.verdicts(check) == [Verdict.UP])
        switch.answer = BUSY
        hint = Hint("passive", "1.2 packets each", time.monotonic())
        watched.probers.hint([check], hint)
        await watched.until(lambda: watched.verdicts(check)[1:] == [Verdict.DOWN])
        assert watched.records[-1][1].hint == hint
