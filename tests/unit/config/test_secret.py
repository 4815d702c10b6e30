"""Keys and passwords: where they may lie, and that nobody is told them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lvsguard.config.load import load, loads
from lvsguard.config.problem import ConfigError
from lvsguard.core.config import Config
from lvsguard.core.vrrp import HmacAuth
from lvsguard.vrrp.auth import problem
from tests.unit.config.test_vrrp import SEED, SERVICE

HEX = "00112233445566778899aabbccddeeff" * 2
SECRETS = (HEX, HEX[:62], "hunter2", "hunter2hunter2", "11223344")


def text(body: str) -> str:
    return f"{SEED}{body}{SERVICE}"


def keyed(*keys: str) -> str:
    listed = ", ".join(f'{number} = "{key}"' for number, key in enumerate(keys, 1))
    return text(f"auth = {{ keys = {{ {listed} }}, send_key = 1 }}\n")


def auth(config: Config) -> HmacAuth:
    (vip,) = config.vips
    assert vip.vrrp is not None
    assert vip.vrrp.auth is not None
    return vip.vrrp.auth


def key_file(folder: Path, content: str = HEX, mode: int = 0o640) -> Path:
    file = folder / "vrrp.key"
    file.write_text(content)
    file.chmod(mode)
    return file


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        loads(keyed(f"file:{path}"))
    (found,) = caught.value.problems
    assert found.key == "vip[0].vrrp.auth.keys"
    assert found.line == 9
    return found.message


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o600, 0o640])
def test_a_key_may_lie_in_a_file_that_others_cannot_read(tmp_path: Path, mode: int) -> None:
    file = key_file(tmp_path, f"{HEX}\n", mode)
    found = auth(loads(keyed(f"file:{file}", "ab" * 32)))
    assert found.keys == {1: bytes.fromhex(HEX), 2: b"\xab" * 32}
    assert problem(found) is None


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o660, 0o602, 0o641])
def test_a_key_that_others_may_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    file = key_file(tmp_path, mode=mode)
    assert refusal(file).endswith(
        f" has mode {mode:04o}, so others may read or change it;"
        " chmod 640 (or 600) it, and make a new key if it was read"
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is not in hex"),
        ("hunter2", "is not in hex"),
        (HEX[:62], "has 31 octets; 32 to 64 are wanted"),
        ("ab" * 65, "has 65 octets; 32 to 64 are wanted"),
        ("é" * 64, "is not in hex"),
        ("ab" * 600, "is longer than 1024 octets; is it the right file?"),
    ],
)
def test_a_file_without_a_key_is_refused_without_its_contents(
    tmp_path: Path, content: str, told: str
) -> None:
    message = refusal(key_file(tmp_path, content))
    assert told in message
    assert not content or content not in message


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    fifo = tmp_path / "f"
    os.mkfifo(fifo, 0o600)
    assert "is not a regular file" in refusal(fifo)
    assert "is not a regular file" in refusal(Path("/dev/zero"))
    assert "is not a regular file" in refusal(tmp_path)
    assert "is not there; write it, or correct the path" in refusal(tmp_path / "x")


def test_for_another_host_key_files_are_not_read_and_their_keys_are_missing(
    tmp_path: Path,
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(keyed("file:/nowhere/vrrp.key", "ab" * 32))
    with pytest.raises(ConfigError):
        load(file)
    found = auth(load(file, elsewhere=True))
    assert list(found.keys) == [2]
    # What came from another host cannot be put in force by mistake.
    assert problem(found) is not None


@pytest.mark.parametrize(
    "body",
    [
        'password = "hunter2"\n',
        'version = 2\npassword = "hunter2hunter2"\n',
        "version = 2\npassword = 11223344\n",
        'version = 2\npassword = ["hunter2"]\n',
        'version = 2\npassword = { director1 = "hunter2" }\n',
        'version = 4\npassword = "hunter2"\n',
        'auth = "hunter2"\n',
        f'auth = ["{HEX}"]\n',
        f'auth = {{ keys = "{HEX}" }}\n',
        f'auth = {{ keys = ["{HEX}"] }}\n',
        f'auth = {{ keys = {{ 1 = ["{HEX}"] }} }}\n',
        f'auth = {{ keys = {{ 1 = "{HEX[:62]}" }} }}\n',
        f'auth = {{ keys = {{ 1 = "{HEX}", 2 = "hunter2" }} }}\n',
        f'auth = {{ keys = {{ {HEX} = "1" }} }}\n',
        f'auth = {{ keys = {{ 0 = "{HEX}", 01 = "{HEX}", 256 = "{HEX}" }} }}\n',
        f'auth = {{ keys = {{ 1 = "{HEX}" }}, send_key = 2 }}\n',
        f'auth = {{ key = "{HEX}" }}\n',
        f'keys = {{ 1 = "{HEX}" }}\n',
        'passwort = "hunter2"\n',
        'password = "hunter2\n',
        'password = "hunter2" "hunter2"\n',
        'password = "hunter2"\npassword = "hunter2"\n',
    ],
)
def test_no_error_tells_a_secret(body: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loads(text(body))
    error = caught.value
    told = [str(error), repr(error), *map(repr, error.problems), repr(error.__cause__)]
    assert [secret for secret in SECRETS for one in told if secret in one] == []


def test_no_repr_of_a_config_tells_a_secret() -> None:
    for body in (
        'version = 2\npassword = "hunter2"\n',
        f'auth = {{ keys = {{ 1 = "{HEX}" }} }}\n',
    ):
        told = repr(loads(text(body)))
        assert "hunter2" not in told
        assert repr(bytes.fromhex(HEX))[2:-1] not in told
        assert HEX not in told


def test_the_digest_depends_on_no_secret_but_on_all_around_it() -> None:
    digest = loads(keyed(HEX)).digest
    assert loads(keyed("ab" * 32)).digest == digest
    assert loads(keyed(HEX).replace(", send_key = 1", "")).digest != digest
    one, other = (
        loads(text(f'version = 2\npassword = "{word}"\n')).digest for word in ("hunter2", "secret")
    )
    assert one == other
    assert loads(text("version = 2\n")).digest != one


def test_a_config_with_another_key_is_another_config() -> None:
    assert loads(keyed(HEX)) != loads(keyed("ab" * 32))
