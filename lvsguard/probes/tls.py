"""TLS of checks: the contexts that verify, and what went wrong in words. No socket here."""

from __future__ import annotations

import os
import ssl
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Final

from lvsguard.core.config import TlsSpec
from lvsguard.core.health import FailureClass
from lvsguard.probes.outcome import Outcome, plain


@lru_cache(maxsize=256)
def _load(tls: TlsSpec, _changed: int) -> ssl.SSLContext | Outcome:
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
    except (OSError, ValueError) as error:
        reason = f"ca_file {tls.ca_file} cannot be used: {words(error)}; correct it"
        return Outcome(False, "SOCKERR", plain(reason), FailureClass.LOCAL)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def context(tls: TlsSpec) -> ssl.SSLContext | Outcome:
    """The TLS context of a check; made anew when the CA file has changed."""
    try:
        changed = Path(tls.ca_file).stat().st_mtime_ns if tls.ca_file else 0
    except OSError:
        changed = -1
    return _load(replace(tls, server_name=None), changed)


def certificate(error: Exception, name: str) -> str:
    """Say in words what is wrong with a certificate; the numbers are X509_V_ERR_* of OpenSSL."""
    code = getattr(error, "verify_code", 0)
    if code in (62, 64):
        return f"the certificate is not valid for {plain(name)}"
    return _CERTIFICATE.get(code) or plain(
        f"the certificate does not verify: {getattr(error, 'verify_message', error)}"
    )


_CERTIFICATE: Final = {
    9: "the certificate is not yet valid",
    10: "the certificate has expired",
    18: "the certificate is signed by itself: name it as ca_file to trust it",
    19: "the certificate's CA is unknown (signed by itself): name it as ca_file to trust it",
    20: "the certificate's CA is unknown: name it as ca_file to trust it",
    21: "the certificate's CA is unknown: name it as ca_file to trust it",
    23: "the certificate is revoked",
}


def handshake(error: OSError) -> str:
    """Say in words why a handshake failed."""
    reason = getattr(error, "reason", None) or ""
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"):
        return "the realserver does not speak TLS on this port"
    return plain(f"TLS handshake failed: {reason.replace('_', ' ').lower() or words(error)}")


def words(error: Exception) -> str:
    """An error in words, without its number."""
    number = getattr(error, "errno", None)
    if isinstance(number, int) and number > 0 and not isinstance(error, ssl.SSLError):
        return os.strerror(number).lower()
    return str(error) or type(error).__name__


def broken(reason: str) -> Outcome:
    """No TLS with this peer."""
    return Outcome(False, "L6RSP", plain(reason), FailureClass.WRONG)
