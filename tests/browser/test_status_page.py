"""The status page in a real Chromium, served by a real director on the kernel in memory."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
from msgspec.structs import replace as changed
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from lvsguard.core.config import CheckKind, CheckSpec, HttpSpec
from lvsguard.core.event import Level
from lvsguard.core.health import Timing, Verdict
from lvsguard.core.model import Protocol, RealserverKey, ServiceKey, VirtualService
from lvsguard.core.override import Override, OverrideKind, Target
from lvsguard.core.snapshot import PeerStatus
from lvsguard.core.table_digest import OTHER_TABLE
from lvsguard.core.vrrp import Track, TrackKind
from lvsguard.vrrp.message import State
from tests.support import chromium, page_town
from tests.support.chromium import browser, logged, prefers, size, until
from tests.support.page_failures import FAILURES, NO_LINK
from tests.support.page_stage import (
    API,
    API_SERVERS,
    HOST,
    MAIL_SERVERS,
    SHOP,
    SHOP_SERVERS,
    Stage,
    Told,
    playing,
    shop,
)
from tests.support.published import OTHER, UNFIT
from tests.support.rig import REFUSED, Rig, config, realserver, service

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(chromium.missing()), reason=chromium.missing()),
]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with browser(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with playing(Stage(shop(tmp_path), peers=(OTHER,))) as stage:
        servers = (*SHOP_SERVERS, *API_SERVERS, *MAIL_SERVERS)
        stage.do(lambda: stage.rig.up(*servers))
        yield stage


def opened(driver: Chrome, stage: Stage, seconds: float = 15.0) -> None:
    logged(driver, "browser")
    driver.get(stage.url)
    until(
        lambda: driver.find_element(By.TAG_NAME, "body").get_attribute("data-ready") == "true",
        "all of it",
        seconds,
    )


def row(driver: Chrome, name: str) -> WebElement:
    return driver.find_element(By.XPATH, f"//table[@aria-label]//tr[th[starts-with(., '{name}')]]")


def text(driver: Chrome, id_: str) -> str:
    return driver.find_element(By.ID, id_).text


def complaints(driver: Chrome) -> list[str]:
    """What the browser's console says: refused by the policy, errors of the script."""
    return [str(entry["message"]) for entry in logged(driver, "browser")]


def test_it_shows_who_has_the_vip_who_serves_and_both_directors(
    driver: Chrome, stage: Stage
) -> None:
    opened(driver, stage)
    until(lambda: "all is well" in text(driver, "overall"), "the verdicts")
    assert text(driver, "director") == "director1"
    assert "web" in text(driver, "vips")
    assert "master" in text(driver, "vips")
    assert "director2" in text(driver, "directors")
    assert "same config, health and overrides" in text(driver, "directors")
    titles = [one.text for one in driver.find_elements(By.CSS_SELECTOR, "summary h3")]
    assert titles == ["shop", "api", "mail"]
    assert "up" in row(driver, "10.0.0.42").text
    assert "all is well" in driver.title
    assert complaints(driver) == []


def test_a_director_that_is_not_fit_is_orange_and_says_why(driver: Chrome, tmp_path: Path) -> None:
    """As ``lvsguard status`` does; and nobody then reads that all is well."""
    with playing(Stage(shop(tmp_path), peers=(OTHER,))) as stage:
        servers = (*SHOP_SERVERS, *API_SERVERS, *MAIL_SERVERS)
        stage.do(lambda: stage.rig.up(*servers))
        opened(driver, stage)
        until(lambda: "all is well" in text(driver, "overall"), "all is well")
        stage.peers = (replace(OTHER, unfit=UNFIT.unfit),)
        until(lambda: "director2 not fit" in text(driver, "overall"), "it is told")
        shown = driver.find_element(By.ID, "directors")
        (pill,) = shown.find_elements(By.CSS_SELECTOR, "tr:nth-child(2) .pill.drain")
        assert pill.text.endswith("not fit")
        for reason in UNFIT.unfit:
            assert str(reason) in shown.text
        assert "same config" not in shown.text
        stage.peers = (replace(OTHER, same_config=False, config_differs=("admin.socket",)),)
        until(lambda: "another config, of no matter here: admin.socket" in shown.text, "the key")
        assert "not fit" not in shown.text
        stage.peers = (replace(OTHER, other_table=True),)
        until(lambda: OTHER_TABLE in shown.text, "the table")
        (note,) = shown.find_elements(By.CSS_SELECTOR, ".remarks .warn")
        assert note.text == OTHER_TABLE
        assert "same config" not in shown.text
        assert "all is well" in text(driver, "overall"), "it makes nobody unfit"
        stage.peers = (OTHER,)
        until(lambda: "same config, health and overrides" in shown.text, "it is the same again")
        stage.meeting = False
        until(lambda: "etcd, where directors meet, cannot be asked" in shown.text, "etcd is gone")
        stage.meeting = True
        until(lambda: "They meet at etcd, which answers." in shown.text, "it is back")


