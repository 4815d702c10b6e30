"""realserver: what the command makes of flags and configuration; the work itself is elsewhere."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from lvsguard.cli.exits import CommandError
from lvsguard.cli.realserver import _configured, lines
from lvsguard.config.load import loads
from lvsguard.core.config import Config
from lvsguard.realserver.check import CheckItem, Outcome
from tests.unit.cli.conftest import Run

CONFIG = """
[director]
name = "director1"
interface = "eth0"
[[vip]]
name = "web"
addresses = ["10.0.0.8/24", "10.0.0.9/24", "10.0.0.10/24"]
[[service]]
name = "web"
address = "10.0.0.8:80"
realserver = [{ address = "10.0.0.42" }, { address = "127.0.0.1" }]
[[service]]
name = "tls"
address = "10.0.0.9:443"
realserver = [{ address = "10.0.0.42" }]
[[service]]
name = "mail"
address = "10.0.0.10:25"
realserver = [{ address = "10.0.0.43" }]
"""


@pytest.fixture
def config() -> Config:
    return loads(CONFIG.replace("127.0.0.1", "192.0.2.1"))


def test_vips_are_those_of_the_services_that_have_this_host(config: Config) -> None:
    rip = ip_address("10.0.0.42")
    vips, own = _configured(config, rip)
    assert [str(vip) for vip in vips] == ["10.0.0.8", "10.0.0.9"]
    assert own == rip


def test_a_host_that_is_no_realserver_is_told_so(config: Config) -> None:
    with pytest.raises(CommandError, match="none of the configured realservers"):
        _configured(config, ip_address("10.0.0.99"))
    with pytest.raises(CommandError, match="name its address with --rip"):
        _configured(config, None)


def test_items_are_told_with_their_remedies() -> None:
    items = [
        CheckItem("link", "ipvs0", Outcome.OK, "is up"),
        CheckItem("vip", "10.0.0.8", Outcome.WRONG, "is not on ipvs0", "lvsguard realserver up"),
    ]
    assert lines(items, colours=False) == [
        "ok       link ipvs0    is up",
        "wrong    vip 10.0.0.8  is not on ipvs0",
        "         -> lvsguard realserver up",
    ]


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("--vip", "10.0.0"), "'10.0.0' is no IP address"),
        (("--vip", "224.0.0.1"), "cannot be a VIP"),
        (("--vip", "10.0.0.8", "--arp", "arptables"), "rip"),
        (("--vip", "10.0.0.8", "--link", "all"), "link 'all'"),
    ],
)
def test_a_setup_that_cannot_be_is_bad_usage(run: Run, argv: tuple[str, ...], says: str) -> None:
    done = run("realserver", "check", *argv)
    assert done.status == 2
    assert says in done.err.lower() or says in done.err


def test_a_missing_config_is_bad_usage(run: Run, tmp_path: Path) -> None:
    done = run("realserver", "check", "-c", str(tmp_path / "none.toml"))
    assert done.status == 2
    assert "lvsguard init" in done.err
