"""The scenes, in order. Each does one thing to the network, shows it, and measures it.

A scene ends the demo (`Broken`, or AssertionError of what waits) when something does not hold.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Final

from lvsguard.admin.client import Refused, Unreachable
from tests.lab.demo.play import seconds
from tests.lab.demo.stage import now
from tests.support.director import wall
from tests.support.director_observers import tap_netlink
from tests.support.topology import VIP

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lab.demo.play import Play

DRAIN = "lvsguard drain rs1 --reason 'kernel update'"
DELETIONS = 3


def realservers(play: Play) -> None:
    """lvsguard sets up the realserver side."""
    play.show.heading(
        "1  Realservers",
        "nginx runs on both. lvsguard gives them the VIP and keeps them quiet about it.",
    )
    for host in play.stage.network.realservers:
        play.run(host, "lvsguard", "realserver", "up")


def director(play: Play) -> None:
    """The director: look first, then run."""
    stage, show = play.stage, play.show
    show.heading(
        "2  The director",
        "What would the 15 lines of /etc/lvsguard/config.toml do? Then they do it.",
    )
    play.lvsguard("plan")
    show.command("director1", "lvsguard run")
    since = now()
    stage.director.start()
    stage.director.wait_for_weights(rs1=1, rs2=1)
    show.good("both realservers are probed and in the table after", f"{now() - since:.1f} s")


def round_robin(play: Play) -> None:
    """The client is answered by both in turn."""
    stage, show = play.stage, play.show
    client, director1 = stage.network.client, stage.network.director1
    show.heading(
        "3  Round robin", f"A client asks http://{VIP}/ four times, then 50 times a second."
    )
    names = [client.get(VIP)[1] for _ in range(4)]
    show.command("client", f"for i in 1 2 3 4; do curl {VIP}; done", " ".join(names))
    play.holds(sorted(names) == ["rs1", "rs1", "rs2", "rs2"], "both answer, in turn")
    play.holds(
        client.neighbour(VIP) == director1.mac,
        f"ARP for the VIP is answered by the director alone ({director1.mac})",
    )
    stage.start_client()
    begun = now()
    play.look(3)
    play.status()
    tally = stage.tally(begun, now())
    play.holds(tally.failed == 0 and abs(tally.by["rs1"] - tally.by["rs2"]) <= 2, str(tally))


def killed(play: Play) -> None:
    """A realserver's process dies."""
    stage, show = play.stage, play.show
    show.heading(
        "4  A realserver is killed",
        "kill -9 of nginx on rs1.",
        "Look at rs1: it leaves the table. rs2 answers everybody.",
    )
    begun, wall_begun = now(), wall()
    stage.webs["rs1"].kill()
    show.command("rs1", "kill -9 $(pidof nginx)")
    stage.director.wait_for_weights(5, rs1=None)
    out = now()
    play.within("it is out of the kernel's table after", out - begun, 1.5, "realserver killed: out")
    play.event("health", wall_begun)
    play.look(2.5)
    play.status()
    failed = stage.tally(begun, out).failed
    play.note("requests that failed until then", failed, "realserver killed: failed requests")
    after = stage.tally(out)
    play.holds(after.failed == 0 and not after.by.get("rs1"), f"and since then {after}")
    stage.webs["rs1"].start()
    show.command("rs1", "nginx")
    took = stage.director.wait_for_weights(5, rs1=1)
    play.within("it is back in the table after", took, 1.5, "realserver back: in")
    play.look(1.5)


def unwell(play: Play) -> None:
    """A realserver answers 503 to its check."""
    stage, show = play.stage, play.show
    show.heading(
        "5  A realserver is unwell",
        "/health on rs2 answers 503, but it still serves.",
        "Look at rs2: it gets weight 0, so no new connections; those it has go on.",
    )
    pings = play.open_long_lived()
    begun, wall_begun = now(), wall()
    stage.webs["rs2"].set_health(well=False)
    stage.director.wait_for_weights(5, rs2=0)
    out = now()
    play.within("weight 0 after", out - begun, 1.5, "realserver answers 503: weight 0")
    play.event("health", wall_begun)
    play.look(2.5)
    play.status()
    after = stage.tally(out)
    play.holds(after.failed == 0 and not after.by.get("rs2"), f"since then {after}")
    stage.webs["rs2"].set_health(well=True)
    play.within(
        "well again; its weight is back after", stage.director.wait_for_weights(5, rs2=1), 1.5
    )
    failed = stage.tally(begun).failed
    play.count("requests that failed", failed, 0, "realserver answers 503: failed requests")
    play.close_long_lived(pings, "realserver answers 503: long-lived connections")