Town = tuple[Stage, Path]
"""A director of two VIP groups with an election, and the file that makes it stand back from one."""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("town")
    switch = folder / "away"
    track = Track(TrackKind.FILE, str(switch), interval=0.1, rise=1, fall=1)
    with playing(page_town.stage(page_town.director(track=(track,)), folder)) as stage:
        page_town.begin(stage)
        yield stage, switch


@pytest.mark.parametrize(
    ("state", "theirs", "says", "pill"),
    [
        (page_town.state("web", "master"), "backup", "all is well", "up"),
        (page_town.state("web", "backup"), "master", "all is well", "up"),
        (page_town.state("web", "fault", 5, NO_LINK), "backup", "no master: web", "down"),
        (
            changed(page_town.state("web", "backup"), master=""),
            "backup",
            "no master: web",
            "down",
        ),
        (page_town.state("web", "fault", 5, NO_LINK), "master", "fault: web", "down"),
        (page_town.state("web", "init", 5), "master", "init: web", "down"),
        (None, "master", "init: web", "down"),
        (page_town.state("web", "master"), "master", "two masters: web", "down"),
    ],
)
def test_the_headline_knows_how_the_vips_do(
    driver: Chrome, town: Town, state: State | None, theirs: str, says: str, pill: str
) -> None:
    """Also while nothing else is wrong: no trouble, no quorum lost, nothing of the other."""
    stage, _ = town
    stage.peers = (leading_web(theirs),)
    stage.states = {"internal": page_town.state("internal", "backup")}
    if state is not None:
        stage.states["web"] = state
    opened(driver, stage)
    until(lambda: says in text(driver, "overall"), says)
    own = driver.find_element(By.CSS_SELECTOR, "#directors tbody tr:first-child td .pill")
    for shown in (own, driver.find_element(By.ID, "overall")):
        assert shown.get_attribute("class") == f"pill {pill}"
    assert own.text.endswith("well" if pill == "up" else says.partition(":")[0])


def test_the_headline_knows_who_stands_back(driver: Chrome, town: Town) -> None:
    stage, switch = town
    stage.peers = (leading_web("master"),)
    stage.states = {vip: page_town.state(vip, "backup") for vip in ("web", "internal")}
    switch.touch()
    try:
        opened(driver, stage)
        until(lambda: "stands back: web" in text(driver, "overall"), "it stands back")
    finally:
        switch.unlink()
    until(lambda: "all is well" in text(driver, "overall"), "it is back")


def leading_web(role: str) -> PeerStatus:
    """The other director, with this part in VIP group web."""
    heard = page_town.other()
    return replace(heard, vips=(replace(heard.vips[0], role=role), heard.vips[1]))


def test_two_masters_with_the_channel_up_are_the_headline(driver: Chrome, tmp_path: Path) -> None:
    failure = FAILURES["two-masters"]
    made = page_town.stage(failure.config, tmp_path)
    made.peers = (failure.peer(),)
    with playing(made) as stage:
        page_town.begin(stage)
        failure.play(stage)
        opened(driver, stage)
        until(lambda: "two masters: web" in text(driver, "overall"), "two masters")


