"""A real Prometheus scrapes both directors while failures are played: alerts fire, and rest again.

The rules are those of deploy/prometheus, in a hurry (`tests.support.prometheus.hurried`). With
their own times they are played by promtool (tests/unit/deploy). At the end of each play the
dashboards' queries are asked of what was scraped (`tests.support.prometheus_dashboards`). The
third play, with etcd, has a file of its own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lvsguard.credential import create
from tests.lab.test_agent import AGENT
from tests.lab.test_peer import cut
from tests.lab.test_vrrp_failover import wait_for_role
from tests.support import vrrp_director
from tests.support.director import Director, make_director, tell, wall
from tests.support.director_config import HTTP_CHECK, NO_CHECK, Service, Setup
from tests.support.processes import Process, run, wait_until
from tests.support.prometheus import EVERY_S, GUESTS_OWN, Prometheus, start_prometheus
from tests.support.prometheus_dashboards import IN_THIRD, NOT_IN_FIRST, NOT_IN_SECOND, unanswered
from tests.support.topology import VIP
from tests.support.topology_pings import start_pings
from tests.support.topology_web import Web, start_web
from tests.support.vrrp_attack import advert, attacker

if TYPE_CHECKING:
    from tests.support.topology import Host, Network

pytestmark = [pytest.mark.kernel, pytest.mark.lab, pytest.mark.timeout(1200)]

VRRP = """vrid = 51
priority = { director1 = 150, director2 = 100 }
track = [{ service = "web", interval = "200ms", rise = 2, fall = 2 }]
"""
PEER = """[peer]
addresses = {{ director1 = "10.0.0.41", director2 = "10.0.0.40" }}
credential = "{0}"
"""
TLS = """{ kind = "https", path = "/", verify = false, canary = false, interval = "3s",
timeout = "2s" }""".replace("\n", " ")
WEB = Service(more="panic_below = 0.6")
SECURE = Service(name="tls", address=f"{VIP}:443", check=TLS, realservers={"10.0.0.42": 1})
INSTANCES = ("10.0.0.41:9852", "10.0.0.40:9852")


def start_tls(host: Host, days: int, instead_of: Process | None = None) -> Process:
    """A web server whose certificate ends in so many days; the one before it is ended only when the
    certificate is made, which takes a while."""
    key, certificate = (str(host.processes.logs / f"tls.{what}") for what in ("key", "pem"))
    make = f"openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=rs1 -days {days}"
    host.run(*make.split(), "-keyout", key, "-out", certificate)
    if instead_of is not None:
        instead_of.stop()
    serve = f"openssl s_server -quiet -www -accept 443 -key {key} -cert {certificate}"
    return host.start("tls", *serve.split())


def pair(
    network: Network, vrrp: str = VRRP, *services: Service
) -> tuple[Director, Director, Setup]:
    """Both directors, director1 master, and their setup."""
    credential = network.artifacts / "peer.pem"
    credential.touch(mode=0o600)
    credential.write_bytes(create())
    setup = Setup(
        services=services or (WEB, SECURE),
        vrrp=vrrp,
        more=PEER.format(credential),
        listen="0.0.0.0:9852",
    )
    one, two = (make_director(host, setup) for host in (network.director1, network.director2))
    for director in (one, two):
        director.start()
    for director in (one, two):
        director.wait_for_verdicts(rs1="up", rs2="up")
    wait_for_role(one, "master")
    wait_for_role(two, "backup")
    return one, two, setup


def deafen(director: Director, *, undo: bool = False) -> None:
    """Let it hear no adverts, or let it hear them again."""
    rule = ("INPUT", "-p", "112", "-j", "DROP")
    director.host.run("iptables", "-t", "mangle", "-D" if undo else "-A", *rule)


def test_each_failure_has_its_alert_and_the_alert_its_end(network: Network) -> None:
    begun = time.monotonic()
    for realserver in network.realservers:
        realserver.hold_vip()
    webs = [start_web(realserver) for realserver in network.realservers]
    secure = start_tls(network.rs1, days=10)
    one, two, setup = pair(network)
    prometheus = start_prometheus(network.client, *INSTANCES)
    _certificates_end(prometheus, network.rs1, secure)
    for _ in range(6):
        assert network.client.get(VIP)[0] == 200
        time.sleep(0.5)

    _trouble_with_one(prometheus, one, two, setup, webs[0])
    _nobody_left(prometheus, one)
    _two_masters(prometheus, one, two)
    _a_director_less(prometheus, network.client, two, webs[1])
    rested = prometheus.wait_for_rest(60)
    assert unanswered(prometheus, (*NOT_IN_FIRST, *IN_THIRD)) == []
    tell("alerts", whole_s=time.monotonic() - begun, rested_s=rested)


def _certificates_end(prometheus: Prometheus, realserver: Host, ten: Process) -> None:
    """A certificate has ten days left, then another one two, then one many; nothing else fires."""
    alert = "LvsguardCertificateExpiring"

    def alone(severity: str) -> bool:
        firing = [one for one in prometheus.firing() if one["alertname"] not in GUESTS_OWN]
        return {(one["alertname"], one["severity"]) for one in firing} == {(alert, severity)}

    prometheus.wait_for(alert, severity="warning", check="https /")
    time.sleep(3)
    assert alone("warning"), prometheus.firing()
    two = start_tls(realserver, days=2, instead_of=ten)
    prometheus.wait_for(alert, severity="critical", check="https /")
    # While the servers changed places its check may have failed.
    wait_until(lambda: alone("critical"), 20, "the certificate alone fires", every_s=0.5)
    start_tls(realserver, days=60, instead_of=two)
    prometheus.wait_for_end(alert)


def _trouble_with_one(
    prometheus: Prometheus, one: Director, two: Director, setup: Setup, web: Web
) -> None:
    """A realserver dies, a config is bad, another one differs, somebody edits the table, and the
    election's process is held up: five failures at once."""
    web.kill()
    one.config.write_text("[director")
    assert one.run("reload", check=False).returncode != 0
    two.configure(replace(setup, services=(replace(WEB, scheduler="wrr"), SECURE)))
    two.run("reload")
    speaker = vrrp_director.child(one)
    os.kill(speaker, signal.SIGSTOP)
    time.sleep(1.8)  # an advert was due 0.8 s ago or longer, and the other one waits for 3.6 s
    os.kill(speaker, signal.SIGCONT)
    for _ in range(3):
        one.host.run("ipvsadm", *f"-e -t {VIP}:80 -r 10.0.0.43:80 -g -w 9".split())
        one.wait_for_passes(2)
    director1 = INSTANCES[0]
    prometheus.wait_for("LvsguardRealserverDown", realserver="10.0.0.42:80")
    prometheus.wait_for("LvsguardPanic", service="web", instance=director1)
    prometheus.wait_for("LvsguardQuorumNear", service="web", instance=director1)
    prometheus.wait_for("LvsguardReloadRefused", instance=director1)
    prometheus.wait_for("LvsguardConfigDiffers", cluster="seed")
    prometheus.wait_for("LvsguardDriftRepeated", instance=director1)
    prometheus.wait_for("LvsguardAdvertLate", instance=director1)
    for director in (one, two):
        director.configure(setup)
        director.run("reload")
    web.start()
    for director in (one, two):
        director.wait_for_verdicts(rs1="up", rs2="up")
    prometheus.wait_for_end("LvsguardRealserverDown", "LvsguardPanic", "LvsguardQuorumNear")
    prometheus.wait_for_end("LvsguardReloadRefused", "LvsguardConfigDiffers")
    prometheus.wait_for_end("LvsguardDriftRepeated", "LvsguardAdvertLate")


