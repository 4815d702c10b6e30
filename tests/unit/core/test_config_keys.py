"""Which keys two files differ in, found from digests alone."""

from __future__ import annotations

import copy

from hypothesis import given
from hypothesis import strategies as st

from lvsguard.config.key_digests import MANY, MOST, WIDE, key_digests
from lvsguard.core.config_keys import How, Keys, differences

SEED: dict[str, object] = {
    "director": {"interface": "eth0"},
    "vip": [
        {
            "name": "web",
            "addresses": ["10.0.0.8/24"],
            "vrrp": {"vrid": 51, "priority": {"director1": 150}, "auth": {"keys": {"1": "s3cret"}}},
        }
    ],
    "service": [
        {
            "name": "web",
            "scheduler": "rr",
            "check": {"kind": "http", "headers": {"Host": "x" * 200}},
            "realserver": [{"address": "10.0.0.42"}, {"address": "10.0.0.43", "port": 81}],
        }
    ],
}


def changed(**tables: object) -> dict[str, object]:
    return {**copy.deepcopy(SEED), **tables}


def told(mine: dict[str, object], theirs: dict[str, object]) -> list[str]:
    return [str(one) for one in differences(key_digests(mine), key_digests(theirs))]


def service(**keys: object) -> list[object]:
    services = copy.deepcopy(SEED["service"])
    assert isinstance(services, list)
    services[0] |= keys
    return services


def test_the_same_files_differ_in_nothing() -> None:
    assert told(SEED, copy.deepcopy(SEED)) == []
    assert told(SEED, dict(reversed(SEED.items()))) == []


def test_a_key_is_named_as_far_down_as_it_goes() -> None:
    assert told(SEED, changed(service=service(scheduler="wrr"))) == ["service.web.scheduler"]
    weighted = [{"address": "10.0.0.42", "weight": 3}, {"address": "10.0.0.43", "port": 81}]
    assert told(SEED, changed(service=service(realserver=weighted))) == [
        "service.web.realserver.10.0.0.42.weight (only there)"
    ]
    assert told(SEED, changed(service=service(check={"kind": "tcp"}))) == [
        "service.web.check.kind",
        "service.web.check.headers (only here)",
    ]


def test_a_whole_service_that_one_lacks_is_named_as_one() -> None:
    more = [*service(), {"name": "mail.in", "scheduler": "rr"}]
    assert told(SEED, changed(service=more)) == ['service."mail.in" (only there)']
    assert told(changed(service=more), SEED) == ['service."mail.in" (only here)']
    assert told(SEED, changed(ipvs={"sloppy_tcp": 1})) == ["ipvs (only there)"]


def test_another_order_is_a_difference() -> None:
    turned = service(realserver=[{"address": "10.0.0.43", "port": 81}, {"address": "10.0.0.42"}])
    assert told(SEED, changed(service=turned)) == ["service.web.realserver (in another order)"]


def test_secrets_have_no_digest() -> None:
    """Not even one that is the same on both: a short one could be guessed from it."""
    vips = copy.deepcopy(SEED["vip"])
    assert isinstance(vips, list)
    vips[0]["vrrp"]["auth"] = {"keys": {"1": "another"}}
    assert key_digests(SEED) == key_digests(changed(vip=vips))


def test_what_is_about_the_host_alone_is_marked() -> None:
    (host,) = differences(key_digests(SEED), key_digests(changed(director={"interface": "eth1"})))
    assert (str(host), host.shared, host.how) == ("director.interface", False, How.VALUE)
    (shared,) = differences(key_digests(SEED), key_digests(changed(ipvs={"sloppy_tcp": 1})))
    assert shared.shared


def many(services: int, each: int, weight: int = 1) -> dict[str, object]:
    table: list[dict[str, object]] = [
        {"name": f"s{n}", "realserver": [{"address": f"10.0.{n % 250}.{m}"} for m in range(each)]}
        for n in range(services)
    ]
    table[7]["realserver"] = [{"address": "10.9.9.9", "weight": weight}]
    return {"service": table}


def test_a_large_table_is_told_in_fewer_parts_and_still_named() -> None:
    wide = MANY // 10
    assert told(many(wide, 11), many(wide, 11, weight=2)) == ["service.s7.realserver"]
    assert told(many(WIDE + 1, 1), many(WIDE + 1, 1, weight=2)) == ["service.s7"]
    assert told(many(MOST + 1, 0), many(MOST + 1, 0, weight=2)) == ["service"]
    assert len(key_digests(many(MOST, 2))) < 20_000


def test_who_tells_less_is_compared_as_far_as_it_tells() -> None:
    """One of the two may have a service more, and so tell of all of them in fewer parts."""
    some, more = many(WIDE, 1), many(WIDE + 1, 1)
    assert told(some, more) == [f"service.s{WIDE} (only there)"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "address", "port", "realserver", "x"]), inner)
    ),
    max_leaves=15,
)
FILES = st.dictionaries(st.sampled_from(["service", "vip", "ipvs", "admin"]), VALUES)


@given(FILES, FILES)
def test_files_differ_exactly_when_a_key_is_named(
    one: dict[str, object], other: dict[str, object]
) -> None:
    here, there = key_digests(one), key_digests(other)
    found, back = differences(here, there), differences(there, here)
    assert bool(found) is (here != there)
    assert {f.path for f in found} == {f.path for f in back}


@given(FILES, st.dictionaries(st.lists(st.text(max_size=2)).map(tuple), st.text(max_size=3)))
def test_whatever_a_director_tells_is_compared(one: dict[str, object], told: Keys) -> None:
    rootless = {path: digest for path, digest in told.items() if path}
    for difference in differences(key_digests(one), rootless):
        assert str(difference)
