"""The canary on real servers: how soon a death is in the kernel, and that nothing else is one.

An http check each second, fall 2, rise 2, unless a test says otherwise; the canary is on as it is
without a word in the config.
"""

from __future__ import annotations

import signal
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.support.canary_watch import canaries, connections, wait_for_canary
from tests.support.director import tell, wall
from tests.support.director_config import Service, Setup
from tests.support.false_alarms import http_check, https_check
from tests.support.pace import slowness
from tests.support.processes import wait_until
from tests.support.reloading_servers import apache, nginx
from tests.support.topology import VIP
from tests.support.topology_load import failures, start_load
from tests.support.why_transcript import after_all, check_why

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.director_seed import Seed
    from tests.support.golden import Golden
    from tests.support.processes import Process
    from tests.support.reloading_servers import Reloading
    from tests.support.stillness import Stillness

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

KILLS = 10
APACHE_KILLS = 5
TLS_KILLS = 5
OUT_S = 0.1
"""From the kill to the kernel's table, at p99 where the guest is not slow (``pace.slowness``)."""
FAILED = 20
"""Requests that may fail at each kill, at 200 a second."""
CLOSINGS = 10
CLOSED_S = 1.0
"""From the close of a listener to the kernel's table, at p99, with a check each second: its next
probe is never later. The time in which nobody in the guest ran is added, as to each bound here."""
SLACK_S = 0.05
"""For that probe and the way to the kernel."""
HASTY = """\
daemon off; user root; pid {folder}/pid; error_log stderr warn; worker_processes 2;
worker_shutdown_timeout 1s;
events {{ worker_connections 1024; }}
http {{
  access_log off; default_type text/plain; types {{ }}
  keepalive_timeout 1s; client_header_timeout 1s;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 80 backlog=4096;
    location / {{ return 200 "rs1\\n"; }}
  }}
}}
"""
"""nginx with a master, to be reloaded, that lets a connection idle for a second."""
ONE_AT_A_TIME = """\
import http.server
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.HTTPServer(("0.0.0.0", 80), Answer).serve_forever()
"""


def health_changes(seed: Seed, since: float) -> list[str]:
    """Every change of a verdict since then."""
    return [event.text for event in seed.director.events("health", since)]


def serve_otherwise(seed: Seed, name: str, *command: str) -> Process:
    """Put another server in the place of rs1's nginx, and wait until it is in."""
    director, host = seed.director, seed.network.rs1
    seed.webs[0].kill()
    director.wait_for_weights(rs1=None)
    process = host.start(name, *command)
    director.wait_for_weights(15, rs1=1)
    director.wait_for_verdicts(rs1="up", rs2="up")
    return process


@dataclass(frozen=True, slots=True)
class Kills:
    """A server that was killed again and again: each list has an entry for each time, in order."""

    took: list[float]
    """Seconds until it was out of the kernel's table."""
    still: list[float]
    """For how much of that nobody in the guest ran: an idle real-time timer was late, too."""
    slow: float
    """As ``pace.slowness``."""
    failed: list[int]
    """Requests of the client."""
    detectors: list[str]
    texts: list[str]

    @property
    def own(self) -> list[float]:
        """What is left of the seconds without those in which the guest stood still."""
        return [took - still for took, still in zip(self.took, self.still, strict=True)]


def kill_often(
    seed: Seed,
    still: Stillness,
    kills: int,
    kill: Callable[[], object],
    start: Callable[[], object],
    port: int = 80,
) -> Kills:
    """Kill rs1's server at every phase of the check while its canary stands, and start it again."""
    director, network, slow = seed.director, seed.network, slowness()
    load = start_load(seed.client, f"{VIP}:80", per_second=200)
    spans: list[tuple[float, float]] = []
    killed: list[float] = []
    since = wall()
    for number in range(kills):
        wait_for_canary(network.director1, network.rs1, port)
        time.sleep(0.3 + 0.94 / kills * number)
        began = time.monotonic()
        killed.append(time.time())
        kill()
        while director.weights().get("rs1") is not None:
            assert time.monotonic() - began < 3, director.text()
            time.sleep(0.002)
        spans.append((began, time.monotonic()))
        start()
        director.wait_for_weights(20, rs1=1)
    requests = load.stop()
    broken = failures(requests)
    events = [e for e in director.events("health", since) if e.data["after"] == "down"]
    assert len(events) == kills
    found = Kills(
        [b - a for a, b in spans],
        [still.within_s(a, b) for a, b in spans],
        max(slow, slowness()),
        [sum(a - 0.5 < r.at < b + 0.05 for r in broken) for a, b in spans],
        [str(e.data["detector"]) for e in events],
        [e.text for e in events],
    )
    latencies = sorted(float(str(e.data["latency"])) for e in events if e.data["latency"])
    told = sorted(
        datetime.fromisoformat(event.time).timestamp() - at
        for event, at in zip(events, killed, strict=True)
    )
    tell(
        "killed",
        p50_s=median(found.took),
        max_s=max(found.took),
        without_stalls_max_s=max(found.own),
        first_s=found.took[0],
        slowness=found.slow,
        told_p50_s=median(told),
        told_max_s=told[-1],
        failed_p50=median(found.failed),
        failed_max=max(found.failed),
        requests=len(requests),
        by_hint=len(latencies),
        hint_to_verdict_p50_s=median(latencies) if latencies else -1.0,
        hint_to_verdict_max_s=max(latencies, default=-1.0),
    )
    return found