def _nobody_left(prometheus: Prometheus, one: Director) -> None:
    """Everything is drained: no quorum, so neither director wants to lead, and one does."""
    for realserver in ("10.0.0.42", "10.0.0.43"):
        one.run("drain", realserver, "--service", "web")
    prometheus.wait_for("LvsguardQuorumLost", service="web")
    prometheus.wait_for("LvsguardNotStandingBy", vip="web")
    prometheus.wait_for("LvsguardDrainForgotten", realserver="10.0.0.43:80")
    for realserver in ("10.0.0.42", "10.0.0.43"):
        one.run("undrain", realserver, "--service", "web")
    wait_for_role(one, "master", 20)
    prometheus.wait_for_end("LvsguardQuorumLost", "LvsguardNotStandingBy", "LvsguardDrainForgotten")


def _two_masters(prometheus: Prometheus, one: Director, two: Director) -> None:
    """The second one does not hear the first one's adverts."""
    deafen(two)
    prometheus.wait_for("LvsguardTwoMasters", vip="web")
    prometheus.wait_for("LvsguardVipConflict", vip="web")
    deafen(two, undo=True)
    wait_for_role(two, "backup")
    wait_for_role(one, "master")
    prometheus.wait_for_end("LvsguardTwoMasters", "LvsguardVipConflict")


