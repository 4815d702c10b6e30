"""The canary on real servers: how soon a death is in the kernel, and that nothing else is one.

An http check each second, fall 2, rise 2, unless a test says otherwise; the canary is on as it is
without a word in the config.
"""

from __future__ import annotations

import signal
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.director import tell, wall
from tests.support.director_config import Service, Setup
from tests.support.pace import slowness
from tests.support.processes import wait_until
from tests.support.topology import VIP
from tests.support.topology_load import failures, start_load

if TYPE_CHECKING:
    from tests.support.director_seed import Seed
    from tests.support.pace import Stillness
    from tests.support.processes import Process
    from tests.support.topology import Host

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

KILLS = 20
OUT_S = 0.1
"""From the kill to the kernel's table, at p99 where the guest is not slow (``pace.slowness``)."""
FAILED = 20
"""Requests that may fail at each kill, at 200 a second."""
CLOSINGS = 20
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


def canaries(host: Host) -> int:
    """Idle connections from director1 to port 80 of a host, in the host's own table."""
    with host.entered():
        lines = Path("/proc/thread-self/net/tcp").read_text().splitlines()[1:]
    established = (fields for line in lines if (fields := line.split())[3] == "01")
    return sum(f[1].endswith(":0050") and f[2].startswith("2900000A:") for f in established)


def wait_for_canary(host: Host) -> None:
    """Wait until a connection stands that is no probe's."""

    def stands() -> bool:
        if not canaries(host):
            return False
        time.sleep(0.05)
        return canaries(host) > 0

    wait_until(stands, 5, f"a canary on {host.name}")


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


def test_a_killed_server_is_out_of_the_kernel_within_100_ms(seed: Seed, still: Stillness) -> None:
    director, slow = seed.director, slowness()
    load = start_load(seed.client, f"{VIP}:80", per_second=200)
    took: list[float] = []
    kills: list[tuple[float, float]] = []
    killed: list[float] = []
    since = wall()
    for number in range(KILLS):
        wait_for_canary(seed.network.rs1)
        time.sleep(0.3 + 0.047 * number)  # at every phase of the check
        began = time.monotonic()
        killed.append(time.time())
        seed.webs[0].kill()
        while director.weights().get("rs1") is not None:
            assert time.monotonic() - began < 3, director.text()
            time.sleep(0.002)
        took.append(time.monotonic() - began)
        kills.append((began, time.monotonic()))
        seed.webs[0].start()
        director.wait_for_weights(rs1=1, rs2=1)
    requests = load.stop()
    slow = max(slow, slowness())
    failed = failures(requests)
    each = [sum(a - 0.5 < r.at < b + 0.05 for r in failed) for a, b in kills]
    # What holds up the whole guest holds up an idle real-time timer as well: that time is not the
    # director's.
    own = sorted(t - still.within_s(a, b) for t, (a, b) in zip(took, kills, strict=True))
    took.sort()
    events = [e for e in director.events("health", since) if e.data["after"] == "down"]
    latencies = sorted(float(str(e.data["latency"])) for e in events if e.data["latency"])
    told = sorted(
        datetime.fromisoformat(event.time).timestamp() - at
        for event, at in zip(events, killed, strict=True)
    )
    tell(
        "killed",
        p50_s=took[len(took) // 2],
        p99_s=took[-1],
        without_stalls_p99_s=own[-1],
        slowness=slow,
        told_p50_s=told[len(told) // 2],
        told_max_s=told[-1],
        failed_p50=sorted(each)[len(each) // 2],
        failed_max=max(each),
        requests=len(requests),
        by_hint=len(latencies),
        hint_to_verdict_p50_s=latencies[len(latencies) // 2],
        hint_to_verdict_max_s=latencies[-1],
    )
    assert own[len(own) // 2] <= OUT_S
    assert own[-1] <= OUT_S * slow, own
    stills = [still.within_s(a, b) for a, b in kills]
    assert all(n <= FAILED * (slow + s / OUT_S) for n, s in zip(each, stills, strict=True)), each
    assert len(events) == KILLS
    assert [e.data["detector"] for e in events].count("canary") >= KILLS - 2
    assert "after a hint, canary: " in events[0].text


def test_a_server_that_closes_its_listener_and_keeps_its_connections_is_out_within_the_interval(
    seed: Seed, still: Stillness
) -> None:
    director = seed.director
    command = (sys.executable, "-m", "tests.support.closing_server")
    process = serve_otherwise(seed, "closing", *command)
    since, took = wall(), []
    for number in range(CLOSINGS):
        time.sleep(1.0 + 0.047 * number)  # at every phase of the check
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
    process.kill()
    director.wait_for_weights(rs1=None)


def test_reloads_and_a_short_idle_limit_are_no_failure(seed: Seed) -> None:
    folder = seed.network.artifacts / "hasty"
    folder.mkdir(exist_ok=True)
    (folder / "nginx.conf").write_text(HASTY.format(folder=folder))
    nginx = ("nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"))
    master = serve_otherwise(seed, "hasty", *nginx)
    since = wall()
    time.sleep(12)  # its idle limit is learnt, and the canary renewed before it
    assert health_changes(seed, since) == []
    wait_for_canary(seed.network.rs1)
    reloads, end = 0, time.monotonic() + 20
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


def test_a_server_that_hangs_is_out_within_interval_and_timeout(seed: Seed) -> None:
    check = '{ kind = "http", path = "/health", interval = "1s", timeout = "1s", fall = 1 }'
    seed.director.configure(Setup(services=(Service(check=check),)))
    seed.director.client.reload()
    seed.director.wait_for_verdicts(rs1="up", rs2="up")
    wait_for_canary(seed.network.rs1)
    began = time.monotonic()
    seed.webs[0].process.freeze()
    seed.director.wait_for_weights(2.3, rs1=0)
    tell("hangs", out_s=time.monotonic() - began)
    seed.webs[0].process.thaw()
    seed.director.wait_for_weights(rs1=1)


def test_a_host_that_goes_silent_is_found_long_before_the_next_probe(seed: Seed) -> None:
    keys = 'kind = "http", path = "/health", interval = "300s", timeout = "1s", arp = false'
    check = f"{{ {keys} }}"
    seed.director.configure(Setup(services=(Service(check=check),)))
    seed.director.client.reload()
    seed.director.wait_for_verdicts(rs1="up", rs2="up")
    time.sleep(2)  # the canary is there, and no probe under way
    assert canaries(seed.network.rs1) == 1
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
    # rs1 does not know yet that the connection that its cable cut is over.
    wait_for_canary(seed.network.rs2)
    check = '{ kind = "http", path = "/health", canary = false }'
    seed.director.configure(Setup(services=(Service(check=check),)))
    seed.director.client.reload()

    def gone() -> bool:
        return not canaries(seed.network.rs2)

    wait_until(gone, 5, "no connection stands between two probes")