def test_a_service_that_the_kernel_lacks_serves_nobody(driver: Chrome, tmp_path: Path) -> None:
    failure = FAILURES["kernel-not-as-wanted"]
    with playing(page_town.stage(failure.config, tmp_path)) as stage:
        page_town.begin(stage)
        opened(driver, stage)
        until(lambda: failure.says in text(driver, "troubles"), failure.says)
        titles = {
            one.find_element(By.TAG_NAME, "h3").text: one.find_element(By.CSS_SELECTOR, ".pill")
            for one in driver.find_elements(By.CSS_SELECTOR, "summary")
        }
        assert titles["api"].text.endswith("not in the kernel")
        assert titles["api"].get_attribute("class") == "pill down"
        assert titles["web"].text.endswith("live weight 4, needs 2")
        assert text(driver, "overall").endswith("trouble")


def test_services_of_others_are_listed(driver: Chrome, stage: Stage) -> None:
    opened(driver, stage)
    assert not driver.find_element(By.ID, "foreign").is_displayed()
    stage.do(lambda: stage.rig.ipvs.table.update({FOREIGN: VirtualService("wlc")}))
    stage.do(stage.rig.controller.look)
    until(lambda: "udp 10.0.0.9:53 wlc, 0 realservers" in text(driver, "foreign"), "it is listed")


def test_a_state_appears_within_a_second_of_the_kernel(driver: Chrome, stage: Stage) -> None:
    opened(driver, stage)
    until(lambda: "up" in row(driver, "10.0.0.43").text, "it is up")
    victim = SHOP_SERVERS[1]
    stage.do(lambda: stage.rig.verdict(victim, Verdict.DOWN, REFUSED))
    gone = stage.rig.ipvs.until(lambda: victim not in stage.rig.ipvs.table[SHOP].realservers)
    stage.wait(gone)
    took = until(lambda: "connection refused" in row(driver, "10.0.0.43").text, "it is down")
    assert took < 1.0
    assert "down" in row(driver, "10.0.0.43").text
    said = driver.find_element(By.ID, "said")
    assert said.get_attribute("aria-live") == "polite"
    until(
        lambda: "shop: 10.0.0.43 is down, was up" in (said.get_attribute("textContent") or ""),
        "said",
    )


def test_a_drain_shows_who_why_and_the_time_that_is_left(driver: Chrome, stage: Stage) -> None:
    opened(driver, stage)
    assert not driver.find_element(By.ID, "held").is_displayed()
    drain = Override(
        Target(ip_address("10.0.0.44")),
        OverrideKind.DRAIN,
        "alice (uid 1000)",
        time.time(),
        "kernel update",
        expires=time.time() + 7200,
    )
    stage.do(lambda: stage.rig.controller.override(drain))
    until(lambda: "kernel update" in row(driver, "10.0.0.44").text, "the drain")
    assert "drain" in row(driver, "10.0.0.44").text
    assert "1h59m" in text(driver, "overrides")
    assert "alice (uid 1000)" in text(driver, "overrides")


def test_events_of_another_day_have_their_date(driver: Chrome, stage: Stage) -> None:
    now = time.time()
    before = datetime.fromtimestamp(now - 2 * 86400, UTC).astimezone()  # as the browser has it
    stage.do(lambda: stage.board.recall([(before.timestamp(), "started", Level.INFO, "long ago")]))
    stage.do(lambda: stage.board.event(now, "started", Level.INFO, "just now"))
    opened(driver, stage)

    def at(what: str) -> str:
        rows = driver.find_elements(By.CSS_SELECTOR, "#events tbody tr")
        return next((row.text for row in rows if what in row.text), "")

    until(lambda: "long ago" in at("long ago"), "what was recalled")
    assert at("long ago").startswith(f"{before:%b} {before.day} {before:%H:%M:%S} ")
    assert re.match(r"\d\d:\d\d:\d\d ", at("just now"))


def test_connections_rates_and_their_line_move(driver: Chrome, stage: Stage) -> None:
    opened(driver, stage)
    for number in range(4):
        stage.traffic([(API, API_SERVERS[0], 40 + number, 123, 45)])
        time.sleep(1.0)

    def cells() -> list[str]:
        return [cell.text for cell in row(driver, "10.0.0.50").find_elements(By.TAG_NAME, "td")]

    until(lambda: "123" in cells() and "45" in cells(), "the connections")
    line = row(driver, "10.0.0.50").find_element(By.CSS_SELECTOR, ".spark.rate path:last-child")
    until(lambda: "L" in (line.get_attribute("d") or ""), "a sparkline")


