"""The Python client against the daemon's admin server, over a real socket."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path

import pytest

from lvsguard import __version__
from lvsguard.admin.client import Client
from lvsguard.admin.resources import RESOURCES, Described
from lvsguard.client import BadAddress, Director, Outcome, Refused, Unreachable
from lvsguard.core.event import Stopping
from lvsguard.core.model import Counters
from lvsguard.core.override import Override, OverrideKind, Target, Weight
from lvsguard.core.snapshot import Role, VipStatus
from tests.support.other_user import as_nobody
from tests.support.published import NOON, UNFIT, VIP, Desk, realserver, service

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


async def test_whose_drain_is_replaced_or_ended_is_told(desk: Desk, socket_path: Path) -> None:
    held = Override(Target(RS1), OverrideKind.DRAIN, "alice (uid 7)", NOON, "disk broken")
    desk.picture.kept[held.key] = held
    async with Director(socket_path) as director:
        with pytest.raises(Refused, match="by alice") as caught:
            await director.drain("10.0.0.42", mine=True)
        assert caught.value.failure.code == "others"
        change = await director.undrain("10.0.0.42", mine=True)
        assert [(one.actor, one.reason) for one in change.left] == [
            ("alice (uid 7)", "disk broken")
        ]
        change = await director.drain("10.0.0.42", reason="deploy")
        assert [one.actor for one in change.replaced] == ["alice (uid 7)"]
        change = await director.undrain("10.0.0.42", mine=True)
        assert [one.reason for one in change.ended] == ["deploy"]
        assert change.left == []


async def test_a_service_that_is_empty_is_not_every_service(socket_path: Path) -> None:
    async with Director(socket_path) as director:
        with pytest.raises(Refused, match="length >= 1"):
            await director.undrain("10.0.0.42", service="")


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


METHODS: Mapping[str, Mapping[str, frozenset[str]]] = {
    "version": {"version": frozenset()},
    "status": {"status": frozenset()},
    "realservers": {"realservers": frozenset()},
    "health": {"health": frozenset()},
    "events": {"events": frozenset()},
    "why": {"why": frozenset()},
    "overrides": {"overrides": frozenset()},
    "setOverride": {
        "drain": frozenset({"kind", "weight"}),
        "disable": frozenset({"kind", "weight"}),
        "weight": frozenset({"kind"}),
    },
    "clearOverride": {"undrain": frozenset({"kind"}), "enable": frozenset({"kind"})},
    "drainShare": {"drain_share": frozenset()},
    "reload": {"reload": frozenset()},
    "plan": {"plan": frozenset()},
    "failover": {"failover": frozenset()},
}
"""The methods of each resource, and the fields that a method has in its name or not at all."""


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda one: one.name)
def test_each_resource_has_a_method_and_each_field_an_argument(resource: Described) -> None:
    fields = {
        name for kind in (resource.body, resource.query) if kind for name in kind.__struct_fields__
    }
    for name, without in METHODS[resource.name].items():
        arguments = set(inspect.signature(getattr(Director, name)).parameters) - {"self"}
        assert arguments == fields - without, name


async def test_why_and_realservers_tell_of_one(socket_path: Path) -> None:
    async with Director(socket_path) as director:
        reply = await director.why("rs2", service="web")
        (service,) = (await director.realservers("rs2", service="web")).services
        (all_of_it,) = (await director.realservers(service="web")).services
    assert [(one.kind, one.serves) for one in reply.answers] == [("realserver", False)]
    assert [one.address for one in service.realservers] == ["10.0.0.43"]
    assert len(all_of_it.realservers) == 2


async def test_a_ticket_goes_with_an_override(desk: Desk, socket_path: Path) -> None:
    async with Director(socket_path) as director:
        await director.drain("10.0.0.42", ticket="OPS-1234")
    (override,) = desk.picture.overrides()
    assert override.ticket == "OPS-1234"


async def test_events_are_chosen_as_the_resource_has_it(desk: Desk, socket_path: Path) -> None:
    desk.happen(Stopping(keep=True), NOON - 60)
    await desk.set_override(Override(Target(RS1), OverrideKind.DRAIN, "alice", NOON))
    desk.happen(Stopping(keep=True), NOON + 60)

    async def told(**wanted: object) -> list[int]:
        asked = director.events(since=0, follow=False, **wanted)  # type: ignore[arg-type]
        return [event.id async for event in asked]

    async with Director(socket_path) as director:
        assert await told(until=NOON) == [1, 2]
        assert await told(kind="override-set") == [2]
        assert await told(kind=("override-set", "stopping"), until=NOON - 1) == [1]
        assert await told(target="10.0.0.42") == [2]
        assert await told(id="3f29c01ab7") == []
        with pytest.raises(Refused, match="ten hex digits"):
            await told(id="x")


async def test_a_failover_to_one_that_is_not_fit_is_forced(desk: Desk, socket_path: Path) -> None:
    desk.picture.groups = (
        VipStatus("web", (VIP,), frozenset({VIP}), Role.MASTER, NOON, vrid=51, priority=100),
    )
    desk.picture.others = (UNFIT,)
    async with Director(socket_path) as director:
        with pytest.raises(Refused, match="nobody is fit"):
            await director.failover()
        (found,) = await director.failover(force=True)
    assert found.vip == "web"


async def test_a_drain_is_waited_for_until_it_is_empty_and_back(
    desk: Desk, socket_path: Path
) -> None:
    desk.picture.shown = (service(realserver(), realserver("10.0.0.43", name="rs2")),)
    async with Director(socket_path) as director:
        change = await director.drain("10.0.0.42")
        assert (await director.wait_empty(change, 5)).over
        change = await director.undrain("10.0.0.42")
        assert (await director.wait_back(change, 5)).over


async def test_two_who_drain_a_share_at_once_do_not_go_below_the_quorum_together(
    desk: Desk, socket_path: Path
) -> None:
    busy = (realserver(f"10.0.0.{n}", counters=Counters(active=n)) for n in range(42, 47))
    desk.picture.shown = (service(*busy, need=3),)
    async with Director(socket_path) as director:
        both = await asyncio.gather(
            director.drain_share("web", 40, reason="kernel"),
            director.drain_share("web", 40),
        )
        one, other = sorted(both, key=lambda reply: len(reply.already))
        assert one.targets == ["10.0.0.42:80 in web", "10.0.0.43:80 in web"]
        assert (other.targets, other.already) == ([], one.realservers)
        progress = await director.wait_empty(other, 0.1)
        assert [left.connections for left in progress.left] == [42, 43]
        with pytest.raises(Refused, match="take less") as refused:
            await director.drain_share("web", 60)
        assert refused.value.failure.code == "below-quorum"
        assert len((await director.drain_share("web", 60, force=True)).targets) == 1


async def test_one_that_is_not_empty_in_time_is_told_and_one_that_is_gone_is_lost(
    desk: Desk, socket_path: Path
) -> None:
    busy = realserver(counters=Counters(active=3))
    desk.picture.shown = (service(busy, realserver("10.0.0.43", name="rs2")),)
    async with Director(socket_path) as director:
        change = await director.drain("10.0.0.42")
        progress = await director.wait_empty(change, 0.1)
        assert [one.connections for one in progress.left] == [3]
        desk.picture.shown = (service(realserver("10.0.0.43", name="rs2")),)
        progress = await director.wait_empty(change, 5)
        assert progress.lost == ("10.0.0.42:80 in web: it is not in the configuration any more",)
        assert not progress.over
        progress = await director.wait_back(await director.undrain("10.0.0.42"), 5)
        assert (progress.over, len(progress.lost)) == (False, 1)
        socket_path.rename(socket_path.with_suffix(".gone"))
        with pytest.raises(Unreachable):
            await director.wait_empty(change, 0.1)
        socket_path.with_suffix(".gone").rename(socket_path)


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
