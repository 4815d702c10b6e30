from __future__ import annotations

import pytest

from lvsguard.config.address import (
    ADDRESS,
    CLIENT_PREFIX,
    ENDPOINT,
    HEADERS,
    HOST,
    INTERFACE,
    LISTEN,
    PREFIXED,
    SERVER_NAME,
    SOCKET,
    STATUSES,
    label,
)
from lvsguard.config.leaf import Leaf, choice, near, period, seconds, show, text, whole

LONG = seconds(0, 1e9)


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        ("200ms", 0.2),
        ("1s", 1.0),
        ("1.5s", 1.5),
        ("5m", 300.0),
        ("2h", 7200.0),
        ("1d", 86400.0),
        (" 7 s ", 7.0),
        (3, 3.0),
        (0.25, 0.25),
        (0, 0.0),
    ],
)
def test_durations_are_seconds(written: object, amount: float) -> None:
    assert LONG.parse(written) == amount


@pytest.mark.parametrize(
    "wrong",
    ["", "1", "s", "-1s", "1e3s", "1 week", "1h30m", "１s", True, None, [1], float("nan"), 10**400],
)
def test_anything_else_is_no_duration(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"duration"):
        LONG.parse(wrong)


@pytest.mark.parametrize("written", ["10ms", "200ms", "1s", "90s", "5m", "2h", "1d", "31d", "0s"])
def test_a_period_is_spelled_as_it_is_written(written: str) -> None:
    spelled = period(float(str(LONG.parse(written))))
    assert LONG.parse(spelled) == LONG.parse(written)


def test_whole_seconds_come_out_as_integers() -> None:
    leaf = seconds(1, 100, integral=True)
    assert leaf.parse("90s") == 90
    assert isinstance(leaf.parse("90s"), int)
    with pytest.raises(ValueError, match="in whole seconds"):
        leaf.parse("1.5s")


def test_bounds_belong_to_what_is_allowed() -> None:
    leaf = whole(1, 3)
    assert [leaf.parse(n) for n in (1, 2, 3)] == [1, 2, 3]
    for wrong in (0, 4, True, 1.0, "1", None):
        with pytest.raises(ValueError, match="from 1 to 3"):
            leaf.parse(wrong)


def test_a_near_miss_is_guessed_whatever_its_case() -> None:
    methods = choice("a method", ["GET", "POST"])
    with pytest.raises(ValueError, match='did you mean "POST"'):
        methods.parse("pst")
    assert near("WRR", ["wrr", "rr"]) == "wrr"
    assert near("x" * 100_000, ["wrr"]) is None


def test_messages_never_repeat_a_long_value() -> None:
    for value in ("x" * 10**6, 10**5000, [1] * 10**6, {"a": 1}, b"x" * 10**6):
        assert len(show(value)) < 100


def test_texts_have_a_length_and_a_pattern() -> None:
    leaf = text("a word", 3, pattern="[a-z]+", how="small letters")
    assert leaf.parse("abc") == "abc"
    for wrong in ("", "abcd", "AB", 3):
        with pytest.raises(ValueError, match=r"a word|at most 3"):
            leaf.parse(wrong)


@pytest.mark.parametrize(
    ("leaf", "written", "value"),
    [
        (ENDPOINT, "10.0.0.8:80", "10.0.0.8 80"),
        (ENDPOINT, "10.0.0.8", "10.0.0.8 0"),
        (ENDPOINT, "10.0.0.8:0", "10.0.0.8 0"),
        (ENDPOINT, "[2001:db8::8]:443", "2001:db8::8 443"),
        (ENDPOINT, "2001:DB8::8", "2001:db8::8 0"),
        (PREFIXED, "10.0.0.8/24", "10.0.0.8 24"),
        (PREFIXED, "10.0.0.8", "10.0.0.8 32"),
        (PREFIXED, "10.0.0.8/31", "10.0.0.8 31"),
        (PREFIXED, "10.0.0.0/32", "10.0.0.0 32"),
        (PREFIXED, "2001:db8::8/64", "2001:db8::8 64"),
        (PREFIXED, "2001:db8::8", "2001:db8::8 128"),
        (LISTEN, "127.0.0.1:9852", "127.0.0.1 9852"),
        (LISTEN, "[::]:9852", ":: 9852"),
    ],
)
def test_addresses_with_something_after_them(leaf: Leaf, written: str, value: str) -> None:
    parsed = leaf.parse(written)
    assert isinstance(parsed, tuple)
    assert " ".join(map(str, parsed)) == value


