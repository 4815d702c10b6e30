"""Remote administration as the config writes it, and its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from lvsguard.config.load import loads
from lvsguard.config.problem import ConfigError
from lvsguard.core.remote import CallerRole, RemoteConfig
from tests.support.remote_admin import Papers
from tests.unit.config.samples import PLAIN

ROLES = '{ "deploy" = "operate", "monitor" = "read" }'


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a director's files."""
    papers = Papers(tmp_path)
    own = papers.authority.issue_cert("director1")
    (tmp_path / "admin.crt").write_bytes(own.cert_chain_pems[0].bytes())
    (tmp_path / "admin.key").write_bytes(own.private_key_pem.bytes())
    (tmp_path / "admin.key").chmod(0o640)
    (tmp_path / "ca.crt").write_bytes(papers.clients.cert_pem.bytes())
    return tmp_path


def text(folder: Path, listen: str = '"10.0.0.41:8851"', roles: str = ROLES) -> str:
    return f"""{PLAIN}
[admin.remote]
listen = {listen}
certificate = "{folder}/admin.crt"
key = "{folder}/admin.key"
client_ca = "{folder}/ca.crt"
roles = {roles}
"""


def remote(config: str) -> RemoteConfig | None:
    return loads(config, director="director1").remote


def refusal(config: str) -> tuple[str, str]:
    with pytest.raises(ConfigError) as caught:
        remote(config)
    (found,) = caught.value.problems
    return found.key, found.message


def test_it_is_off_by_default() -> None:
    assert remote(PLAIN) is None


def test_files_are_read_and_roles_are_known(files: Path) -> None:
    found = remote(text(files))
    assert found is not None
    assert found.listen == ("10.0.0.41", 8851)
    assert b"PRIVATE KEY" in found.certificate
    assert "PRIVATE" not in repr(found)
    assert found.role(["x", "monitor"]) is CallerRole.READ
    assert found.role(["monitor", "deploy"]) is CallerRole.OPERATE
    assert found.role([]) is None


def test_one_director_may_do_without(files: Path) -> None:
    assert remote(text(files, '{ director1 = false, director2 = "10.0.0.40:8851" }')) is None


@pytest.mark.parametrize(
    ("roles", "says"),
    [
        ("{}", "names nobody; write {"),
        ('{ deploy = "operator" }', 'a role is read or operate; did you mean "operate"?'),
        ("{ deploy = 1 }", '"deploy" has 1; a role is read or operate'),
        ('"read"', "names nobody"),
    ],
)
def test_wrong_roles_are_told(files: Path, roles: str, says: str) -> None:
    key, message = refusal(text(files, roles=roles))
    assert key == "admin.remote.roles"
    assert says in message


def test_a_key_that_others_may_read_is_refused(files: Path) -> None:
    (files / "admin.key").chmod(0o644)
    key, message = refusal(text(files))
    assert key == "admin.remote.key"
    assert "others may read" in message


def test_what_is_missing_or_does_not_fit_is_told(files: Path) -> None:
    (files / "ca.crt").write_text("no certificate")
    assert refusal(text(files))[0] == "admin.remote.client_ca"
    (files / "ca.crt").unlink()
    assert "is not there" in refusal(text(files))[1]


def test_a_key_of_another_certificate_is_refused(files: Path) -> None:
    other = Papers(files).strangers.issue_cert("x")
    (files / "admin.key").write_bytes(other.private_key_pem.bytes())
    key, message = refusal(text(files))
    assert key == "admin.remote.certificate"
    assert "do not go together" in message