def test_it_is_worked_by_keys(driver: Chrome, stage: Stage) -> None:
    opened(driver, stage)
    stage.do(lambda: stage.rig.verdict(API_SERVERS[1], Verdict.DOWN, REFUSED))
    until(lambda: "1 down" in text(driver, "overall"), "the verdict")
    page = driver.find_element(By.TAG_NAME, "body")
    page.send_keys("/")
    assert driver.switch_to.active_element.get_attribute("id") == "filter"
    driver.switch_to.active_element.send_keys("api refused")
    until(lambda: "1 realserver of 9" in text(driver, "found"), "the filter")
    assert not driver.find_elements(By.CSS_SELECTOR, "details")[0].is_displayed()
    driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    until(lambda: text(driver, "found") == "", "no filter")
    driver.switch_to.active_element.send_keys("t")
    until(lambda: "1 realserver of 9" in text(driver, "found"), "what needs a look")
    assert driver.switch_to.active_element.get_attribute("id") == "only"
    driver.switch_to.active_element.send_keys("t")
    until(lambda: text(driver, "found") == "", "all of it")
    page.send_keys(Keys.ESCAPE)
    summary = driver.find_element(By.CSS_SELECTOR, "summary")
    summary.send_keys(Keys.ENTER)
    until(lambda: not row(driver, "10.0.0.42").is_displayed(), "the service is closed")
    summary.send_keys(Keys.ENTER)


def test_a_letter_is_a_shortcut_among_the_services_alone(driver: Chrome, stage: Stage) -> None:
    """WCAG 2.1.4: who dictates, or whose screen reader has the letter, hits it unawares."""
    opened(driver, stage)
    only = driver.find_element(By.ID, "only")
    events = driver.find_element(By.ID, "events")
    for place in (driver.find_element(By.TAG_NAME, "body"), events):
        place.send_keys("t")
        assert not only.is_selected()
    driver.find_element(By.CSS_SELECTOR, "summary").send_keys("t")
    assert only.is_selected()
    only.send_keys(Keys.ESCAPE)
    assert not only.is_selected()


def test_who_listens_to_it_hears_tables(driver: Chrome, stage: Stage) -> None:
    """Also on a phone, where the tables do not look like it."""
    for width in (1280, 390):
        size(driver, width, 844)
        opened(driver, stage)
        nodes = driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        roles = [node["role"]["value"] for node in nodes if not node.get("ignored")]
        assert roles.count("table") >= 5
        assert roles.count("row") >= 9
        assert roles.count("rowheader") >= 9
        assert "banner" in roles
        assert "main" in roles
        assert {"searchbox", "checkbox"} <= set(roles)
        names = [node.get("name", {}).get("value", "") for node in nodes]
        assert "Realservers of shop" in names
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    size(driver, 1280, 900)


def test_the_longest_names_fit_a_small_phone(driver: Chrome, tmp_path: Path) -> None:
    """And IPv6 addresses that cannot be abbreviated."""
    wide = "2001:db8:1111:2222:3333:4444:5555:"
    servers = [RealserverKey(ip_address(f"{wide}{n}"), 65535) for n in range(1, 4)]
    members = [replace(realserver(one), name="r" * 63) for one in servers]
    key = ServiceKey.at(Protocol.TCP, ip_address(f"{wide}8"), 65535)
    named = config(service(*members, name="s" * 63, key=key))
    named = replace(named, director="d" * 63, vips=(replace(named.vips[0], name="v" * 63),))
    part = replace(OTHER.vips[0], name="v" * 63)
    two = replace(OTHER, name="p" * 63, vips=(replace(part, role="master"),))
    with playing(Stage(Rig(named, tmp_path, events=Told()), peers=(two,))) as stage:
        stage.do(lambda: stage.rig.up(*servers))
        size(driver, 360, 740)
        try:
            opened(driver, stage)
            until(lambda: "two masters" in text(driver, "overall"), "the headline")
            wide_ones = driver.execute_script(
                "return [...document.querySelectorAll('body *')]"
                ".filter((one) => one.getBoundingClientRect().right > 360)"
                ".map((one) => `${one.tagName} ${one.className} ${one.textContent}`)"
            )
            assert wide_ones == []
        finally:
            size(driver, 1280, 900)