def _a_director_less(prometheus: Prometheus, client: Host, two: Director, web: Web) -> None:
    """The second director is down, while a realserver's health goes up and down. It comes back to
    connections that it never saw."""
    two.running.stop()
    pings = start_pings(client, f"{VIP}:80", 2, every_s=0.5)
    for change in range(8):
        web.set_health(well=bool(change % 2))
        time.sleep(1.6)
    prometheus.wait_for("LvsguardDirectorDown", instance=INSTANCES[1])
    prometheus.wait_for("LvsguardPeerNotHeard", peer="director2")
    prometheus.wait_for("LvsguardRealserverFlapping", realserver="10.0.0.43:80")
    since = wall()
    two.start()
    wait_until(prometheus.scraped, 10, "both are scraped again", every_s=0.25)
    wait_until(
        lambda: bool(two.events("table-received", since)),
        20,
        "it has the connections",
        every_s=0.25,
    )
    pings.stop()
    prometheus.wait_for_end("LvsguardDirectorDown", "LvsguardPeerNotHeard")
    prometheus.wait_for_end("LvsguardRealserverFlapping")


QUICK = """vrid = 51
priority = { director1 = 150, director2 = 100 }
interval = "200ms"
"""
BY_VIP = Service(check=HTTP_CHECK.replace("}", ', via = "vip" }'), more="agent = { port = 9100 }")
PLAIN = Service(name="plain", address=f"{VIP}:81", check=HTTP_CHECK.replace("}", ", port = 80 }"))
SYNC_PORT = 8848


def start_agent(host: Host) -> Process:
    """An agent that leaves a realserver all its weight."""
    says = host.processes.logs / "agent.says"
    says.write_text("100%\n")
    return host.start("agent", "python3", "-c", AGENT, str(says))


def test_each_other_failure_has_its_alert_and_the_alert_its_end(network: Network) -> None:
    begun = time.monotonic()
    for realserver in network.realservers:
        realserver.hold_vip()
        start_web(realserver)
    start_agent(network.rs1)
    one, two, setup = pair(network, QUICK, BY_VIP, PLAIN)
    prometheus = start_prometheus(network.client, *INSTANCES)
    _without_vip(prometheus, network.rs1)
    _to_and_fro(prometheus, one, two)
    _forged(prometheus, network.rs1)
    _estranged(prometheus, two, network.rs1)
    _stalled(prometheus, one)
    _dying(prometheus, two)
    _unplugged(prometheus, two)
    _refused(prometheus, two, setup)
    _nobody_leads(prometheus, one, two, setup)
    _full(prometheus, two)
    _crippled(prometheus, two)
    rested = prometheus.wait_for_rest(60)
    assert unanswered(prometheus, (*NOT_IN_SECOND, *IN_THIRD)) == []
    tell("other alerts", whole_s=time.monotonic() - begun, rested_s=rested)


def _without_vip(prometheus: Prometheus, realserver: Host) -> None:
    """A realserver has no VIP."""
    change = f"ip address {{}} {VIP}/32 dev ipvs0"
    realserver.run(*change.format("del").split())
    prometheus.wait_for("LvsguardVipNotOnRealserver", realserver=f"{realserver.address}:80")
    realserver.run(*change.format("add").split())
    prometheus.wait_for_end("LvsguardVipNotOnRealserver")


def _to_and_fro(prometheus: Prometheus, one: Director, two: Director) -> None:
    """The second director hears the first one, and does not, four times."""
    for _ in range(4):
        deafen(two)
        wait_for_role(two, "master")
        time.sleep(1.2)  # it is scraped
        deafen(two, undo=True)
        wait_for_role(two, "backup")
        time.sleep(1.2)
    prometheus.wait_for("LvsguardFailoversRepeated", instance=INSTANCES[1], vip="web")
    wait_for_role(one, "master")
    prometheus.wait_for_end("LvsguardFailoversRepeated")


def _forged(prometheus: Prometheus, realserver: Host) -> None:
    """Somebody sends adverts with a wrong checksum, and what is no advert at all."""
    good = advert()
    with attacker(realserver) as villain:
        for _ in range(2000):  # of what is no advert one in 64 is seen, and stands for the others
            villain.send(bytes(4))
        for _ in range(5):
            villain.send(good[:-1] + bytes([good[-1] ^ 1]))
            time.sleep(1)
        prometheus.wait_for("LvsguardAdvertsRejected", vip="web", reason="checksum")
    prometheus.wait_for_end("LvsguardAdvertsRejected")


def _estranged(prometheus: Prometheus, two: Director, realserver: Host) -> None:
    """The second director does not reach a realserver."""
    cut(two, realserver.address)
    prometheus.wait_for("LvsguardDirectorsDiffer", instance=INSTANCES[0], what="health")
    prometheus.wait_for("LvsguardStandbyUnfit", instance=INSTANCES[0], peer="director2")
    cut(two, realserver.address, undo=True)
    prometheus.wait_for_end("LvsguardDirectorsDiffer", "LvsguardStandbyUnfit")