@pytest.mark.parametrize("off", [False, ""])
def test_listening_can_be_turned_off(off: object) -> None:
    assert LISTEN.parse(off) is None


@pytest.mark.parametrize(
    ("leaf", "wrong"),
    [
        (ADDRESS, "10.0.0"),
        (ADDRESS, "10.0.0.08"),
        (ADDRESS, "255.255.255.255"),
        (ADDRESS, "::"),
        (ADDRESS, "ff02::1"),
        (ENDPOINT, "10.0.0.8:٨٠"),
        (ENDPOINT, "10.0.0.8:"),
        (ENDPOINT, "[2001:db8::8]"),
        (ENDPOINT, "[2001:db8::8]:65536"),
        (PREFIXED, "10.0.0.8/024/1"),
        (PREFIXED, "10.0.0.8/255.255.255.0"),
        (LISTEN, ":9852"),
        (LISTEN, "9852"),
        (LISTEN, True),
        (LISTEN, "127.0.0.1:70000"),
        (INTERFACE, ".."),
        (INTERFACE, "eth0:1"),
        (INTERFACE, "eth 0"),
        (SOCKET, "/run/"),
        (HOST, "a\r\nb"),
        (HOST, "www.example.org:99999"),
        (HOST, "[::1"),
        (HOST, "a:b:c"),
        (HOST, "www..org"),
        (HOST, f"{'a' * 64}.org"),
        (SERVER_NAME, "www..org"),
        (SERVER_NAME, ".org"),
    ],
)
def test_what_is_not_an_address_or_a_name_of_the_network(leaf: Leaf, wrong: object) -> None:
    with pytest.raises(ValueError, match=r"is not|looks like"):
        leaf.parse(wrong)


def test_names_do_not_look_like_addresses() -> None:
    leaf = label("a name")
    assert [leaf.parse(n) for n in ("web", "Web-1_b.c", "9web", "-")] == [
        "web",
        "Web-1_b.c",
        "9web",
        "-",
    ]
    for wrong in ("10.0.0.8", "10", "1.2", "fe80::1", "a b", "a/b", "ä", "", "x" * 64, 3):
        with pytest.raises(ValueError, match="a name"):
            leaf.parse(wrong)


def test_client_networks_are_prefix_lengths_or_masks() -> None:
    masks = {24: 24, "255.255.255.0": 24, "255.255.255.255": 32, "128.0.0.0": 1, 128: 128}
    assert {written: CLIENT_PREFIX.parse(written) for written in masks} == masks
    for wrong in (0, 129, True, "0.0.0.0", "255.0.255.0", "24", "255.255.255.256"):
        with pytest.raises(ValueError, match="is not a"):
            CLIENT_PREFIX.parse(wrong)


def test_statuses_are_numbers_and_ranges() -> None:
    assert STATUSES.parse([200, "204", "300-302"]) == {200, 204, 300, 301, 302}
    assert STATUSES.parse(404) == {404}
    assert STATUSES.parse("200-599") == set(range(200, 600))


def test_headers_keep_their_order_and_spelling() -> None:
    assert HEADERS.parse({"X-b": "2", "X-A": "a b\tc", "X-Empty": ""}) == (
        ("X-b", "2"),
        ("X-A", "a b\tc"),
        ("X-Empty", ""),
    )
    for wrong in ({"Content-Length": "0"}, {"X": " lead"}, {"X": "\x7f"}, {"": "x"}, {"X": "ü"}):
        with pytest.raises(ValueError, match=r"."):
            HEADERS.parse(wrong)
    with pytest.raises(ValueError, match="at most 32"):
        HEADERS.parse({f"X-{n}": "" for n in range(33)})
