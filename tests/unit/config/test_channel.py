"""The channel between directors, as the config writes it, and its credential's file."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path

import pytest

from lvsguard.config.load import loads
from lvsguard.config.problem import ConfigError
from lvsguard.core.peer import PeerConfig
from lvsguard.core.vrrp import Track, TrackKind
from tests.support.peer_pair import credential, foreign
from tests.unit.config.samples import HOST, PLAIN

ADDRESSES = '{ director1 = "10.0.0.41", director2 = "10.0.0.40" }'


def text(file: Path, addresses: str = ADDRESSES) -> str:
    return f'[peer]\naddresses = {addresses}\ncredential = "{file}"\n{PLAIN}'


def pem_file(folder: Path, content: bytes | None = None, mode: int = 0o600) -> Path:
    file = folder / "peer.pem"
    file.write_bytes(credential() if content is None else content)
    file.chmod(mode)
    return file


def refusal(file: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        loads(text(file), director="director1")
    (found,) = caught.value.problems
    assert found.key == "peer.credential"
    return found.message


def test_each_director_has_its_own_address_and_knows_the_others(tmp_path: Path) -> None:
    file = pem_file(tmp_path)
    one, two = ip_address("10.0.0.41"), ip_address("10.0.0.40")
    found = loads(text(file), director="director1", interfaces=HOST).peer
    assert found == PeerConfig(one, 8850, (("director2", two),), credential())
    found = loads(f"{text(file)}", director="director2").peer
    assert found == PeerConfig(two, 8850, (("director1", one),), credential())
    assert loads(PLAIN).peer is None


def test_a_priority_may_depend_on_what_the_others_see(tmp_path: Path) -> None:
    election = "[vip.vrrp]\nvrid = 51\ntrack = [{ peer = true, drop = 60, fall = 3 }]\n"
    whole = text(pem_file(tmp_path)).replace("\n[[service]]", f"\n{election}\n[[service]]", 1)
    (vip,) = loads(whole, director="director1").vips
    assert vip.vrrp is not None
    assert vip.vrrp.track == (Track(TrackKind.PEER, "web", 60, fall=3),)
    (vip,) = loads(whole.replace(", fall = 3", ""), director="director1").vips
    assert vip.vrrp is not None
    assert vip.vrrp.track == (Track(TrackKind.PEER, "web", 60, rise=2, fall=5),)


def test_read_for_another_host_the_credential_is_not_looked_for() -> None:
    found = loads(text(Path("/nowhere/peer.pem")), director="director1", elsewhere=True).peer
    assert found is not None
    assert found.credential == b""


def test_a_new_credential_is_another_config(tmp_path: Path) -> None:
    before = loads(text(pem_file(tmp_path)), director="director1")
    after = loads(text(pem_file(tmp_path, foreign())), director="director1")
    assert before.peer != after.peer
    assert before.digest == after.digest


def test_nobody_is_told_the_credential(tmp_path: Path) -> None:
    config = loads(text(pem_file(tmp_path)), director="director1")
    assert "PRIVATE KEY" not in repr(config)


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        (None, 0o644, r"has mode 0644, so others may read or change it; chmod 640"),
        (b"", 0o600, r"holds 0 certificates and 0 private keys"),
        (b"x" * 20_000, 0o600, r"is longer than 16384 octets"),
    ],
    ids=["open", "empty", "long"],
)
def test_a_file_that_is_no_credential_is_refused(
    tmp_path: Path, content: bytes | None, mode: int, why: str
) -> None:
    assert re.search(why, refusal(pem_file(tmp_path, content, mode)))


def test_a_file_that_is_not_there_says_how_to_make_it(tmp_path: Path) -> None:
    file = tmp_path / "peer.pem"
    assert f"lvsguard peer-key {file}" in refusal(file)