def drained(play: Play) -> None:
    """An operator drains a realserver."""
    stage, show = play.stage, play.show
    show.heading(
        "6  A drain",
        "rs1 is wanted for a kernel update.",
        "Look at rs1: no new connections, and the table says who wanted that and why.",
    )
    begun = now()
    play.lvsguard("drain", "rs1", "--reason", "kernel update", shown=DRAIN)
    stage.director.wait_for_weights(1, rs1=0)
    out = now()
    play.look(2.5)
    play.status()
    after = stage.tally(out)
    play.holds(after.failed == 0 and not after.by.get("rs1"), f"since then {after}")
    play.lvsguard("undrain", "rs1")
    stage.director.wait_for_weights(1, rs1=1)
    play.look(1.5)
    failed = stage.tally(begun).failed
    play.count("requests that failed", failed, 0, "drain and undrain: failed requests")


def table_cleared(play: Play) -> None:
    """Somebody clears the table."""
    stage, show = play.stage, play.show
    show.heading(
        "7  Somebody clears the table",
        "ipvsadm -C on the director. IPVS tells nobody; lvsguard reads it each second.",
        "Look at the failed requests: they end when the table is back.",
    )
    table, begun, wall_begun = sorted(stage.director.host.ipvs()), now(), wall()
    took = stage.clear_table()
    show.command("director1", "ipvsadm -C")
    play.within("the whole table is back after", took, 1.2, "ipvsadm -C: mended")
    play.event("drift", wall_begun)
    now_there = sorted(stage.director.host.ipvs())
    play.holds(now_there == table, "ipvsadm -Sn prints what it printed before")
    play.look(1.5)
    failed = stage.tally(begun).failed
    play.note("requests that failed until then", failed, "ipvsadm -C: failed requests")


def vip_deleted(play: Play) -> None:
    """Somebody deletes the VIP."""
    stage, show = play.stage, play.show
    show.heading(
        "8  Somebody deletes the VIP",
        "ip addr del on the director, three times. Of addresses the kernel does tell.",
    )
    begun, wall_begun = now(), wall()
    with show.still:
        took = stage.delete_vip(DELETIONS)
    for _ in took:
        show.command("director1", f"ip addr del {VIP}/24 dev eth0")
    text = f"the VIP is back after {', '.join(seconds(one) for one in took)}; median"
    play.within(text, median(took), 0.05, "ip addr del VIP: mended")
    play.event("drift", wall_begun, times=DELETIONS)
    play.look(1.5)
    failed = stage.tally(begun).failed
    play.note("requests that failed until then", failed, "ip addr del VIP: failed requests")


def daemon_killed(play: Play) -> None:
    """lvsguard itself dies and is started again."""
    stage, show = play.stage, play.show
    show.heading(
        "9  lvsguard is killed",
        "kill -9 of all its processes. The kernel forwards on meanwhile.",
        "Look at the answers: nothing happens to them. The next start adopts the table.",
    )
    pings = play.open_long_lived()
    tap = tap_netlink(stage.network.director1)
    begun = now()
    stage.director.kill()
    show.command("director1", "kill -9 $(pidof lvsguard)")
    play.holds(_is_silent(play), "nobody is there to answer `lvsguard status`")
    play.look(2)
    wall_begun = wall()
    stage.director.start()
    show.command("director1", "lvsguard run")
    play.event("started", wall_begun)
    stage.wait_for_verdicts()
    play.look(1)
    play.status()
    writes = tap.writes()
    play.count("writes that the kernel saw", len(writes), 0, "kill -9 and restart: kernel writes")
    failed = stage.tally(begun).failed
    play.count("requests that failed", failed, 0, "kill -9 and restart: failed requests")
    play.close_long_lived(pings, "kill -9 and restart: long-lived connections")


def _is_silent(play: Play) -> bool:
    try:
        play.stage.director.health()
    except (Unreachable, Refused):
        return True
    return False


SCENES: Final[tuple[Callable[[Play], None], ...]] = (
    realservers,
    director,
    round_robin,
    killed,
    unwell,
    drained,
    table_cleared,
    vip_deleted,
    daemon_killed,
)
