from __future__ import annotations

import os
import re
import socket
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from lvsguard.config.load import FILE_MAX, load, loads
from lvsguard.config.problem import ConfigError, Problem, spell
from lvsguard.config.validate import PROBLEMS, VALUES
from lvsguard.core.config import Config
from tests.unit.config.samples import EXAMPLE, HEAD, HOST, PLAIN, REALSERVERS, SERVICE


def refusal(path: Path) -> str:
    """The text of the only problem with a file that cannot be read."""
    with pytest.raises(ConfigError) as caught:
        load(path)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.key) == (str(path), 0, "")
    assert str(problem) == f"{path}: {problem.message}"
    return problem.message


def test_a_missing_file_names_what_makes_one(tmp_path: Path) -> None:
    assert refusal(tmp_path / "config.toml") == "no such file; write one with: lvsguard init"


def test_what_is_not_a_regular_file_is_refused_without_reading(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert refusal(fifo) == "is not a regular file; name a file"
    assert refusal(Path("/dev/zero")) == "is not a regular file; name a file"
    assert refusal(tmp_path) == "is a directory; name the file in it"


def test_a_file_below_a_file_or_with_a_zero_in_its_name(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(PLAIN)
    assert "Not a directory" in refusal(file / "more")
    assert "cannot be read" in refusal(Path("a\0b"))


def test_a_file_that_fails_while_it_is_read() -> None:
    assert "cannot be read" in refusal(Path("/proc/self/mem"))


def test_a_file_of_somebody_else(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(PLAIN)
    file.chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        assert refusal(file) == "cannot be read; give the lvsguard user read access"
    finally:
        if root:
            os.seteuid(0)


def test_a_huge_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    with file.open("wb") as sparse:
        sparse.truncate(1 << 40)
    assert refusal(file) == "is larger than 8 MiB; is it the right file?"
    with pytest.raises(ConfigError, match="larger than 8 MiB"):
        loads("#" * (FILE_MAX + 1))


@pytest.mark.slow
def test_a_file_of_more_values_than_any_config_has_is_refused() -> None:
    with pytest.raises(ConfigError, match=f"holds more than {VALUES} values"):
        loads(f"a = [{'1,' * VALUES}]")


def test_problems_name_the_file_as_it_was_given(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text(PLAIN.replace('"10.0.0.42"', '"10.0.0.42"\nweight = -1'))
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert str(caught.value) == (
        f"{file}:15: service[0].realserver[0].weight:"
        " -1 is too small; a whole number from 0 to 65535"
    )
    assert caught.value.problems == (
        Problem(
            str(file),
            15,
            "service[0].realserver[0].weight",
            "-1 is too small; a whole number from 0 to 65535",
        ),
    )


def test_a_byte_order_mark_and_windows_lines_are_read() -> None:
    data = b"\xef\xbb\xbf" + PLAIN.replace("\n", "\r\n").encode()
    assert loads(data).services == loads(PLAIN).services
    with pytest.raises(ConfigError) as caught:
        loads(data.replace(b'"10.0.0.42"', b"42"))
    assert caught.value.problems[0].line == 14


def test_paths_are_spelled_so_that_odd_keys_are_seen() -> None:
    assert spell(("service", 0, "realserver", 1, "weight")) == "service[0].realserver[1].weight"
    assert spell(("a b", "", "ü\n", 2)) == '"a b".""."ü\\n"[2]'
    assert len(spell(("x" * 10**6,))) < 100


def named(text: str, director: str | None = None) -> str:
    return loads(text, director=director).director


def test_the_name_given_wins_over_the_file_and_the_file_over_the_host() -> None:
    written = PLAIN.replace("[director]", '[director]\nname = "from-the-file"')
    assert named(written) == "from-the-file"
    assert named(written, "given") == "given"
    assert named(PLAIN) == socket.gethostname()


def test_a_given_name_that_cannot_be_one_is_a_problem() -> None:
    with pytest.raises(ConfigError, match=r'director\.name: the name "a b" cannot name a director'):
        loads(PLAIN, director="a b")


def digest(text: str, director: str = "director1") -> str:
    return loads(text, director=director).digest


def test_the_digest_is_twelve_hex_digits_of_the_meaning() -> None:
    plain = digest(PLAIN)
    assert len(plain) == 12
    assert int(plain, 16) >= 0
    reordered = PLAIN.replace(
        'name = "web"\naddress = "10.0.0.8:80"', "address = \"10.0.0.8:80\" # the VIP\nname = 'web'"
    )
    assert reordered != PLAIN
    assert digest("# a comment\n" + reordered) == plain
    assert digest(PLAIN.replace("10.0.0.42", "10.0.0.44")) != plain


def test_the_digest_is_the_same_on_every_director() -> None:
    text = f"{SERVICE}{REALSERVERS}weight = {{ director1 = 1, director2 = 2 }}\n"
    assert digest(text, "director1") == digest(text, "director2")
    named = PLAIN.replace("[director]\n", '[director]\nname = "director2"\n')
    assert digest(named) == digest(PLAIN)
    places = '[admin]\nsocket = "/run/other/lvsguard.sock"\n[state]\ndirectory = "/srv/state"\n'
    assert digest(PLAIN + places) == digest(PLAIN)
    assert digest(PLAIN + places + "[telemetry]\n") != digest(PLAIN)


def test_the_digest_of_what_is_served_is_that_of_vips_services_ipvs_and_sync() -> None:
    here, there = (loads(f'{PLAIN}[telemetry]\nlisten = "10.0.0.{n}:9852"\n') for n in (41, 40))
    assert here.digest != there.digest
    assert here.served == there.served == loads(PLAIN).served
    assert re.fullmatch(r"[0-9a-f]{12}", here.served)
    assert loads(PLAIN.replace("10.0.0.42", "10.0.0.44")).served != here.served
    assert loads(PLAIN + "[ipvs]\nexpire_nodest_conn = false\n").served != here.served


def thousand_services() -> str:
    parts = ['[director]\ninterface = "eth0"\n[[vip]]\nname = "all"\naddresses = [\n']
    vips = [f"10.{n // 250}.{n % 250}.8" for n in range(1000)]
    parts += [f'  "{vip}/32",\n' for vip in vips]
    parts.append("]\n")
    for n, vip in enumerate(vips):
        parts.append(f'[[service]]\nname = "s{n}"\naddress = "{vip}:80"\nscheduler = "rr"\n')
        parts.append('check = { kind = "http", path = "/health", interval = "1s" }\n')
        parts += [
            f'[[service.realserver]]\naddress = "10.{100 + n // 250}.{n % 250}.{host}"\n'
            f"weight = {host}\n"
            for host in range(10, 20)
        ]
    return "".join(parts)


@pytest.mark.slow
def test_a_thousand_services_are_read_or_refused_in_a_few_times_what_parsing_takes() -> None:
    """So that it holds on any machine: the parts are 1 : 2.5 : 3, parsing 0.15 s on a usual one."""
    text = thousand_services()

    def timed(read: Callable[[str], object], text: str) -> tuple[float, object]:
        """The quickest of three: others on the machine make each of them slower, never quicker."""
        seconds: list[float] = []
        result: object = None
        for _ in range(3):
            start = time.process_time()
            try:
                result = read(text)
            except ConfigError as error:
                result = error
            seconds.append(time.process_time() - start)
        return min(seconds), result

    parsed, _ = timed(tomllib.loads, text)
    seconds, config = timed(loads, text)
    assert isinstance(config, Config)
    assert sum(len(service.realservers) for service in config.services) == 10_000
    assert seconds < 6 * parsed
    seconds, error = timed(loads, text.replace("weight = 1", "weight = -1"))
    assert isinstance(error, ConfigError)
    assert str(error.problems[0]) == "config.toml: 10000 problems; these are the first 1000"
    assert len(error.problems) == PROBLEMS + 1
    assert error.problems[1].line < error.problems[-1].line < text.count("\n")
    assert seconds < 9 * parsed


def test_findings_of_rules_are_bounded_too() -> None:
    with pytest.raises(ConfigError) as caught:
        loads(SERVICE + REALSERVERS + '[[service.realserver]]\naddress = "10.0.0.42"\n' * 1500)
    assert str(caught.value.problems[0]) == "config.toml: 1500 problems; these are the first 1000"
    assert len(caught.value.problems) == PROBLEMS + 1


def test_a_director_named_like_a_list_of_tables_is_still_a_director() -> None:
    broken = "[vip.vrrp]\nvrid = 51\npriority = 100\nheartbeat = { vip = [1979-05-27] }\n"
    with pytest.raises(ConfigError) as caught:
        loads(PLAIN.replace("[[service]]", f"{broken}[[service]]", 1), director="vip")
    assert [one.key for one in caught.value.problems] == ["vip[0].vrrp.heartbeat.vip[0]"]


def test_the_example_and_its_commented_settings_load() -> None:
    lines = EXAMPLE.read_text().splitlines()
    # "#key" or "#[table]" is a setting that is switched off; "# text" is for people.
    switched_on = [line[1:] if re.match(r"#[a-z\[]", line) else line for line in lines]
    assert switched_on != lines
    config = loads("\n".join(switched_on), interfaces=HOST)
    assert config.services[0].realservers[1].checks[0].spec.kind == "tcp"
    assert config.ipvs.tcp_timeout == 900
    (vrrp,) = (vip.vrrp for vip in config.vips)
    assert vrrp is not None
    assert (vrrp.vrid, vrrp.priority) == (51, 150)
    assert config.sync is not None


def test_service_tables_may_be_written_in_any_of_toml_s_ways() -> None:
    dotted = (
        'director.interface = "eth0"\n'
        'vip = [{ name = "web", addresses = ["10.0.0.8/24", "2001:db8::8/64"] }]\n'
        'service = [{ name = "web", address = "10.0.0.8:80", realserver = [\n'
        '  { address = "10.0.0.42" },\n  { address = "10.0.0.43" },\n] }]\n'
    )
    assert loads(dotted, director="d") == loads(PLAIN, director="d")
    assert HEAD in PLAIN