def _stalled(prometheus: Prometheus, one: Director) -> None:
    """No prober lives for long. (One that hangs is replaced before anybody has to know.)"""

    def fires() -> bool:
        for prober in one.probers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(prober, signal.SIGKILL)
        return prometheus.fires("LvsguardChecksStalled", {"instance": INSTANCES[0]})

    wait_until(fires, 40, "checks are told to be stalled", every_s=0.1)
    prometheus.wait_for_end("LvsguardChecksStalled")


def _dying(prometheus: Prometheus, two: Director) -> None:
    """The second director's VRRP process is killed four times."""
    for _ in range(4):
        killed = vrrp_director.child(two)
        os.kill(killed, signal.SIGKILL)
        wait_until(
            lambda killed=killed: vrrp_director.child(two) not in (0, killed),  # type: ignore[misc]
            10,
            "another one runs",
            every_s=0.1,
        )
    prometheus.wait_for("LvsguardVrrpProcessRestarts", instance=INSTANCES[1])
    wait_for_role(two, "backup")
    prometheus.wait_for_end("LvsguardVrrpProcessRestarts")


def _unplugged(prometheus: Prometheus, two: Director) -> None:
    """The second director's link is down for a moment, so that it is in fault."""
    two.host.run("ip", "link", "set", "eth0", "down")  # the kernel forgets the IPv6 addresses
    wait_for_role(two, "fault")
    two.host.run("ip", "link", "set", "eth0", "up")
    two.host.run("ip", "address", "replace", f"{two.host.address6}/64", "dev", "eth0", "nodad")
    wait_for_role(two, "backup", 20)
    wait_until(prometheus.scraped, 10, "both are scraped again", every_s=0.25)
    time.sleep(2 * EVERY_S)  # and the change of role is among what was scraped


def _refused(prometheus: Prometheus, two: Director, setup: Setup) -> None:
    """A reload brings a realserver that the kernel refuses: the network's broadcast address."""
    refused = Service(name="refused", address=f"{VIP}:82", check=NO_CHECK)
    refused = replace(refused, realservers={"10.0.0.255": 1})
    two.configure(replace(setup, services=(*setup.services, refused)))
    two.run("reload", check=False)
    prometheus.wait_for("LvsguardKernelNotAsWanted", instance=INSTANCES[1])
    two.configure(setup)
    two.run("reload")
    prometheus.wait_for_end("LvsguardKernelNotAsWanted")


def _full(prometheus: Prometheus, two: Director) -> None:
    """The disk of its state is full."""
    state = two.place / "state"
    two.stop()
    run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(state)])
    try:
        two.start()
        filler = state / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        two.run("drain", "10.0.0.43", check=False)
        prometheus.wait_for("LvsguardStateNotKept", instance=INSTANCES[1])
        filler.unlink()
        two.run("undrain", "10.0.0.43")
        two.stop()
    finally:
        two.kill()
        run(["umount", str(state)])
    prometheus.wait_for_end("LvsguardStateNotKept")


def _nobody_leads(prometheus: Prometheus, one: Director, two: Director, setup: Setup) -> None:
    """Both directors start anew, and wait before they take part."""
    for director in (two, one):
        director.stop()
        director.configure(replace(setup, vrrp=f'{QUICK}start_delay = "20s"\n'))
    for director in (one, two):
        director.start()
    prometheus.wait_for("LvsguardNoMaster", vip="web")
    wait_for_role(one, "master", 40)
    wait_for_role(two, "backup")
    for director in (one, two):
        director.configure(setup)
        director.run("reload")
    prometheus.wait_for_end("LvsguardNoMaster")


def _crippled(prometheus: Prometheus, two: Director) -> None:
    """It is started without the right to real-time priority, and somebody else has the port of the
    kernel's sync daemon."""
    two.host.run("ipvsadm", "--stop-daemon", "backup")
    with two.host.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", SYNC_PORT))
        two.launch(under=("setpriv", "--bounding-set=-sys_nice", "--inh-caps=-sys_nice"))
        prometheus.wait_for("LvsguardConnectionsNotInStep", instance=INSTANCES[1])
        prometheus.wait_for("LvsguardWithoutRealTime", instance=INSTANCES[1])
        vrrp_director.crash(two)  # with its VRRP process, that has no real-time priority
    two.start()
    wait_until(prometheus.scraped, 10, "both are scraped again", every_s=0.25)
    prometheus.wait_for_end("LvsguardConnectionsNotInStep", "LvsguardWithoutRealTime")
