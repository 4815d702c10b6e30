"""Keys of ``status --watch``: what they choose, and what they ask of the daemon."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from lvsguard.cli.watch_draw import draw
from lvsguard.cli.watch_keys import Keys, unfinished
from lvsguard.cli.watch_rates import Rates
from lvsguard.cli.watch_screen import Drain, Mode, Quit, Screen, Undrain, Why, Wish, where
from lvsguard.core.model import Counters
from lvsguard.core.override import Target
from tests.support.published import NOON, Picture, realserver, service
from tests.unit.cli.watching import DRAIN, crowded, eventful, look, moved, watched


def pressed(screen: Screen, *keys: str) -> Wish | None:
    """Press keys; what the last one asks for."""
    wish = None
    for key in keys:
        wish = screen.press(key, NOON)
    return wish


async def test_arrows_choose_and_stop_at_the_ends() -> None:
    screen = await watched(crowded(12))
    assert screen.chosen == ("web", "10.0.1.1", 80)
    pressed(screen, "up")
    assert screen.chosen == ("web", "10.0.1.1", 80)
    pressed(screen, "down", "j", "k")
    assert screen.chosen == ("web", "10.0.1.2", 80)
    pressed(screen, "page-down", "down", "down")
    assert screen.chosen == ("web", "10.0.1.12", 80)
    pressed(screen, "home")
    assert screen.chosen == ("web", "10.0.1.1", 80)


async def test_a_drain_is_asked_with_its_reason_and_only_after_enter() -> None:
    screen = await watched(Picture())
    assert pressed(screen, "d", *"disk?", "backspace") is None
    assert screen.mode is Mode.DRAIN
    wish = pressed(screen, "enter")
    assert isinstance(wish, Drain)
    assert (wish.row.endpoint, wish.row.service.name, wish.reason) == (
        "10.0.0.42:80",
        "web",
        "disk",
    )
    assert pressed(screen, "d", "x", "escape", "enter") == Why(wish.row)  # nothing is being typed


async def test_a_drain_that_holds_is_ended_as_it_was_set() -> None:
    screen = await watched(eventful())
    while screen.row is not None and screen.row.realserver.address != "10.0.0.44":
        pressed(screen, "down")
    wish = pressed(screen, "u", "enter")
    assert isinstance(wish, Undrain)
    assert [(where(one), one.service) for one in wish.drains] == [("10.0.0.44", None)]


async def test_the_one_that_was_chosen_is_drained_though_it_left_what_is_shown() -> None:
    screen = await watched(crowded(3))
    pressed(screen, "/", *"10.0.1.3", "enter", "d")
    pressed(screen, *"disk")
    (web,) = crowded(3).shown
    # It does not answer to the filter any more: it is another realserver's turn to be chosen.
    screen.filter = "10.0.1.1"
    screen.take(await look(Picture([web]), NOON + 1))
    assert screen.chosen == ("web", "10.0.1.1", 80)
    assert "drain 10.0.1.3:80 of web; why? disk_" in draw(screen, 80, 24, NOON + 1).plain
    wish = pressed(screen, "enter")
    assert isinstance(wish, Drain)
    assert (wish.row.endpoint, wish.reason) == ("10.0.1.3:80", "disk")


async def test_the_drains_that_were_shown_are_ended_and_no_others() -> None:
    picture = eventful()
    screen = await watched(picture)
    while screen.row is not None and screen.row.realserver.address != "10.0.0.44":
        pressed(screen, "down")
    pressed(screen, "t", "u")
    other = replace(DRAIN, target=Target(ip_address("10.0.0.42")))
    picture.kept = {other.key: other}
    screen.take(await look(picture, NOON + 1))
    assert "10.0.0.44 by alice" in draw(screen, 80, 24, NOON + 1).plain
    wish = pressed(screen, "enter")
    assert isinstance(wish, Undrain)
    assert [where(one) for one in wish.drains] == ["10.0.0.44"]


async def test_one_that_left_the_configuration_meanwhile_is_not_drained() -> None:
    screen = await watched(crowded(3))
    pressed(screen, "down", "down", "d")
    screen.take(await look(crowded(2), NOON + 1))
    assert pressed(screen, "enter") is None
    assert screen.message.startswith("10.0.1.3:80 of web is not in the configuration any more")
    assert screen.mode is Mode.TABLE


async def test_what_is_not_drained_cannot_be_undrained() -> None:
    screen = await watched(Picture())
    assert pressed(screen, "u") is None
    assert screen.message == "10.0.0.42:80 is not drained"


async def test_why_is_asked_about_the_chosen_one() -> None:
    screen = await watched(Picture())
    wish = pressed(screen, "down", "w")
    assert isinstance(wish, Why)
    assert wish.row.endpoint == "10.0.0.43:80"
    screen.tell(lambda _: [f"line {n}" for n in range(50)], NOON)
    draw(screen, 80, 24, NOON)
    pressed(screen, "down", "page-down")
    assert (screen.mode, screen.scroll) == (Mode.WHY, 11)
    pressed(screen, "x")
    assert screen.mode is Mode.TABLE


@pytest.mark.parametrize("width", [40, 80])
async def test_a_long_answer_is_scrolled_to_its_last_line_and_no_further(width: int) -> None:
    screen = await watched(Picture())
    screen.tell(
        lambda _: [f"line {n} {'word ' * 20}".strip() for n in range(30)] + ["the end"], NOON
    )
    for _ in range(300):
        draw(screen, width, 24, NOON)
        pressed(screen, "down")
    *shown, footer = draw(screen, width, 24, NOON).plain.split("\n")
    assert shown[-1] == "the end"
    assert footer.startswith("up, down")
    pressed(screen, "up")
    assert draw(screen, width, 24, NOON).plain.split("\n")[1:] != [*shown, footer][1:]


async def test_an_answer_is_told_as_wide_as_the_window_is_now() -> None:
    screen = await watched(Picture())
    screen.tell(lambda width: [f"{width} columns".rjust(width)], NOON)
    for width in (80, 40):
        first, *_ = draw(screen, width, 24, NOON).plain.split("\n")
        assert first == f"{width} columns".rjust(width)


async def test_a_filter_narrows_while_it_is_typed_and_moves_the_choice() -> None:
    screen = await watched(Picture())
    pressed(screen, "/", *"rs2")
    assert [row.title for row in screen.rows()] == ["rs2 10.0.0.43:80"]
    assert screen.chosen == ("web", "10.0.0.43", 80)
    pressed(screen, "enter")
    assert (screen.mode, screen.filter) == (Mode.TABLE, "rs2")
    pressed(screen, "escape")
    assert len(screen.rows()) == 2


async def test_only_what_needs_a_look() -> None:
    screen = await watched(Picture())
    pressed(screen, "t")
    assert [row.realserver.name for row in screen.rows()] == ["rs2"]


async def test_keys_without_anything_to_choose_do_no_harm() -> None:
    for screen in (Screen(), await watched(Picture([]))):
        for key in ("up", "down", "d", "u", "w", "enter", "t", "escape", "end"):
            assert pressed(screen, key) is None
        assert isinstance(pressed(screen, "q"), Quit)


async def test_what_is_typed_is_bounded_and_printable() -> None:
    screen = await watched(Picture())
    pressed(screen, "d", *("a" * 500), "\x07", "up")
    assert screen.line == "a" * 200
    pressed(screen, "erase")
    assert screen.line == ""


def test_bytes_of_a_terminal_are_keys() -> None:
    keys = Keys()
    assert list(keys.split(b"\x1b[A\x1bOB\x1b[6~q\r\x7f\x1b")) == [
        "up",
        "down",
        "page-down",
        "q",
        "enter",
        "backspace",
        "escape",
    ]
    assert list(keys.split(b"\x1b[1;5C\x1b[200~")) == []  # known to nobody, and no letters
    assert list(keys.split("ä".encode()[:1])) == []
    assert list(keys.split("ä".encode()[1:])) == ["ä"]
    assert list(keys.split(b"\xff")) == ["\ufffd"]


@pytest.mark.parametrize("typed", [b"\x1b", b"d\x1b[", b"\x1b[1;", b"\x1bO"])
def test_the_rest_of_a_key_is_waited_for(typed: bytes) -> None:
    assert unfinished(typed)


@pytest.mark.parametrize("typed", [b"", b"d", b"\x1b[B", b"\x1bOB", b"\x1b[6~", b"\x1bx"])
def test_a_whole_key_is_not_waited_for(typed: bytes) -> None:
    assert not unfinished(typed)


async def test_rates_are_means_of_a_few_seconds() -> None:
    rates = Rates()
    place = ("web", "10.0.0.42", 80)
    for second in range(20):
        picture = moved(Picture(), second, 10.0)
        rates.take(float(second), (await look(picture)).status)
    assert rates.of(place) == 10.0
    assert rates.of(("web", "10.0.0.99", 80)) is None
    rates.take(21.0, (await look(Picture())).status)
    assert rates.of(place) == 0.0  # the entry was made anew
    rates.forget()
    assert rates.of(place) is None


async def test_a_look_without_the_entry_does_not_count_what_it_had_before_anew() -> None:
    """The kernel keeps the totals of a realserver that refused for a while."""
    rates = Rates()
    place = ("web", "10.0.0.42", 80)
    for at, total, weight in ((0.0, 1000, 1), (1.0, 0, None), (2.0, 1020, 1)):
        one = realserver(weight=weight, counters=Counters(connections=total))
        rates.take(at, (await look(Picture([service(one)]))).status)
        if weight is None:
            assert rates.of(place) is None
    assert rates.of(place) == 10.0


async def test_an_answer_that_comes_late_does_not_take_the_keys_of_what_is_typed() -> None:
    screen = await watched(Picture())
    pressed(screen, "w", "d", "d")
    screen.tell(lambda _: ["because"], NOON)
    assert (screen.mode, screen.line) == (Mode.DRAIN, "d")
    wish = pressed(screen, "u", "enter")
    assert isinstance(wish, Drain)
    assert wish.reason == "du"
    assert screen.message == "the answer to why has come meanwhile: press w again"
