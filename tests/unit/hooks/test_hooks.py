"""Hooks with real processes and a real HTTP server: told, bounded, and never in anybody's way."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from lvsguard.core.event import Event, Level
from lvsguard.core.hook import HookConfig, HookFailed, HookWell, Occurrence, Outcome
from lvsguard.hooks.hooks import Hooks
from lvsguard.hooks.worker import QUEUE_MAX
from tests.support.peer_pair import until

pytestmark = pytest.mark.slow


def happened(number: int = 7, kind: str = "health") -> Occurrence:
    return Occurrence(
        "director1", number, time.time(), kind, Level.WARNING, "rs1 is down", {"service": "web"}
    )


@dataclass
class Running:
    """Hooks at work, and what they say of themselves."""

    hooks: Hooks = field(init=False)
    events: list[Event] = field(default_factory=list)
    counts: Counter[tuple[str, Outcome]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.hooks = Hooks(self.events.append, self.count)

    def count(self, name: str, outcome: Outcome) -> None:
        self.counts[name, outcome] += 1

    @property
    def failed(self) -> list[str]:
        return [event.why for event in self.events if isinstance(event, HookFailed)]


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    running = Running()
    task = asyncio.create_task(running.hooks.run())
    yield running
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


class TestCommands:
    """Real processes."""

    @staticmethod
    def script(folder: Path, text: str) -> str:
        path = folder / "hook"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return str(path)

    async def test_it_gets_the_event_and_a_clean_world(
        self, running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SECRET", "x")
        out = tmp_path / "out"
        text = f"cat > {out}; env > {out}.env; pwd > {out}.pwd; ps -o sid= -p $$ > {out}.sid"
        text += f"; grep Cap /proc/self/status > {out}.caps; touch {out}.done"
        hook = HookConfig("mail", (self.script(tmp_path, text), "a b; c"))
        running.hooks.configure([hook])
        running.hooks.offer(happened())
        await until(Path(f"{out}.done").exists, "the command has run")
        document = json.loads(out.read_text())
        assert (document["director"], document["kind"], document["level"]) == (
            "director1",
            "health",
            "warning",
        )
        assert document["data"] == {"service": "web"}
        assert document["time"].endswith("Z")
        env = Path(f"{out}.env").read_text()
        assert "LVSGUARD_EVENT=health" in env
        assert "SECRET" not in env
        assert Path(f"{out}.pwd").read_text() == "/\n"
        assert int(Path(f"{out}.sid").read_text()) != os.getsid(0)
        caps = dict(line.split(":") for line in Path(f"{out}.caps").read_text().splitlines())
        assert {name: int(value, 16) for name, value in caps.items()} == dict.fromkeys(caps, 0)
        await until(lambda: running.counts["mail", Outcome.DONE] == 1, "it is counted")

    async def test_one_that_fails_is_told_once_and_its_recovery_too(
        self, running: Running, tmp_path: Path
    ) -> None:
        flag = tmp_path / "well"
        path = self.script(tmp_path, f"[ -e {flag} ] || {{ echo no spool >&2; exit 3; }}")
        running.hooks.configure([HookConfig("mail", (path,))])
        for number in range(3):
            running.hooks.offer(happened(number))
        await until(lambda: running.counts["mail", Outcome.FAILED] == 3, "all have failed")
        assert running.failed == [f"{path} ended with status 3: no spool"]
        flag.touch()
        running.hooks.offer(happened())
        await until(lambda: HookWell("mail", 3) in running.events, "it works again")

    async def test_one_that_hangs_is_killed_with_its_children(
        self, running: Running, tmp_path: Path
    ) -> None:
        pid = tmp_path / "pid"
        path = self.script(tmp_path, f"sleep 1000 & echo $! > {pid}; sleep 1000")
        running.hooks.configure([HookConfig("mail", (path,), timeout=0.5)])
        running.hooks.offer(happened())
        await until(lambda: running.failed, "it is given up")
        assert "was killed after 0.5 s" in running.failed[0]
        child = int(pid.read_text())
        await until(lambda: _gone(child), "its child is gone")

    async def test_one_that_writes_without_end_is_ended(self, running: Running) -> None:
        running.hooks.configure([HookConfig("yes", ("/usr/bin/yes",))])
        running.hooks.offer(happened())
        await until(lambda: running.failed, "it is ended")
        assert "it wrote more than 65536 bytes" in running.failed[0]

    async def test_one_that_reads_nothing_is_no_trouble(self, running: Running) -> None:
        running.hooks.configure([HookConfig("true", ("/bin/true",))])
        data = {"reason": "x" * 1_000_000}
        running.hooks.offer(Occurrence("d", 1, time.time(), "health", Level.INFO, "t", data))
        await until(lambda: running.counts["true", Outcome.DONE], "it is done")

    async def test_one_that_is_not_there_is_told(self, running: Running) -> None:
        running.hooks.configure([HookConfig("mail", ("/nonexistent/mail",))])
        running.hooks.offer(happened())
        await until(lambda: running.failed, "it is told")
        assert "/nonexistent/mail" in running.failed[0]

    async def test_a_dead_hook_holds_nobody_up_and_its_queue_is_bounded(
        self, running: Running
    ) -> None:
        running.hooks.configure(
            [
                HookConfig("dead", ("/bin/sleep", "1000"), timeout=300),
                HookConfig("ok", ("/bin/true",)),
            ]
        )
        running.hooks.offer(happened(0, "role"))
        await until(lambda: running.counts["ok", Outcome.DONE] == 1, "the other one is told")
        begun = time.thread_time()
        for number in range(10 * QUEUE_MAX):
            running.hooks.offer(happened(number))
        assert time.thread_time() - begun < 2  # 20,000 offers; some 100 ms
        assert running.counts["dead", Outcome.DROPPED] >= 9 * QUEUE_MAX - 1
        assert sum("oldest are dropped" in why for why in running.failed) == 2  # one for each

    async def test_a_reload_keeps_what_waits_and_ends_what_is_gone(
        self, running: Running, tmp_path: Path
    ) -> None:
        pid = tmp_path / "pid"
        path = self.script(tmp_path, f"echo $$ > {pid}; exec sleep 1000")
        slow = HookConfig("slow", (path,), timeout=300)
        running.hooks.configure([slow])
        running.hooks.offer(happened())
        await until(lambda: pid.exists() and pid.read_text(), "it runs")
        running.hooks.configure([slow, HookConfig("ok", ("/bin/true",))])
        running.hooks.offer(happened())
        await until(lambda: running.counts["ok", Outcome.DONE], "the new one is told")
        assert not _gone(int(pid.read_text()))
        running.hooks.configure([])
        await until(lambda: _gone(int(pid.read_text())), "what is gone is ended")

    async def test_a_stop_waits_a_moment_for_what_is_at_work(
        self, running: Running, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        running.hooks.configure(
            [HookConfig("mail", (self.script(tmp_path, f"sleep 0.2; touch {out}"),))]
        )
        running.hooks.offer(happened())
        await running.hooks.last_words()
        assert out.exists()


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    await runner.cleanup()


class TestWebhooks:
    """A real HTTP server."""

    async def test_it_is_posted_signed(self, running: Running) -> None:
        got: list[tuple[bytes, str, str]] = []

        async def take(request: web.Request) -> web.Response:
            signed = request.headers["Lvsguard-Signature"]
            got.append((await request.read(), signed, request.headers["Lvsguard-Event"]))
            return web.Response(status=204)

        async with listening(take) as url:
            running.hooks.configure([HookConfig("chat", url=url, key=b"secret")])
            running.hooks.offer(happened())
            await until(lambda: running.counts["chat", Outcome.DONE] == 1, "it is told")
        ((document, signed, kind),) = got
        expected = hmac.new(b"secret", document, hashlib.sha256).hexdigest()
        assert (signed, kind) == (f"sha256={expected}", "health")
        assert json.loads(document)["text"] == "rs1 is down"

    async def test_it_is_tried_again_until_it_answers(self, running: Running) -> None:
        seen: list[float] = []

        async def take(request: web.Request) -> web.Response:
            seen.append(time.monotonic())
            return web.Response(status=204 if len(seen) > 2 else 503)

        async with listening(take) as url:
            running.hooks.configure([HookConfig("chat", url=url)])
            running.hooks.offer(happened())
            await until(lambda: running.counts["chat", Outcome.DONE] == 1, "it is told")
        assert running.counts["chat", Outcome.RETRIED] == 2
        assert seen[1] - seen[0] >= 0.7
        assert seen[2] - seen[1] >= 1.5
        assert running.failed == ["it answered 503"]
        assert running.events[-1] == HookWell("chat", 0)

    @pytest.mark.parametrize("status", [302, 400, 404])
    async def test_what_another_try_would_not_change_is_given_up(
        self, running: Running, status: int
    ) -> None:
        seen: list[str] = []

        async def take(request: web.Request) -> web.Response:
            seen.append(request.path)
            return web.Response(status=status, headers={"Location": "/elsewhere"})

        async with listening(take) as url:
            running.hooks.configure([HookConfig("chat", url=url)])
            running.hooks.offer(happened())
            await until(lambda: running.counts["chat", Outcome.FAILED] == 1, "it is given up")
        assert seen == ["/hook"]
        assert running.failed[0].startswith(f"it answered {status}, which another try")

    async def test_an_old_event_is_given_up(self, running: Running) -> None:
        running.hooks.configure([HookConfig("chat", url="http://127.0.0.1:1/", give_up=0.1)])
        running.hooks.offer(happened())
        await until(lambda: running.counts["chat", Outcome.FAILED] == 1, "it is given up")
        assert "127.0.0.1" in running.failed[0]

    async def test_one_that_does_not_answer_or_answers_without_end_is_left(
        self, running: Running
    ) -> None:
        async def hang(request: web.Request) -> web.StreamResponse:
            if request.path == "/hook/silent":
                await asyncio.sleep(1000)
            response = web.StreamResponse()
            await response.prepare(request)
            with contextlib.suppress(ConnectionError):
                while True:
                    await response.write(b"x" * 65536)
            return response

        async with listening(hang) as url:
            silent = HookConfig("silent", url=f"{url}/silent", timeout=0.3, give_up=0)
            endless = HookConfig("endless", url=f"{url}/endless", timeout=5)
            running.hooks.configure([silent, endless])
            running.hooks.offer(happened())
            await until(lambda: running.counts["silent", Outcome.FAILED], "it is given up")
            await until(lambda: running.counts["endless", Outcome.DONE], "its status is enough")
            running.hooks.configure([])
        assert running.failed == ["no answer within 0.3 s"]


def _gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"
