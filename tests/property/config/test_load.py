"""Whatever is handed in, loading gives a Config or a ConfigError, and the error says where."""

from __future__ import annotations

import json
import re
from random import Random
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from lvsguard.config.load import loads
from lvsguard.config.problem import ConfigError
from lvsguard.core.config import Config
from tests.property.config.patience import PATIENT
from tests.support.examples import examples
from tests.unit.config.samples import EXAMPLE, HOST, INVALID, PLAIN
from tests.unit.config.test_build import SHARED

SAMPLES = [
    EXAMPLE.read_bytes(),
    PLAIN.encode(),
    SHARED.encode(),
    *(file.read_bytes() for file in sorted(INVALID.glob("invalid-*.toml"))),
]
LINE = re.compile(r"f\.toml(:[1-9][0-9]*)?: .+", re.DOTALL)


def outcome(data: bytes | str) -> Config | ConfigError:
    try:
        return loads(data, file="f.toml", director="director1", interfaces=HOST)
    except ConfigError as error:
        refusal = error
    lines = (data if isinstance(data, bytes) else data.encode()).count(b"\n") + 1
    assert refusal.problems
    for problem in refusal.problems:
        assert 0 <= problem.line <= lines
        assert LINE.fullmatch(str(problem))
        assert len(problem.message) < 1000
    return refusal


@PATIENT
@given(st.binary(max_size=2000))
@example(b"\xff")
@example(b"\x00")
def test_any_bytes(data: bytes) -> None:
    outcome(data)


WORDS = [
    *"[]{}=,.#'\"\n -_+:",
    "[[",
    "]]",
    '"""',
    "'''",
    "\\",
    "\r\n",
    "\t",
    "0",
    "1",
    "-1",
    "1e400",
    "0xffffffffffffffffffffffff",
    "inf",
    "nan",
    "true",
    "1979-05-27T07:32:00Z",
    "director",
    "vip",
    "service",
    "realserver",
    "check",
    "tunnel",
    "persistence",
    "interface",
    "name",
    "addresses",
    "address",
    "weight",
    "vrrp",
    "track",
    "auth",
    "keys",
    "=one",
    "[key]",
    '"10.0.0.8/24"',
    '"10.0.0.8:80"',
    '"eth0"',
    '"web"',
]


@settings(PATIENT, max_examples=examples(200))
@given(st.lists(st.sampled_from(WORDS), max_size=60).map("".join))
def test_any_words_of_a_config(text: str) -> None:
    outcome(text)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["10.0.0.8/24", "10.0.0.8:80", "10.0.0.42", "1s", "http", "eth0", "tun"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([word for word in WORDS if word.isalpha()]) | st.text(max_size=8),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def toml(value: object) -> str:
    """A value in TOML; null, which TOML has not, becomes a date."""
    match value:
        case None:
            return "1979-05-27"
        case bool():
            return "true" if value else "false"
        case float():
            return {"inf": "inf", "-inf": "-inf", "nan": "nan"}.get(str(value), repr(value))
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list():
            return f"[{', '.join(map(toml, value))}]"
        case dict():
            return f"{{ {', '.join(f'{toml(k)} = {toml(v)}' for k, v in value.items())} }}"
        case _:
            return str(value)


def document(values: dict[str, object]) -> str:
    return "".join(f"{toml(key)} = {toml(value)}\n" for key, value in values.items())


KEYS = [
    "=one",
    "=table",
    "[key]",
    "director",
    "vip",
    "service",
    "sync",
    "ipvs",
    "telemetry",
    "admin",
    "state",
]


@settings(PATIENT, max_examples=examples(200))
@given(st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), VALUES, max_size=7))
def test_any_values_under_the_right_names(values: dict[str, object]) -> None:
    outcome(document(values))


