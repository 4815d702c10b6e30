"""The Python client against the daemon's admin server, over a real socket."""

from __future__ import annotations

import asyncio
import os
from ipaddress import ip_address
from pathlib import Path

import pytest

from lvsguard import __version__
from lvsguard.admin.client import Client
from lvsguard.client import BadAddress, Director, Outcome, Refused, Unreachable
from lvsguard.core.event import Stopping
from lvsguard.core.override import OverrideKind, Target, Weight
from lvsguard.core.snapshot import Role, VipStatus
from tests.support.other_user import as_nobody
from tests.support.published import NOON, VIP, Desk

pytestmark = pytest.mark.usefixtures("server")
RS1 = ip_address("10.0.0.42")


async def test_it_tells_status_version_and_health(socket_path: Path) -> None:
    async with Director(socket_path) as director:
        status, version, health = await asyncio.gather(
            director.status(), director.version(), director.health()
        )
    assert [service.name for service in status.services] == ["web"]
    assert (version.api, version.director) == (1, "director1")
    assert health.programmed


async def test_a_drain_begins_and_ends(desk: Desk, socket_path: Path) -> None:
    async with Director(socket_path) as director:
        change = await director.drain("10.0.0.42", reason="kernel", expires_in=60)
        assert change.targets == ["10.0.0.42"]
        (told,) = await director.overrides()
        assert (told.kind, told.reason) == (OverrideKind.DRAIN, "kernel")
        change = await director.undrain("10.0.0.42")
        assert change.targets == ["10.0.0.42"]
        assert (await director.undrain("10.0.0.42")).targets == []
    assert desk.picture.overrides() == ()


async def test_a_realserver_is_disabled_enabled_and_given_weights(
    desk: Desk, socket_path: Path
) -> None:
    async with Director(socket_path) as director:
        await director.disable("rs2", service="web")
        await director.weight("10.0.0.42:80", "50%")
        first, second = desk.picture.overrides()
        assert (first.kind, first.target.service) == (OverrideKind.DISABLE, "web")
        assert (second.target, second.weight) == (Target(RS1, 80), Weight(50, percent=True))
        await director.weight("10.0.0.42:80", 7)
        assert desk.picture.overrides()[-1].weight == Weight(7)
        await director.weight("10.0.0.42:80", None)
        await director.enable("rs2", service="web")
    assert desk.picture.overrides() == ()


async def test_events_go_on_with_what_happens(desk: Desk, socket_path: Path) -> None:
    desk.happen(Stopping(keep=True), NOON)
    async with Director(socket_path) as director, asyncio.timeout(5):
        events = director.events(since=0)
        assert (await anext(events)).data["keep"] is True
        desk.happen(Stopping(keep=False), NOON)
        assert (await anext(events)).data["keep"] is False
        await events.aclose()
        told = [event.id async for event in director.events(since=0, limit=1, follow=False)]
    assert told == [2]


async def test_a_failover_tells_what_came_of_it(desk: Desk, socket_path: Path) -> None:
    desk.picture.groups = (
        VipStatus("web", (VIP,), frozenset({VIP}), Role.MASTER, NOON, vrid=51, priority=100),
    )
    desk.heirs["web"] = "10.0.0.40"
    async with Director(socket_path) as director:
        (found,) = await director.failover("web")
        assert (found.outcome, found.successor) == (Outcome.DONE, "10.0.0.40")
        with pytest.raises(Refused, match="no VIP is named") as caught:
            await director.failover("nosuch")
    assert (caught.value.failure.code, caught.value.failure.known) == ("unknown-vip", ["web"])


async def test_reload_and_plan(desk: Desk, socket_path: Path) -> None:
    async with Director(socket_path) as director:
        assert (await director.reload()).steps == 3
        assert len((await director.plan("x = 1")).steps) == 2
        desk.problems = ("config.toml:3: weight: too big",)
        with pytest.raises(Refused) as caught:
            await director.reload()
    assert caught.value.failure.problems == list(desk.problems)


async def test_who_is_not_open_says_how_to_be(socket_path: Path) -> None:
    with pytest.raises(RuntimeError, match="async with Director"):
        await Director(socket_path).status()


async def test_nobody_there_is_told_from_one_who_left(socket_path: Path) -> None:
    async with Director(socket_path.with_name("none.sock")) as director:
        with pytest.raises(Unreachable, match="systemctl start lvsguard") as caught:
            await director.status()
    assert caught.value.nobody


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("http://director1", "https://HOST"),
        ("https://director1/x", "nothing more"),
        ("https://director1:99999", "https://HOST:PORT"),
        ("https://director1", "wants a certificate"),
        ("", "a socket's path"),
    ],
)
def test_a_wrong_address_is_refused_with_what_to_give(address: str, says: str) -> None:
    with pytest.raises(BadAddress, match=says):
        Director(address)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
async def test_who_may_not_is_told_which_group_is_missing(socket_path: Path) -> None:
    socket_path.parent.chmod(0o755)
    with as_nobody():
        async with Director(socket_path) as director:
            with pytest.raises(Unreachable, match="nobody is not in its group root") as caught:
                await director.status()
        with pytest.raises(Unreachable, match="usermod -aG root nobody"):
            Client(socket_path).status()
    assert not caught.value.nobody


class TestOtherVersions:
    """A daemon that is older or newer than the client."""

    @pytest.fixture
    async def server(self, socket_path: Path, request: pytest.FixtureRequest) -> object:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(request.param)
            writer.close()

        server = await asyncio.start_unix_server(serve, str(socket_path))
        yield server
        server.close()

    @pytest.mark.parametrize(
        ("server", "says"),
        [
            (
                b"HTTP/1.1 404 x\r\nLvsguard-Version: 9.1\r\nContent-Length: 42\r\n\r\n"
                b'{"code":"not-found","error":"no resource"}',
                f"no resource .this is lvsguard {__version__} and the daemon is 9.1: use",
            ),
            (
                b"HTTP/1.1 400 x\r\nContent-Length: 46\r\n\r\n"
                b'{"code":"bad-request","error":"unknown field"}',
                "unknown field .this is lvsguard .* and the daemon is older: use the version",
            ),
            (
                b"HTTP/1.1 200 x\r\nLvsguard-Version: 9.1\r\nContent-Length: 2\r\n\r\n{}",
                "cannot read .*this is lvsguard .* and the daemon is 9.1",
            ),
        ],
        indirect=["server"],
    )
    @pytest.mark.usefixtures("server")
    async def test_both_versions_are_named(self, socket_path: Path, says: str) -> None:
        async with Director(socket_path) as director:
            with pytest.raises((Refused, Unreachable), match=says):
                await director.version()
        with pytest.raises((Refused, Unreachable), match=says):
            await asyncio.to_thread(Client(socket_path).version)
