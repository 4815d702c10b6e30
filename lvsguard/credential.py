"""What directors prove themselves to each other with: a certificate and its key that all of them
have, and accept no other for. A shared secret, in the form that TLS takes.

There is no authority and no name in it that matters, and its dates are not looked at: a clock that
is wrong must not part two directors.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import ssl
import subprocess
from typing import Final

OCTETS_MAX: Final = 16 * 1024
"""Of the file; one that ``create`` makes has about 900."""
_NO_CHECK_TIME: Final = ssl.VerifyFlags(0x200000)
"""X509_V_FLAG_NO_CHECK_TIME (openssl/x509_vfy.h), for which the ssl module has no name."""
_CERTIFICATE: Final = re.compile(
    r"-----BEGIN CERTIFICATE-----\n.*?\n-----END CERTIFICATE-----", re.DOTALL
)
_KEY: Final = re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----")
_OPENSSL: Final = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 36500 -sha256"
    " -subj /CN=lvsguard-peer -keyout - -out -"
)
_SECONDS: Final = 30.0


class Credential:
    """The certificate and key of all directors."""

    def __init__(self, pem: bytes) -> None:
        """``pem``: the file's contents. Raises ValueError that says what is wrong with them."""
        text = pem.decode("ascii", "replace").replace("\r\n", "\n")
        found = _CERTIFICATE.findall(text)
        if len(found) != 1 or len(_KEY.findall(text)) != 1:
            raise ValueError(
                f"holds {len(found)} certificates and {len(_KEY.findall(text))} private keys, and"
                " one of each is wanted: make it with lvsguard peer-key"
            )
        try:
            self._certificate = ssl.PEM_cert_to_DER_cert(found[0])
            self._server = _context(pem, found[0], ssl.PROTOCOL_TLS_SERVER)
            self._client = _context(pem, found[0], ssl.PROTOCOL_TLS_CLIENT)
        except (ssl.SSLError, ValueError) as error:
            raise ValueError(
                f"holds no certificate with its key ({getattr(error, 'reason', None) or error}):"
                " make it with lvsguard peer-key"
            ) from None

    @property
    def fingerprint(self) -> str:
        """The certificate's, to compare by eye: SHA-256, its first 16 hex digits."""
        return hashlib.sha256(self._certificate).hexdigest()[:16]

    @property
    def server(self) -> ssl.SSLContext:
        """For who is connected to."""
        return self._server

    @property
    def client(self) -> ssl.SSLContext:
        """For who connects."""
        return self._client

    def shown_by(self, connection: ssl.SSLObject) -> bool:
        """Whether the other end has shown this very certificate."""
        shown = connection.getpeercert(binary_form=True)
        return shown is not None and hmac.compare_digest(shown, self._certificate)


def _context(pem: bytes, certificate: str, role: ssl._SSLMethod) -> ssl.SSLContext:
    """TLS 1.3, the certificate shown and wanted; no resumption, so that each connection proves the
    key anew."""
    context = ssl.SSLContext(role)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= _NO_CHECK_TIME
    context.load_verify_locations(cadata=certificate)
    if role is ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0
    _load_pair(context, pem)
    return context


def _load_pair(context: ssl.SSLContext, pem: bytes) -> None:
    """The ssl module reads keys from files only; this one lies in memory."""
    descriptor = os.memfd_create("lvsguard-peer", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, pem)
        # A key with a passphrase must not ask on a terminal.
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=b"")
    finally:
        os.close(descriptor)


def listener_context(pem: bytes, client_ca: bytes) -> ssl.SSLContext:
    """For a listener whose callers show a certificate of an authority: TLS 1.3, no resumption.

    Raises ValueError that says which of the two is no good: the director's certificate with its
    key, or the authorities.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.num_tickets = 0
    try:
        _load_pair(context, pem)
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise ValueError(f"certificate and key do not go together ({reason})") from None
    try:
        context.load_verify_locations(cadata=client_ca.decode("ascii", "replace"))
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise ValueError(f"client_ca holds no certificates in PEM ({reason})") from None
    return context


def create() -> bytes:
    """A new one, made by openssl(1). Raises OSError when that is not there or fails."""
    try:
        made = subprocess.run(
            _OPENSSL.split(), capture_output=True, check=True, timeout=_SECONDS, text=True
        )
    except FileNotFoundError:
        raise OSError("openssl is not installed: apt-get install openssl") from None
    except subprocess.SubprocessError as error:
        told = str(getattr(error, "stderr", "") or error).strip().splitlines()
        raise OSError(f"openssl made no certificate: {told[-1] if told else error}") from None
    pem = made.stdout.encode()
    Credential(pem)
    return pem
