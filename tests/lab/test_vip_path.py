"""Realservers that are set up wrongly, and checks that go to the VIP of each: found, told apart.

An http check each second with `via = "vip"`, fall 2; the IPVS table is there and used, as always.
"""

from __future__ import annotations

import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.support.director import make_director, tell, wall
from tests.support.director_config import Service, Setup
from tests.support.processes import wait_until
from tests.support.topology import VIP
from tests.support.topology_load import failures, start_load
from tests.support.topology_web import CONFIG, Web, start_web
from tests.support.why_transcript import check_why

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsguard.admin.protocol import EventReply
    from tests.support.director import Director
    from tests.support.golden import Golden
    from tests.support.stillness import Stillness
    from tests.support.topology import Host, Network

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

CHECK = '{ kind = "http", path = "/health", interval = "1s", timeout = "1s", via = "vip" }'
ADDRESSES = ("10.0.0.42", "10.0.0.43", "10.0.0.44", "10.0.0.45")
FOUND_S = 2.0
"""From the daemon's first pass to the event, and the start of the prober's process, which is a
fifth of a second on a host and one or two in a guest."""
BESIDE_S = 1.0
"""From the first verdict of all, when the prober is there: the check's timeout, once."""


def serve_on_own_address(host: Host) -> None:
    """nginx as everywhere, but it listens on the realserver's own address only."""
    folder = host.processes.logs / f"{host.name}.nginx"
    folder.mkdir(exist_ok=True)
    text = CONFIG.format(folder=folder, name=host.name, port=80)
    both = "listen 80 backlog=4096; listen [::]:80 backlog=4096;"
    assert both in text
    (folder / "nginx.conf").write_text(text.replace(both, f"listen {host.address}:80;"))
    host.start("nginx", "nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"))
    wait_until(lambda: answers(host), 10, f"nginx on {host.name} answers")


def answers(host: Host) -> bool:
    try:
        return host.get(host.address) == (200, host.name)
    except OSError:
        return False


@pytest.fixture
def web1(network: Network) -> Web:
    """rs1 is well, rs2 lacks the VIP, rs3 listens on its own address only, on rs4 nobody serves."""
    rs1, rs2, rs3, rs4 = network.realservers
    for host in (rs1, rs3, rs4):
        host.hold_vip()
    start_web(rs2)
    serve_on_own_address(rs3)
    return start_web(rs1)


@pytest.fixture
def director(network: Network, web1: Web) -> Iterator[Director]:
    assert web1.process.running
    service = Service(check=CHECK, realservers=dict.fromkeys(ADDRESSES, 1))
    director = make_director(network.director1, Setup(services=(service,)))
    yield director
    if director.running.running:
        director.kill()


def of(events: list[EventReply], host: Host) -> str:
    texts = [event.text for event in events if str(host.address) in event.text]
    assert len(texts) == 1, (str(host.address), texts)
    return texts[0]


def at(event: EventReply) -> float:
    """When it happened (wall clock)."""
    return datetime.fromisoformat(event.time).timestamp()


def start_of_prober_s(host: Host) -> float:
    """What the start of such a process takes here and now, when nothing else runs."""
    begun = time.monotonic()
    host.run(sys.executable, "-c", "import lvsguard.probes.process")
    return time.monotonic() - begun


