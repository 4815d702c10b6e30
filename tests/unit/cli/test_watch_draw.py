"""Screens of ``status --watch``, as they are on terminals of two sizes, with and without colour."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from lvsguard.cli.watch_draw import draw
from lvsguard.cli.watch_screen import Screen
from lvsguard.core.fitness import Reason, Why
from lvsguard.core.peer import VipPart
from lvsguard.core.snapshot import ConflictStatus, PeerStatus, Role
from tests.support.golden import Golden
from tests.support.published import NOON, OTHER, UNFIT, VIP, Picture, realserver, service
from tests.unit.cli.test_status import absent
from tests.unit.cli.watching import DRAIN, crowded, eventful, look, watched


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def shown(screen: Screen, width: int, height: int, *, colour: bool = False) -> str:
    """What a terminal gets: exactly so many lines, none wider."""
    lines = draw(screen, width, height, NOON)
    assert len(lines.plain.split("\n")) == height
    assert max(map(cell_len, lines.plain.split("\n"))) <= width
    if not colour:
        return "\n".join(line.rstrip() for line in lines.plain.split("\n")) + "\n"
    out = io.StringIO()
    console = Console(
        file=out,
        width=width,
        force_terminal=True,
        color_system="standard",
        highlight=False,
        _environ={},
    )
    console.print(lines)
    return out.getvalue().replace("\x1b", "\\e")


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40)])
async def test_a_busy_director(width: int, height: int, colour: bool, golden: Golden) -> None:
    screen = await watched(eventful())
    name = f"cli/watch-busy-{width}x{height}{'-colour' if colour else ''}.txt"
    golden.check(name, shown(screen, width, height, colour=colour))


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40)])
async def test_a_director_that_is_well(width: int, height: int, golden: Golden) -> None:
    screen = await watched(Picture(others=(OTHER,)))
    golden.check(f"cli/watch-seed-{width}x{height}.txt", shown(screen, width, height))


@pytest.mark.parametrize(
    ("keys", "name"), [("d,d,i,s,k", "drain"), ("?", "help"), ("/,r,s,2", "filter")]
)
async def test_what_is_asked_for_a_key(keys: str, name: str, golden: Golden) -> None:
    screen = await watched(Picture())
    for key in keys.split(","):
        screen.press(key, NOON)
    golden.check(f"cli/watch-{name}-80x24.txt", shown(screen, 80, 24))


@pytest.mark.parametrize(("key", "name"), [("d", "drain-again"), ("u", "undrain")])
async def test_whose_drain_it_is_is_said_before_enter(key: str, name: str, golden: Golden) -> None:
    screen = await watched(eventful())
    for pressed in ("/", *"10.0.0.44", "enter", key):
        screen.press(pressed, NOON)
    golden.check(f"cli/watch-{name}-80x24.txt", shown(screen, 80, 24))


@pytest.mark.parametrize("width", [40, 80])
async def test_a_long_reason_does_not_hide_the_keys(width: int) -> None:
    picture = eventful()
    long = replace(DRAIN, reason="word " * 100)
    picture.kept[long.key] = long
    screen = await watched(picture)
    for pressed in ("/", *"10.0.0.44", "enter", "u"):
        screen.press(pressed, NOON)
    assert "escape: no" in " ".join(draw(screen, width, 24, NOON).plain.split())


async def test_a_daemon_that_is_gone_is_said_over_what_was_known(golden: Golden) -> None:
    screen = await watched(Picture())
    screen.lose(["no lvsguard listens on /run/lvsguard/lvsguard.sock: start it"], NOON - 3)
    golden.check("cli/watch-lost-80x24.txt", shown(screen, 80, 24))
    screen.take(await look(Picture(), NOON))
    assert "● 1 down" in shown(screen, 80, 24)


async def test_a_service_that_the_kernel_lacks_does_not_serve() -> None:
    screen = await watched(absent())
    text = shown(screen, 80, 24)
    assert "web  tcp 10.0.0.8:80  rr/dr  live weight 2, needs 1: NOT IN THE KERNEL" in text
    assert "1 service, 1 NOT IN THE KERNEL; 2 realservers: 2 up" in text
    assert "serves" not in text
    assert "\\e[1;31mlive weight 2" in shown(screen, 80, 24, colour=True)


async def test_before_the_first_answer_it_says_what_it_waits_for() -> None:
    assert "asking the daemon" in shown(Screen(), 80, 24)


async def test_the_chosen_one_is_always_in_sight() -> None:
    screen = await watched(crowded())
    for _ in range(60):
        text = shown(screen, 80, 24)
        assert screen.row is not None
        assert f"> {screen.row.endpoint}" in text.replace(">  ", "> ")
        screen.press("down", NOON)
    assert "10.0.1.60:80" in text


async def test_lines_that_do_not_fit_are_counted() -> None:
    assert "more lines below" in shown(await watched(crowded()), 80, 24)


@pytest.mark.parametrize(("width", "height"), [(40, 8), (40, 24), (80, 8), (300, 100)])
async def test_it_fits_every_terminal(width: int, height: int) -> None:
    for picture in (Picture(), eventful(), crowded(), Picture([])):
        shown(await watched(picture), width, height)


async def test_what_servers_answer_cannot_draw_on_the_terminal() -> None:
    rude = "L7STS \x1b]0;owned\x07\x1b[2J [red]503[/red]\u202e"
    screen = await watched(Picture([service(realserver(reason=rude))]))
    text = shown(screen, 120, 24)
    assert r"\x1b]0;owned\x07" in text
    assert "[red]503[/red]" in text
    assert not set(text) & {"\x1b", "\x07", "\u202e"}


async def test_wide_characters_do_not_shift_the_columns() -> None:
    screen = await watched(Picture([service(realserver(name="服务器一", reason="L7OK 好"))]))
    assert "服务器一 10.0.0.42:80" in shown(screen, 120, 24)


async def test_another_director_that_is_not_heard_is_said() -> None:
    silent = replace(OTHER, heard=False, problem="no route to host", vips=())
    text = shown(await watched(Picture(others=(silent,))), 120, 24)
    assert "● director2 not heard" in text
    assert "NOT HEARD for 1h00m: no route to host" in text


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"role": Role.FAULT, "problem": "interface eth0 is down"}, "● VIP web in fault"),
        ({"problem": "the VRRP process has not reported"}, "● VIP web takes no part"),
        (
            {"conflicts": (ConflictStatus(VIP.address, "aa:bb", None, NOON),)},
            "● VIP web claimed by",
        ),
    ],
    ids=["fault", "problem", "conflict"],
)
async def test_with_a_vip_that_is_ill_not_all_is_well(changes: dict[str, Any], says: str) -> None:
    (web,) = Picture().groups
    text = shown(await watched(Picture(groups=(replace(web, **changes),))), 120, 24)
    assert says in text
    assert "all is well" not in text


LEADS = (VipPart("web", "master", True),)
AWRY = Reason(Why.CLOCK, "its clock is 75 s ahead: set both"), Reason(Why.SYNC, "no sync: mend it")
THREE = tuple(VipPart(name, "backup", True) for name in ("web", "internal", "mail"))


@pytest.mark.parametrize(
    ("other", "name"),
    [
        (replace(OTHER, unfit=AWRY, vips=THREE), "unfit"),
        (replace(OTHER, same_config=False, config="fedcba987654", vips=THREE), "config"),
        (UNFIT, "sick"),
    ],
    ids=["unfit", "config", "sick"],
)
async def test_the_verdict_on_another_director_comes_first(
    other: PeerStatus, name: str, golden: Golden
) -> None:
    text = shown(await watched(Picture(others=(other,))), 80, 24)
    golden.check(f"cli/watch-peer-{name}-80x24.txt", text)


@pytest.mark.parametrize(
    ("other", "says", "style"),
    [
        (OTHER, "fit, backup of web, heard for 1h00m", "green"),
        (replace(OTHER, unfit=AWRY), "NOT FIT: clock, sync, backup of web,", "bold red"),
        (replace(OTHER, same_overrides=False), "fit, OTHER OVERRIDES, backup of web,", "yellow"),
        (replace(OTHER, vips=LEADS), "well, master of web,", "green"),
        (replace(OTHER, vips=LEADS, unfit=AWRY), "NOT WELL: clock, sync, master of", "bold red"),
        (replace(OTHER, vips=()), "well, no VIP, heard for 1h00m", "green"),
    ],
    ids=["fit", "unfit", "overrides", "leads", "ill", "bare"],
)
async def test_what_is_said_of_another_director(other: PeerStatus, says: str, style: str) -> None:
    text = draw(await watched(Picture(others=(other,))), 80, 24, NOON)
    start = text.plain.index("PEER director2  ") + len("PEER director2  ")
    assert text.plain[start:].startswith(says)
    styles = {str(one.style) for one in text.spans if one.start == start}
    assert styles == {style}


async def test_a_restart_is_said_and_begins_the_rates_anew() -> None:
    screen = await watched(Picture())
    screen.lose(["gone"], NOON)
    anew = replace(Picture(), started=NOON)
    screen.take(await look(anew, NOON))
    text = shown(screen, 80, 24)
    assert "connected again: the daemon was restarted" in text
    assert "not connected" not in text
    assert screen.row is not None
    assert screen.rates.of(screen.row.place) is None


@pytest.mark.parametrize("width", [40, 80])
async def test_the_end_of_what_is_typed_is_in_sight(width: int) -> None:
    screen = await watched(Picture())
    for key in ("d", *f"{'a long story ' * 8}and its end"):
        screen.press(key, NOON)
    asked, typed = shown(screen, width, 24).splitlines()[-2:]
    assert asked.startswith("drain 10.0.0.42:80 of web; why?")
    assert typed.endswith("and its end_")


@pytest.mark.parametrize("width", [40, 80])
async def test_an_answer_is_shown_whole_on_more_lines_than_one(width: int) -> None:
    said = "refused: you are not in the group lvsguard: usermod -aG lvsguard YOU, and log in anew"
    screen = await watched(Picture())
    screen.say(said, NOON)
    lines = shown(screen, width, 24).splitlines()
    assert any(" ".join(lines[-n:]) == said for n in (2, 3))


@pytest.mark.parametrize("width", [40, 80])
async def test_why_the_daemon_cannot_be_asked_is_shown_whole(width: int) -> None:
    why = (
        "no lvsguard listens on /run/lvsguard.sock: start it (systemctl start lvsguard), or name it"
    )
    screen = Screen()
    screen.lose([why], NOON)
    lines = [line.strip() for line in shown(screen, width, 24).splitlines()]
    assert why in " ".join(lines)
    assert "what is below" not in " ".join(lines)  # nothing is
    screen = await watched(Picture())
    screen.lose([why], NOON)
    assert why in " ".join(" ".join(shown(screen, width, 24).split()).split("\n"))


async def test_a_low_window_has_realservers_rather_than_events() -> None:
    lines = shown(await watched(crowded()), 80, 10).splitlines()
    assert sum("10.0.1." in line for line in lines) >= 3
    assert not lines[-2].startswith("-- events")


async def test_a_daemon_that_does_not_answer_is_said_before_it_is_given_up() -> None:
    screen = await watched(Picture())
    screen.asked_at = NOON - 2
    assert "no answer" not in shown(screen, 80, 24)
    screen.asked_at = NOON - 7
    text = shown(screen, 80, 24)
    assert text.startswith("no answer for 7s: what is below was so then\n")
    assert "● not connected" in text
    assert "all is well" not in text
    screen.lose(["gone"], NOON)
    assert "no answer" not in shown(screen, 80, 24)


async def test_what_was_connected_again_is_not_so_once_it_is_lost_again() -> None:
    screen = await watched(Picture())
    screen.lose(["gone"], NOON)
    screen.take(await look(Picture(), NOON))
    assert "connected again" in shown(screen, 80, 24)
    screen.lose(["gone"], NOON)
    assert "connected again" not in shown(screen, 80, 24)