def seed() -> dict[str, Any]:
    """A config with something of everything, as values."""
    check = {"kind": "https", "path": "/", "expect_status": [200], "headers": {"X": "1"}}
    return {
        "director": {"name": "director1", "interface": "eth0", "resync": "1s"},
        "vip": [
            {
                "name": "web",
                "addresses": ["10.0.0.8/24"],
                "routed": False,
                "vrrp": {
                    "vrid": 51,
                    "priority": {"director1": 150, "director2": 100},
                    "version": 2,
                    "password": "secret",
                    "peers": {"director1": "10.0.0.41", "director2": "10.0.0.40"},
                    "heartbeat": {"director1": ["eth1"], "director2": ["eth2"]},
                    "sync_group": "all",
                    "track": [{"service": "web", "drop": 60}, {"file": "/run/off"}],
                    "announce": {"repeat": 3, "refresh": "1m"},
                },
            },
            {
                "name": "more",
                "addresses": ["10.0.0.9/24", "2001:db8::9/64"],
                "vrrp": {
                    "vrid": 52,
                    "priority": {"director1": 150, "director2": 100},
                    "sync_group": "all",
                    "auth": {"keys": {"1": "ab" * 32, "2": "cd" * 64}, "send_key": 2},
                },
            },
        ],
        "sync": {"interface": "eth1", "sync_id": 7, "group": "224.0.0.82"},
        "service": [
            {
                "name": "web",
                "address": "10.0.0.8:80",
                "scheduler": "sh",
                "scheduler_flags": ["sh-port"],
                "forwarding": "tun",
                "tunnel": {"kind": "gue", "port": 6080},
                "persistence": {"timeout": "5m", "prefix": 24},
                "quorum": {"director1": 1, "director2": 2},
                "check": [check, {"kind": "tcp", "send": "x", "expect": "y"}],
                "realserver": [
                    {"address": "10.0.0.42", "weight": {"director1": 1, "director2": 2}},
                    {"address": "2001:db8::43", "upper_threshold": 10, "lower_threshold": 5},
                ],
            },
            {
                "name": "mark",
                "fwmark": 7,
                "family": "inet",
                "check": {"kind": "tcp", "port": 80, "source": "10.0.0.41"},
                "realserver": [{"address": "10.0.0.42", "check": {"kind": "none"}}],
            },
        ],
        "ipvs": {"drop_entry": 1, "tcp_timeout": "15m"},
        "telemetry": {"listen": {"director1": "127.0.0.1:9852", "director2": False}},
    }


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a document that holds a value."""
    found = [path] if path else []
    items = (
        list(value.items())
        if isinstance(value, dict)
        else list(enumerate(value))
        if isinstance(value, list)
        else []
    )
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


PLACES = places(seed())


def test_the_seed_of_the_mutations_is_good() -> None:
    assert isinstance(outcome(document(seed())), Config)


@settings(PATIENT, max_examples=examples(400))
@given(
    st.lists(
        st.tuples(st.sampled_from(PLACES), st.sampled_from(["drop", "rename", "replace"]), VALUES),
        min_size=1,
        max_size=4,
    )
)
def test_any_change_of_a_good_config_is_taken_or_told(
    changes: list[tuple[tuple[str | int, ...], str, object]],
) -> None:
    values = seed()
    for path, how, new in changes:
        holder: Any = values
        for part in path[:-1]:
            try:
                holder = holder[part]
            except (KeyError, IndexError, TypeError):
                break
        key = path[-1]
        if isinstance(holder, dict) and key in holder:
            old = holder.pop(key)
            if how == "rename":
                holder[f"{key}s"] = old
            elif how == "replace":
                holder[key] = new
        elif isinstance(holder, list) and isinstance(key, int) and key < len(holder):
            if how == "replace":
                holder[key] = new
            else:
                del holder[key]
    outcome(document(values))


@settings(PATIENT, max_examples=examples(200))
@given(
    st.sampled_from(SAMPLES),
    st.floats(0, 1),
    st.integers(0, 40),
    st.sampled_from(WORDS).map(str.encode) | st.binary(max_size=4),
)
def test_any_edit_of_a_file_is_taken_or_told(
    sample: bytes, where: float, length: int, patch: bytes
) -> None:
    at = int(where * len(sample))
    outcome(sample[:at] + patch + sample[at + length :])


@PATIENT
@given(st.randoms(use_true_random=False))
def test_the_order_of_keys_means_nothing(random: Random) -> None:
    def shuffled(value: object) -> object:
        if isinstance(value, dict):
            keys = list(value)
            random.shuffle(keys)
            return {key: shuffled(value[key]) for key in keys}
        return [shuffled(one) for one in value] if isinstance(value, list) else value

    mixed = shuffled(seed())
    assert isinstance(mixed, dict)
    one, other = outcome(document(seed())), outcome(document(mixed))
    assert isinstance(one, Config)
    assert isinstance(other, Config)
    assert one.digest == other.digest