@pytest.mark.parametrize("network", [4], indirect=True)
def test_mis_set_realservers_are_found_and_told_apart(
    network: Network, director: Director, still: Stillness, golden: Golden
) -> None:
    start_s = start_of_prober_s(network.director1)
    began, begun = wall(), time.monotonic()
    director.start()
    director.wait_for_verdicts(rs1="up", rs2="down", rs3="down", rs4="down")
    events = director.events("health", began)
    rs1, rs2, rs3, rs4 = network.realservers
    assert "up" in of(events, rs1)
    missing, elsewhere, dead = of(events, rs2), of(events, rs3), of(events, rs4)
    assert "the VIP 10.0.0.8:80 does not" in missing
    assert "run lvsguard realserver check --vip 10.0.0.8 --rip 10.0.0.43 there" in missing
    assert "listens on its own address only" in elsewhere
    assert "have it listen on 10.0.0.8" in elsewhere
    assert "connection refused" in dead
    assert "VIP" not in dead.partition("connection refused")[2]
    assert "is not set up there" in director.realserver(rs2.address).reason
    paths = {
        place: director.metric("realserver_vip_path", service="web", realserver=f"{place}:80")
        for place in ADDRESSES
    }
    assert list(paths.values()) == [1, 0, 0, 1]
    (started,) = director.events("started", began)
    places = {"well": rs1, "no_vip": rs2, "elsewhere": rs3, "dead": rs4}
    when = {n: at(e) for n, host in places.items() for e in events if str(host.address) in e.text}
    took = {f"{name}_s": moment - at(started) for name, moment in when.items()}
    still_s = still.within_s(begun, time.monotonic())
    launched_s = max(when.values()) - began
    tell("from the first pass", **took, launched_s=launched_s, start_s=start_s, still_s=still_s)
    assert max(took.values()) <= FOUND_S + start_s + still_s
    assert max(when.values()) - when["well"] <= BESIDE_S + still_s
    check_why(golden, director, "vip-missing", rs2.address)
    check_why(golden, director, "listens-on-its-own-address-only", rs3.address)
    check_why(golden, director, "nothing-listens", rs4.address)


@pytest.mark.parametrize("network", [4], indirect=True)
def test_no_client_meets_them_and_no_probe_is_in_the_kernels_table(
    network: Network, director: Director
) -> None:
    director.start()
    director.wait_for_verdicts(rs1="up", rs2="down", rs3="down", rs4="down")
    before = [network.director1.run("ip", *what.split()).stdout for what in ("rule", "link")]
    load = start_load(network.client, f"{VIP}:80", per_second=50)
    director.wait_for_passes(3)
    requests = load.stop()
    assert len(requests) > 50
    assert not failures(requests)
    entries = network.director1.run("ipvsadm", "-Lnc").stdout
    assert f"{network.client.address}:" in entries
    assert f"{network.director1.address}:" not in entries
    assert before == [
        network.director1.run("ip", *what.split()).stdout for what in ("rule", "link")
    ]


@pytest.mark.parametrize("network", [4], indirect=True)
def test_a_vip_that_goes_and_comes_back_is_followed(network: Network, director: Director) -> None:
    director.start()
    director.wait_for_verdicts(rs1="up", rs2="down", rs3="down", rs4="down")
    network.rs2.hold_vip()
    director.wait_for_weights(rs1=1, rs2=1)
    director.wait_for_verdicts(rs1="up", rs2="up", rs3="down", rs4="down")
    since = wall()
    network.rs1.run("ip", "address", "del", f"{VIP}/32", "dev", "ipvs0")
    director.wait_for_weights(rs1=0, rs2=1)
    wait_until(lambda: bool(director.events("health", since)), 5, "the event is told")
    (event,) = director.events("health", since)
    assert "10.0.0.42:80 answers, the VIP 10.0.0.8:80 does not" in event.text
    tell("from the loss of the VIP to the event", s=at(event) - since)


@pytest.mark.parametrize("network", [4], indirect=True)
def test_a_killed_server_is_no_trouble_of_the_vip(director: Director, web1: Web) -> None:
    director.start()
    director.wait_for_verdicts(rs1="up", rs2="down", rs3="down", rs4="down")
    since = wall()
    web1.kill()
    director.wait_for_weights(rs1=None)
    wait_until(lambda: bool(director.events("health", since)), 5, "the event is told")
    (event,) = director.events("health", since)
    assert "http via 10.0.0.8:80 L4CON connection refused" in event.text
    assert "answers, the VIP" not in event.text
    web1.start()
    director.wait_for_weights(rs1=1)
