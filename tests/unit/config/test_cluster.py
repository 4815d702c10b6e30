"""Where directors meet: the cluster table."""

from __future__ import annotations

from pathlib import Path

import pytest

from lvsguard.config.load import loads
from lvsguard.config.problem import ConfigError
from lvsguard.core.cluster import EtcdAccess

BASE = """
[director]
name = "director1"
interface = "eth0"
[[vip]]
name = "web"
addresses = ["10.0.0.8/24"]
[vip.vrrp]
vrid = 51
priority = 150
track = [{ peer = true, drop = 60 }]
[[service]]
name = "web"
address = "10.0.0.8:80"
[[service.realserver]]
address = "10.0.0.42"
[cluster]
backend = "etcd"
"""


def test_all_keys_reach_the_channel(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text("s3cret\n")
    config = loads(
        f"""{BASE}
endpoints = ["https://10.0.0.50:2379", "https://[2001:db8::1]:2379"]
prefix = "/site/"
user = "lvsguard"
password_file = "{password}"
ca_file = "/etc/ssl/ca.pem"
certificate_file = "/etc/ssl/one.pem"
key_file = "/etc/ssl/one.key"
lease = "15s"
"""
    )
    assert config.etcd == EtcdAccess(
        ("https://10.0.0.50:2379", "https://[2001:db8::1]:2379"),
        "/site/",
        "lvsguard",
        "s3cret",
        "/etc/ssl/ca.pem",
        "/etc/ssl/one.pem",
        "/etc/ssl/one.key",
        15,
    )
    assert "s3cret" not in repr(config)
    assert ("service", "web") in config.keys
    assert config.peer is None


def test_a_password_that_others_may_read_is_refused(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("s3cret")
    password.chmod(0o644)
    with pytest.raises(ConfigError, match="others may read") as raised:
        loads(
            f'{BASE}endpoints = ["http://127.0.0.1:2379"]\nuser = "u"\n'
            f'password_file = "{password}"\n'
        )
    assert "s3cret" not in str(raised.value)


def test_without_a_table_nothing_changes() -> None:
    text = BASE.partition("[cluster]")[0].replace("{ peer = true, drop = 60 }", "")
    config = loads(text)
    assert config.etcd is None
    assert config.keys == {}
