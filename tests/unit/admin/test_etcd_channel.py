"""Any number of directors by way of a real etcd: they converge; its loss freezes the picture."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
import trustme

from lvsguard.admin import etcd_channel
from lvsguard.admin.etcd import Compacted, Etcd, EtcdError
from lvsguard.admin.peer_message import Beat, encode
from lvsguard.core.clock import Offset
from lvsguard.core.cluster import EtcdAccess
from lvsguard.core.ledger import KEPT_S, SKEW_S, Record
from lvsguard.core.override import Override, OverrideKind, Target
from tests.support.etcd import (
    MISSING,
    Member,
    Server,
    agreed,
    cluster,
    impatient,
    members,
    server,
    slowed,
)
from tests.support.peer_pair import ACCOUNT, seen, until

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(MISSING), reason=MISSING)]


@pytest.fixture
async def etcd() -> AsyncIterator[Server]:
    async with server() as found:
        yield found


def share(one: Member, address: str, reason: str = "") -> None:
    """Drain a realserver, and tell it."""
    one.channel.news = one.by_etcd.news  # type: ignore[method-assign]
    one.drain(address, reason)


def unshare(one: Member, address: str, reason: str = "") -> None:
    one.channel.news = one.by_etcd.news  # type: ignore[method-assign]
    one.undrain(address, reason)


def drained_at(one: Member, address: str, now: float) -> Record:
    """A drain by such a clock that nobody is told of."""
    target = Target(ip_address(address))
    override = Override(target, OverrideKind.DRAIN, "alice", time.time(), "by a clock")
    record = one.ledger.write(override, now)
    assert record is not None
    return record


def _offset(here: Member, there: str) -> Offset | None:
    peer = here.by_etcd.peers.get(there)
    return None if peer is None else peer.clock.read(time.monotonic())


async def test_two_directors_see_each_other_and_share_drains(etcd: Server) -> None:
    one, two = members(etcd.access, "director1", "director2")
    one.account = replace(
        ACCOUNT, services=seen(web=2, mail=1), keys={("service", "web"): "0" * 12}
    )
    async with two.running():
        async with one.running():
            share(one, "10.0.0.42")
            await until(lambda: two.drained == {"10.0.0.42"}, "it is told")
            share(two, "10.0.0.43")
            unshare(two, "10.0.0.42", "it is done")
            await until(lambda: one.drained == {"10.0.0.43"}, "and back")
            assert {r.reason for r in one.records if r.override is None} == {"it is done"}
            await agreed(one, two)
            await until(lambda: two.by_etcd.peers["director1"].services, "health is told")
            peer = two.by_etcd.peers["director1"]
            assert peer.services == seen(web=2, mail=1)
            assert (peer.silent, peer.keys_of, peer.keys) == (
                False, ACCOUNT.config, {("service", "web"): "0" * 12}
            )  # fmt: skip
            one.account = replace(one.account, services=seen(web=1))
            await until(lambda: peer.services == seen(web=1), "what changes is told")
        await until(lambda: peer.silent, "who stops ends its lease", 3)
        assert two.told("peer-silent") == [
            "director director1 (etcd) is not heard any more: its lease in etcd has ended"
        ]


async def test_three_converge_whoever_comes_late(etcd: Server) -> None:
    one, two, three = members(etcd.access, "a", "b", "c")
    async with one.running(), two.running():
        share(one, "10.0.0.42", "first")
        await agreed(one, two)
        share(two, "10.0.0.42", "second, and later")
        share(three, "10.0.0.44", "said before it was started")
        async with three.running():
            await until(lambda: one.drained == {"10.0.0.42", "10.0.0.44"}, "all of it")
            await agreed(one, two, three)
            reasons = {o.reason for o in three.ledger.in_force(0.0)}
            assert reasons == {"second, and later", "said before it was started"}


async def test_a_director_that_dies_is_gone_when_its_lease_ends(
    etcd: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = members(etcd.access, "director1", "director2")
    async with two.running():
        async with one.running():
            await until(lambda: "director1" in two.by_etcd.peers, "it is there")
            monkeypatch.setattr(etcd_channel, "LEAVE_S", 0.0)  # it says no goodbye
        await until(lambda: two.by_etcd.peers["director1"].silent, "its lease has ended", 12)


async def test_a_director_that_is_gone_for_long_leaves_the_list(
    etcd: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(etcd_channel, "FORGET_S", 2.0)
    one, two = members(etcd.access, "director1", "director2")
    async with two.running():
        async with one.running():
            await until(lambda: "director1" in two.by_etcd.peers, "it is there")
            await asyncio.sleep(3)
            assert "director1" in two.by_etcd.peers
        await until(lambda: two.by_etcd.peers["director1"].silent, "it is gone")
        await asyncio.sleep(1)
        assert "director1" in two.by_etcd.peers, "it may come back"
        await until(lambda: not two.by_etcd.peers, "it is no director any more")
        async with one.running():
            await until(lambda: "director1" in two.by_etcd.peers, "unless it comes back")


async def test_the_loss_of_etcd_freezes_what_is_known_and_is_told(etcd: Server) -> None:
    one, two = members(etcd.access, "director1", "director2")
    one.account = replace(ACCOUNT, services=seen(web=2))
    async with one.running(), two.running():
        share(one, "10.0.0.42")
        await until(lambda: two.drained == {"10.0.0.42"}, "it is told")
        await until(lambda: two.by_etcd.peers["director1"].services, "health is told")
        etcd.kill()
        await until(lambda: two.told("cluster-lost") and one.told("cluster-lost"), "told", 15)
        await until(lambda: "connect" in two.by_etcd.trouble, "why it is not there")
        assert len(two.told("cluster-lost")) == 1
        share(one, "10.0.0.43")
        unshare(two, "10.0.0.42")
        await asyncio.sleep(3)  # longer than a lease
        assert not two.by_etcd.peers["director1"].silent
        assert two.by_etcd.peers["director1"].services == seen(web=2)
        assert one.drained == {"10.0.0.42", "10.0.0.43"}
        assert len(two.told("cluster-lost")) == 1

        await etcd.start()
        await until(lambda: two.told("cluster-back") and one.told("cluster-back"), "back", 20)
        await agreed(one, two)
        assert one.drained == two.drained == {"10.0.0.43"}
        assert two.by_etcd.trouble == ""
        await until(lambda: not two.by_etcd.peers["director1"].silent, "heard", 5)


async def test_a_ledger_that_takes_long_to_write_costs_no_lease_and_no_word(etcd: Server) -> None:
    (two,) = members(etcd.access, "director2")
    async with slowed(etcd, 0.05) as access:
        (one,) = members(access, "director1")
        for number in range(120):
            drained_at(one, f"10.1.0.{number}", time.time())
        async with two.running(), one.running():
            await until(lambda: len(two.drained) > 5, "it is writing")
            one.account = replace(ACCOUNT, services=seen(web=1))
            peer = two.by_etcd.peers["director1"]
            await until(lambda: peer.services, "how it does is told meanwhile")
            assert len(two.drained) < 120
            await until(lambda: len(two.drained) == 120, "all of it is written", 20)
            await agreed(one, two)
            assert two.told("peer-silent") == []
            assert one.told("cluster-lost") == []


async def test_clocks_are_measured_between_any_two(
    etcd: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(etcd_channel, "CLOCK_S", 0.5)
    all_of_them = members(etcd.access, "director1", "director2", "director3")
    one, two, three = all_of_them
    async with one.running(), two.running(), three.running():
        for here in all_of_them:
            for there in all_of_them:
                if here is not there:
                    name = there.name
                    await until(lambda h=here, n=name: _offset(h, n), "it is known")  # type: ignore[misc]
                    offset = _offset(here, name)
                    assert offset is not None
                    assert abs(offset.seconds) <= offset.bound + 0.01


async def test_who_says_nothing_new_writes_no_beat(etcd: Server) -> None:
    """Each is a revision, and nobody may compact them."""
    one, two = members(etcd.access, "director1", "director2")
    async with one.running(), two.running():
        await until(lambda: "director1" in two.by_etcd.peers and one.by_etcd.peers, "both know")
        await asyncio.sleep(1)
        async with Etcd(etcd.access, etcd.access.endpoints[0]) as raw:
            before, _ = await raw.read()
            await asyncio.sleep(3)  # more than a lease
            after, _ = await raw.read()
        assert after == before


async def test_what_was_compacted_is_read_anew(etcd: Server) -> None:
    async with Etcd(etcd.access, etcd.access.endpoints[0]) as raw:
        for number in range(5):
            await raw.put("x/1", b"%d" % number)
        revision, _ = await raw.read()
        etcd.run("compact", str(revision))
        with pytest.raises(Compacted, match="keeps nothing from before revision"):
            async for _ in raw.watch(1):
                pass
    one, two = members(etcd.access, "director1", "director2")
    async with one.running(), two.running():
        share(one, "10.0.0.42")
        await agreed(one, two)


async def test_a_watch_that_breaks_is_begun_again(etcd: Server) -> None:
    one, two = members(etcd.access, "director1", "director2")
    async with one.running(), two.running():
        share(one, "10.0.0.42")
        await until(lambda: two.drained, "told")
        etcd.kill()
        await etcd.start()
        share(one, "10.0.0.43")
        await until(lambda: two.drained == {"10.0.0.42", "10.0.0.43"}, "told again", 20)


async def test_a_watch_that_breaks_is_no_director_s_end(etcd: Server) -> None:
    """A load balancer before etcd ends what was idle for a minute, say."""
    (two,) = members(etcd.access, "director2")
    async with impatient(etcd, 0.5) as way, two.running():
        (one,) = members(way, "director1")
        async with one.running():
            await until(lambda: "director1" in two.by_etcd.peers, "it is there")
            await until(lambda: sum(e.kind == "cluster-lost" for e in one.events) > 2, "it broke")
            share(one, "10.0.0.42")
            await until(lambda: two.drained, "it tells on")
            assert [str(e) for e in two.events if e.kind == "peer-silent"] == []
        await until(lambda: two.by_etcd.peers["director1"].silent, "its lease has ended")


async def test_a_stamp_that_lies_ahead_is_taken_once_clocks_allow_it(etcd: Server) -> None:
    one, two = members(etcd.access, "director1", "director2")
    async with one.running(), two.running():
        await until(lambda: "director1" in two.by_etcd.peers, "they know each other")
        record = drained_at(one, "10.0.0.42", time.time() + SKEW_S + 2)
        one.by_etcd.news((record,))
        peer = two.by_etcd.peers["director1"]
        await until(lambda: peer.refused == "its clock is ahead", "it is refused")
        assert two.drained == set()
        await until(lambda: two.drained == {"10.0.0.42"}, "it is taken")
        await until(lambda: peer.refused == "", "nothing is refused any more")
        await agreed(one, two)


async def test_a_stamp_that_was_refused_and_ended_is_forgotten(etcd: Server) -> None:
    one, two = members(etcd.access, "director1", "director2")
    async with one.running(), two.running():
        await until(lambda: "director1" in two.by_etcd.peers, "they know each other")
        record = drained_at(one, "10.0.0.42", time.time() + SKEW_S + 2)
        one.by_etcd.news((record,))
        peer = two.by_etcd.peers["director1"]
        await until(lambda: peer.refused, "it is refused")
        await asyncio.sleep(2)
        unshare(one, "10.0.0.42")
        await agreed(one, two)
        await until(lambda: peer.refused == "", "nothing is refused any more", 3)
        assert two.drained == set()


async def test_what_was_stamped_anew_once_the_clock_was_right_is_told(etcd: Server) -> None:
    one, two, three = members(etcd.access, "director1", "director2", "director3")
    async with one.running(), two.running(), three.running():
        share(one, "10.0.0.43", "said by a clock that is right")
        await agreed(one, two, three)
        await until(lambda: "director1" in two.by_etcd.peers, "they know each other")
        ahead = time.time() + 3600
        for address in ("10.0.0.42", "10.0.0.43"):
            one.by_etcd.news((drained_at(one, address, ahead),))
        peer = two.by_etcd.peers["director1"]
        await until(lambda: peer.refused, "it is refused")
        assert one.ledger.prune(time.time())
        await agreed(one, two, three)
        assert two.drained == three.drained == {"10.0.0.42", "10.0.0.43"}
        assert {o.reason for o in two.ledger.in_force(time.time())} == {"by a clock"}
        await until(lambda: peer.refused == "", "nothing is refused any more")


async def test_what_a_journal_brings_late_is_told(etcd: Server) -> None:
    one, two = members(etcd.access, "director1", "director2")
    async with one.running(), two.running():
        share(one, "10.0.0.43")
        await agreed(one, two)
        drained_at(one, "10.0.0.42", time.time())
        await until(lambda: two.drained == {"10.0.0.42", "10.0.0.43"}, "it is told")
        await agreed(one, two)


async def test_what_ended_long_ago_is_deleted(etcd: Server) -> None:
    one, two = members(etcd.access, "director1", "director2")
    ended = '{{"address":"10.0.0.43","kind":"drain","wall":{},"counter":0,"director":"d"}}'
    now = time.time()
    async with Etcd(etcd.access, etcd.access.endpoints[0]) as raw:
        for name, at in {"old": now - KEPT_S - 60, "late": now - KEPT_S + 3600}.items():
            await raw.put(f"overrides/{name}", ended.format(int(at * 1000)).encode())

        async def kept() -> set[str]:
            _, entries = await raw.read()
            keys = {entry.key.removeprefix(etcd.access.prefix) for entry in entries}
            return {key.partition("/")[2] for key in keys if key.startswith("overrides/")}

        assert await kept() == {"old", "late"}
        async with one.running(), two.running():
            async with asyncio.timeout(10):
                while "old" in (keys := await kept()):  # noqa: ASYNC110 - it is etcd that changes
                    await asyncio.sleep(0.05)
            assert "late" in keys


async def test_nonsense_in_etcd_is_told_and_passed_over(etcd: Server) -> None:
    one, two = members(etcd.access, "director1", "director2")
    async with Etcd(etcd.access, etcd.access.endpoints[0]) as raw:
        beat = encode(Beat(version="0", config="0", programmed=True))[4:]
        for key, value in {
            "overrides/zzz": b"\xff",
            "overrides/yyy": b'{"address":"10.0.0.300","kind":"drain","wall":1,"counter":0,'
            b'"director":"d"}',
            "directors/eve/beat": b"[" * 100_000,
            "directors//beat": beat,
            f"directors/{'x' * 64}/beat": beat,
            "directors/eve/keys-0": beat,
            "other": b"",
        }.items():
            await raw.put(key, value)
        async with one.running(), two.running():
            share(one, "10.0.0.42")
            await until(lambda: two.drained == {"10.0.0.42"}, "it works on")
            await raw.put("directors/eve/services-0", b"\0" * 1000)
            share(one, "10.0.0.43")
            await until(lambda: len(two.drained) == 2, "it works on")
            assert len(two.told("peer-refused")) >= 4
            assert set(two.by_etcd.peers) <= {"director1", "eve"}


async def test_a_user_with_a_password_and_one_without(etcd: Server) -> None:
    for command in (
        ("user", "add", "root:admin"), ("user", "grant-role", "root", "root"), ("auth", "enable"),
    ):  # fmt: skip
        etcd.run(*command)
    good = replace(etcd.access, user="root", password="admin")
    one, two = members(good, "director1", "director2")
    (three,) = members(replace(good, password="wrong"), "director3")
    async with one.running(), two.running(), three.running():
        share(one, "10.0.0.42")
        await agreed(one, two)
        await until(lambda: three.told("cluster-lost"), "it is told")
        assert "authentication failed" in three.told("cluster-lost")[0]
        assert "wrong" not in three.told("cluster-lost")[0]


async def test_with_tls_both_ends_show_who_they_are(tmp_path: Path) -> None:
    authority, other = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    other.cert_pem.write_to_path(tmp_path / "other.pem")
    for name in ("server", "client"):
        leaf = authority.issue_cert("127.0.0.1", name)
        leaf.private_key_and_cert_chain_pem.write_to_path(tmp_path / f"{name}.pem")
    options = (
        "--cert-file", str(tmp_path / "server.pem"), "--key-file", str(tmp_path / "server.pem"),
        "--client-cert-auth", "--trusted-ca-file", str(tmp_path / "ca.pem"),
    )  # fmt: skip
    known = EtcdAccess(
        (), ca_file=str(tmp_path / "ca.pem"), certificate_file=str(tmp_path / "client.pem"), lease=3
    )
    async with server(*options, known=known) as etcd:
        good = replace(known, endpoints=etcd.access.endpoints)
        one, two = members(good, "director1", "director2")
        (nobody,) = members(replace(good, certificate_file=""), "director3")
        (fooled,) = members(replace(good, ca_file=str(tmp_path / "other.pem")), "director4")
        (lost,) = members(replace(good, ca_file="/nowhere/ca.pem"), "director5")
        async with one.running(), two.running(), nobody.running(), fooled.running(), lost.running():
            share(one, "10.0.0.42")
            await until(lambda: two.drained == {"10.0.0.42"}, "it is told")
            for member in (nobody, fooled, lost):
                await until(lambda m=member: m.told("cluster-lost"), "it is told")  # type: ignore[misc]
            assert "certificate is not good" in fooled.told("cluster-lost")[0]
            assert "files of [cluster] cannot be used" in lost.told("cluster-lost")[0]
            assert nobody.drained == fooled.drained == lost.drained == set()


async def test_another_endpoint_is_asked_when_one_is_dead(etcd: Server) -> None:
    both = EtcdAccess(("http://127.0.0.1:1", *etcd.access.endpoints), lease=2)
    one, two = members(both, "director1", "director2")
    async with one.running(), two.running():
        share(one, "10.0.0.42")
        await until(lambda: two.drained, "it is told")


async def test_of_three_members_any_one_may_die() -> None:
    async with cluster("one", "two", "three") as servers:
        access = replace(
            servers[0].access, endpoints=tuple(one.access.endpoints[0] for one in servers), lease=5
        )
        one, two = members(access, "director1", "director2")
        async with one.running(), two.running():
            share(one, "10.0.0.42")
            await until(lambda: two.drained == {"10.0.0.42"}, "it is told")
            for number, victim in enumerate(servers):
                victim.kill()
                address = f"10.0.1.{number}"
                share(one, address)
                await until(lambda a=address: a in two.drained, "another one is asked", 30)  # type: ignore[misc]
                await until(lambda: not (one.by_etcd.trouble or two.by_etcd.trouble), "well", 10)
                await agreed(one, two)
                await victim.start()
                await victim.answers(victim.access)
        told = one.told("cluster-lost") + two.told("cluster-lost")
        assert any(str(servers[0].port) in line for line in told), told


async def test_one_that_is_no_etcd_is_told_with_what_to_do() -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnope")
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with Etcd(EtcdAccess((url,)), url) as raw:
        with pytest.raises(EtcdError, match=r"makes no sense .*: is it etcd 3.4"):
            await raw.read()
    listener.close()
    await listener.wait_closed()