CONTRAST = """
  const numbers = (colour) => {
    const found = colour.match(/[\\d.]+/g).map(Number);
    return found.length === 4 ? found : [...found, 1];
  };
  const over = (top, below) => [0, 1, 2].map((at) => top[at] * top[3] + below[at] * (1 - top[3]));
  const behind = (node) => node === null ? [255, 255, 255]
    : over(numbers(getComputedStyle(node).backgroundColor), behind(node.parentElement));
  const light = (rgb) => rgb.map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !node.checkVisibility()) continue;
    if (node.closest("noscript, .unseen")) continue;
    const ground = behind(node);
    const ink = over(numbers(getComputedStyle(node).color), ground);
    const [less, more] = [light(ground), light(ink)].sort((a, b) => a - b);
    found.push([node.className, texts.currentNode.data.trim(), (more + 0.05) / (less + 0.05)]);
  }
  return [getComputedStyle(document.body).backgroundColor, found];
"""
"""The ground, and class, text and contrast (WCAG 2.2, "contrast ratio") of all text seen."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read_in_both_colour_schemes(
    driver: Chrome, tmp_path: Path, scheme: str
) -> None:
    """WCAG 1.4.3: 4.5 to 1."""
    peers = (replace(OTHER, unfit=UNFIT.unfit), replace(OTHER, name="director3", heard=False))
    with playing(Stage(shop(tmp_path), peers=peers)) as stage:
        stage.do(lambda: stage.rig.up(*SHOP_SERVERS, *API_SERVERS))
        stage.do(lambda: stage.rig.verdict(SHOP_SERVERS[1], Verdict.DOWN, REFUSED))
        held = Override(
            Target(ip_address("10.0.0.44")), OverrideKind.DRAIN, "alice", time.time(), "update"
        )
        stage.do(lambda: stage.rig.controller.override(held))
        prefers(driver, scheme)
        try:
            opened(driver, stage)
            until(lambda: "update" in text(driver, "overrides"), "the drain")
            ground, found = driver.execute_script(CONTRAST)
        finally:
            prefers(driver, "light")
    assert (ground == "rgb(15, 18, 24)") == (scheme == "dark"), ground
    classes = {one for names, _, _ in found for one in names.split()}
    assert {"up", "down", "drain", "backup", "master", "unknown"} <= classes
    assert {"quiet", "under", "bad", "warn"} <= classes
    assert [one for one in found if one[2] < 4.5] == []


def test_a_director_that_is_gone_is_told_and_found_again(driver: Chrome, tmp_path: Path) -> None:
    with playing(Stage(shop(tmp_path))) as stage:
        opened(driver, stage)
        port = stage.port
    until(lambda: driver.find_element(By.ID, "lost").is_displayed(), "the connection is lost")
    assert "What is shown was so at" in text(driver, "lost")
    with playing(Stage(shop(tmp_path), port=port)):
        until(lambda: not driver.find_element(By.ID, "lost").is_displayed(), "it is back")
        until(lambda: len(driver.find_elements(By.CSS_SELECTOR, "details")) == 3, "all of it")


def test_nobody_reads_that_all_is_well_from_a_director_that_is_gone(
    driver: Chrome, tmp_path: Path
) -> None:
    """The headline stays in sight when the page is scrolled, and the title when its tab is not
    looked at: what was so last is not told there as if it were so now."""
    with playing(Stage(shop(tmp_path))) as stage:
        servers = (*SHOP_SERVERS, *API_SERVERS, *MAIL_SERVERS)
        stage.do(lambda: stage.rig.up(*servers))
        opened(driver, stage)
        until(lambda: "all is well" in text(driver, "overall"), "all is well")
        port = stage.port
    until(lambda: driver.find_element(By.ID, "lost").is_displayed(), "the connection is lost")
    driver.find_element(By.ID, "filter").send_keys("shop")
    until(lambda: "4 realservers of" in text(driver, "found"), "it was drawn again")
    assert text(driver, "overall").endswith("not connected")
    assert "all is well" not in driver.title
    assert "not connected" in driver.title
    with playing(Stage(shop(tmp_path), port=port)) as stage:
        stage.do(lambda: stage.rig.up(*servers))
        until(lambda: "all is well" in text(driver, "overall"), "it is back")
        assert "all is well" in driver.title


def test_the_title_of_a_tab_that_nobody_looks_at_is_of_now(driver: Chrome, stage: Stage) -> None:
    def titles() -> list[str]:
        tabs = driver.execute_cdp_cmd("Target.getTargets", {})["targetInfos"]
        return [tab["title"] for tab in tabs if tab["url"] == stage.url]

    opened(driver, stage)
    until(lambda: "all is well" in driver.title, "all is well")
    watched = driver.current_window_handle
    driver.switch_to.new_window("tab")
    try:
        time.sleep(1)  # its last frames
        stage.do(lambda: stage.rig.verdict(SHOP_SERVERS[0], Verdict.DOWN, REFUSED))
        until(lambda: "1 down" in titles()[0], "its title says so", 5)
    finally:
        driver.close()
        driver.switch_to.window(watched)


def test_it_asks_nobody_but_the_director(driver: Chrome, stage: Stage) -> None:
    logged(driver, "performance")
    opened(driver, stage)
    time.sleep(0.5)
    messages = [json.loads(one["message"])["message"] for one in logged(driver, "performance")]
    asked = {
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    }
    assert {
        f"{stage.url}{name}" for name in ("", "page.css", "page.js", "icon.svg", "stream")
    } <= asked
    assert all(url.startswith(stage.url) for url in asked)


FOREIGN = ServiceKey.at(Protocol.UDP, ip_address("10.0.0.9"), 53)
EVIL = '<img src=x onerror="window.evil=1"><script>window.evil=1</script>'


@asynccontextmanager
async def hostile() -> AsyncIterator[int]:
    """A server that puts markup where a reason is taken from."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 503 {EVIL}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, HOST, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def test_what_a_hostile_server_answers_stays_text(driver: Chrome, tmp_path: Path) -> None:
    """From the wire through a real prober to the document."""

    async def serve(ready: asyncio.Future[int], done: asyncio.Event) -> None:
        async with hostile() as port:
            ready.set_result(port)
            await done.wait()

    loop = asyncio.new_event_loop()
    ready: asyncio.Future[int] = loop.create_future()
    done = asyncio.Event()
    task = loop.create_task(serve(ready, done))
    port = loop.run_until_complete(ready)
    spec = CheckSpec(
        CheckKind.HTTP,
        timing=Timing(interval=0.2, timeout=1.0, rise=1, fall=1),
        http=HttpSpec(path="/health"),
    )
    key = ServiceKey.at(Protocol.TCP, ip_address("10.0.0.8"), port)
    one = realserver(RealserverKey(ip_address(HOST), port), spec=spec)
    rig = Rig(config(service(one, key=key)), tmp_path, events=Told())
    stage = Stage(rig, probing=True, loop=loop)
    try:
        with playing(stage):
            opened(driver, stage)
            until(lambda: "expected" in row(driver, HOST).text, "the verdict")
            assert EVIL[:40] in row(driver, HOST).text
            until(lambda: EVIL[:40] in text(driver, "events"), "the event")
            assert driver.execute_script("return window.evil") is None
            assert driver.find_elements(By.CSS_SELECTOR, "main img, main script") == []
            assert complaints(driver) == []
            stage.do(task.cancel)
    finally:
        assert task.cancelled() or task.done()


def test_it_stays_usable_with_thousands_of_realservers(driver: Chrome, tmp_path: Path) -> None:
    services = []
    for n in range(100):
        vip = ServiceKey.at(Protocol.TCP, ip_address(f"10.1.{n // 250}.{n % 250 + 1}"), 80)
        members = [
            realserver(RealserverKey(ip_address(f"10.2.{n % 250}.{m + 1}"), 80)) for m in range(20)
        ]
        services.append(service(*members, name=f"s{n}", key=vip))
    with playing(Stage(Rig(config(*services), tmp_path, events=Told()))) as stage:
        opened(driver, stage, 60)
        until(lambda: len(driver.find_elements(By.CSS_SELECTOR, "details")) == 100, "all of it", 60)
        box = driver.find_element(By.ID, "filter")
        box.send_keys("s77 10.2.77.7:80")
        until(lambda: "1 realserver" in text(driver, "found"), "the filter", 30)
        box.send_keys(Keys.ESCAPE)