def kill(server: Reloading) -> None:
    server.process.kill()


def median(numbers: list[float] | list[int]) -> float:
    return sorted(numbers)[len(numbers) // 2]


def test_a_killed_server_is_out_of_the_kernel_within_100_ms(seed: Seed, still: Stillness) -> None:
    web = seed.webs[0]
    found = kill_often(seed, still, KILLS, web.kill, web.start)
    assert median(found.own) <= OUT_S * found.slow, found.own
    assert max(found.own) <= OUT_S * found.slow, found.own
    for failed, stood in zip(found.failed, found.still, strict=True):
        assert failed <= FAILED * (found.slow + stood / OUT_S), found.failed
    assert found.detectors.count("canary") >= KILLS - 2
    assert "after a hint, canary: " in found.texts[0]


@pytest.mark.parametrize("canary", ['{ kind = "http" }', "true"], ids=["http", "unset"])
def test_a_killed_apache_that_waits_for_data_is_out_as_soon(
    seed: Seed, still: Stillness, canary: str
) -> None:
    """Its listener is as Apache has it by default (``AcceptFilter http data``). A canary that may
    choose its kind has nothing to go by before the first death."""
    seed.webs[0].kill()
    seed.director.wait_for_weights(rs1=None)
    server = apache(seed.network.rs1, seed.network.artifacts / "apache")
    service = Service(check=http_check(canary))
    seed.director.configure(Setup(services=(service,)))
    seed.director.client.reload()
    seed.director.wait_for_weights(20, rs1=1)

    def start() -> None:
        nonlocal server
        server = apache(seed.network.rs1, seed.network.artifacts / "apache")

    first = 0 if canary != "true" else 1
    found = kill_often(seed, still, APACHE_KILLS + first, lambda: kill(server), start)
    server.process.kill()
    seed.director.wait_for_weights(rs1=None)
    assert median(found.own[first:]) <= OUT_S * found.slow, found
    assert found.detectors[first:].count("canary") >= APACHE_KILLS - 1


def test_a_killed_server_that_speaks_tls_is_out_as_soon(seed: Seed, still: Stillness) -> None:
    folder = seed.network.artifacts / "tls"
    seed.webs[0].kill()
    seed.director.wait_for_weights(rs1=None)
    server = nginx(seed.network.rs1, folder)
    alone = Service(check=https_check(folder), realservers={str(seed.network.rs1.address): 1})
    seed.director.configure(Setup(services=(alone,)))
    seed.director.client.reload()
    seed.director.wait_for_weights(20, rs1=1)

    def start() -> None:
        nonlocal server
        server = nginx(seed.network.rs1, folder)

    found = kill_often(seed, still, TLS_KILLS, lambda: kill(server), start, port=443)
    server.process.kill()
    seed.director.wait_for_weights(rs1=None)
    assert median(found.own) <= OUT_S * found.slow, found
    assert found.detectors.count("canary") >= TLS_KILLS - 1


def test_a_server_that_closes_its_listener_and_keeps_its_connections_is_out_within_the_interval(
    seed: Seed, still: Stillness, golden: Golden
) -> None:
    director = seed.director
    command = (sys.executable, "-m", "tests.support.closing_server")
    process = serve_otherwise(seed, "closing", *command)
    since, took = wall(), []
    for number in range(CLOSINGS):
        time.sleep(1.0 + 0.094 * number)  # at every phase of the check
        begun = time.monotonic()
        process.signal(signal.SIGUSR1)
        while director.weights().get("rs1") is not None:
            assert time.monotonic() - begun < 3, director.text()
            time.sleep(0.002)
        took.append(time.monotonic() - begun)
        took[-1] -= still.within_s(begun, time.monotonic())
        process.signal(signal.SIGUSR2)
        director.wait_for_weights(rs1=1, rs2=1)
    downs = [e for e in director.events("health", since) if e.data["after"] == "down"]
    took.sort()
    tell("closed its listener", p50_s=took[len(took) // 2], max_s=took[-1], runs=len(took))
    assert took[-1] <= CLOSED_S + SLACK_S, took
    assert [(e.data["code"], e.data["failure"]) for e in downs] == [("L4CON", "refused")] * CLOSINGS
    since = after_all()
    process.signal(signal.SIGUSR1)
    director.wait_for_weights(3, rs1=None)
    director.wait_for_verdicts(rs1="down", rs2="up")
    check_why(golden, director, "listener-closed", "10.0.0.42", since)
    process.kill()
    director.wait_for_weights(rs1=None)


def test_reloads_and_a_short_idle_limit_are_no_failure(seed: Seed) -> None:
    folder = seed.network.artifacts / "hasty"
    folder.mkdir(exist_ok=True)
    (folder / "nginx.conf").write_text(HASTY.format(folder=folder))
    command = ("nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"))
    master = serve_otherwise(seed, "hasty", *command)
    since = wall()
    time.sleep(12)  # its idle limit is learnt, and the canary renewed before it
    assert health_changes(seed, since) == []
    wait_for_canary(seed.network.director1, seed.network.rs1)
    reloads, end = 0, time.monotonic() + 10
    while time.monotonic() < end:
        master.signal(signal.SIGHUP)
        reloads += 1
        time.sleep(0.5)
    time.sleep(2)
    assert health_changes(seed, since) == []
    tell("reloads", reloads=reloads, changes=0)
    master.kill()
    seed.director.wait_for_weights(rs1=None)


def test_a_server_that_serves_one_at_a_time_is_not_starved(seed: Seed) -> None:
    process = serve_otherwise(seed, "one", "python3", "-c", ONE_AT_A_TIME)
    since = wall()
    time.sleep(12)
    assert health_changes(seed, since) == []
    assert "one at a time" in seed.director.realserver("10.0.0.42").reason
    process.kill()
    seed.director.wait_for_weights(rs1=None)


def test_a_server_with_one_worker_never_waits_for_its_canary(seed: Seed) -> None:
    """For longer than its listener holds back a connection that says nothing: not one probe fails,
    which is what ``fall = 1`` would tell."""
    seed.webs[0].kill()
    seed.director.wait_for_weights(rs1=None)
    server = apache(seed.network.rs1, seed.network.artifacts / "one-worker", one_worker=True)
    check = http_check("true").removesuffix("}") + ", fall = 1 }"
    seed.director.configure(Setup(services=(Service(check=check),)))
    seed.director.client.reload()
    seed.director.wait_for_weights(20, rs1=1, rs2=1)
    seed.director.wait_for_verdicts(rs1="up", rs2="up")
    wait_for_canary(seed.network.director1, seed.network.rs1)
    since = wall()
    time.sleep(45)
    assert health_changes(seed, since) == []
    wait_for_canary(seed.network.director1, seed.network.rs1)
    server.process.kill()
    seed.director.wait_for_weights(rs1=None)


def test_a_server_that_hangs_is_out_within_interval_and_timeout(seed: Seed, golden: Golden) -> None:
    check = '{ kind = "http", path = "/health", interval = "1s", timeout = "1s", fall = 1 }'
    seed.director.configure(Setup(services=(Service(check=check),)))
    seed.director.client.reload()
    seed.director.wait_for_verdicts(rs1="up", rs2="up")
    wait_for_canary(seed.network.director1, seed.network.rs1)
    time.sleep(2.2)  # a probe goes well beside it, so that it is not what the next one waits for
    since, began = wall(), time.monotonic()
    seed.webs[0].process.freeze()
    seed.director.wait_for_weights(2.3, rs1=0)
    tell("hangs", out_s=time.monotonic() - began)
    seed.director.wait_for_verdicts(rs1="down", rs2="up")
    check_why(golden, seed.director, "hang", "10.0.0.42", since)
    seed.webs[0].process.thaw()
    seed.director.wait_for_weights(rs1=1)


def test_a_host_that_goes_silent_is_found_long_before_the_next_probe(seed: Seed) -> None:
    keys = 'kind = "http", path = "/health", interval = "300s", timeout = "1s", arp = false'
    check = f"{{ {keys} }}"
    seed.director.configure(Setup(services=(Service(check=check),)))
    seed.director.client.reload()
    seed.director.wait_for_verdicts(rs1="up", rs2="up")
    time.sleep(2)  # the canary is there, and no probe under way
    assert len(canaries(seed.network.director1, seed.network.rs1)) == 1
    since, began = wall(), time.monotonic()
    seed.network.unplug(seed.network.rs1)
    try:
        wait_until(lambda: bool(health_changes(seed, since)), 8, "rs1 is down", every_s=0.05)
        out_s = time.monotonic() - began
    finally:
        seed.network.plug(seed.network.rs1)
    (event,) = seed.director.events("health", since)
    assert (event.data["after"], event.data["detector"]) == ("down", "canary")
    tell("silent host, interval 300 s", out_s=out_s, hint=event.data["hint"])


def test_a_check_without_a_canary_has_none(seed: Seed) -> None:
    wait_for_canary(seed.network.director1, seed.network.rs2)
    check = '{ kind = "http", path = "/health", canary = false }'
    seed.director.configure(Setup(services=(Service(check=check),)))
    seed.director.client.reload()

    def gone() -> bool:
        return not connections(seed.network.director1, seed.network.rs2)

    wait_until(gone, 5, "no connection stands between two probes")
