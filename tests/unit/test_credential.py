"""The credential that directors show each other."""

from __future__ import annotations

import ssl

import pytest
from cryptography.hazmat.primitives import serialization

from lvsguard.credential import Credential
from tests.support.peer_pair import credential, foreign


def test_a_new_one_is_whole_and_like_no_other() -> None:
    one, other = Credential(credential()), Credential(foreign())
    assert one.fingerprint != other.fingerprint
    assert one.fingerprint == Credential(credential()).fingerprint
    assert len(credential()) < 2048


def test_it_wants_tls_1_3_and_a_certificate_from_both() -> None:
    for context in (Credential(credential()).server, Credential(credential()).client):
        assert context.minimum_version is ssl.TLSVersion.TLSv1_3
        assert context.verify_mode is ssl.CERT_REQUIRED
    assert Credential(credential()).server.num_tickets == 0


@pytest.mark.parametrize(
    ("pem", "why"),
    [
        (b"", "holds 0 certificates and 0 private keys"),
        (b"\xff\x00garbage", "holds 0 certificates and 0 private keys"),
        (b"-----BEGIN PRIVATE KEY-----\nAA\n", "holds 0 certificates and 1 private keys"),
        (
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
            b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "holds no certificate with its key",
        ),
    ],
    ids=["empty", "garbage", "key-alone", "nonsense"],
)
def test_what_is_no_credential_says_what_to_do(pem: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        Credential(pem)
    assert "make it with lvsguard peer-key" in str(caught.value)


def test_a_certificate_with_another_s_key_is_none() -> None:
    def parts(pem: bytes) -> tuple[bytes, bytes]:
        at = pem.index(b"-----BEGIN CERTIFICATE-----")
        return pem[:at], pem[at:]

    (key, _), (_, certificate) = parts(credential()), parts(foreign())
    with pytest.raises(ValueError, match=r"KEY_VALUES_MISMATCH"):
        Credential(key + certificate)


def test_a_key_with_a_passphrase_asks_nobody() -> None:
    key = serialization.load_pem_private_key(credential(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    locked += credential()[credential().index(b"-----BEGIN CERTIFICATE-----") :]
    with pytest.raises(ValueError, match="holds no certificate with its key"):
        Credential(locked)
