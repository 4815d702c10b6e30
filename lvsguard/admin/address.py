"""Where a director's admin API is: its unix socket, or its remote listener and who one is there."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

PORT = 8851
"""Of the remote listener, where an address names none."""


class BadAddress(ValueError):
    """Not a director's address, or no way to prove who one is. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Identity:
    """How a caller and a director prove themselves to each other. PEM files."""

    certificate: Path
    """The caller's; others that lead to the authority may follow in the file."""
    key: Path | None
    """Its private key; None: in the same file."""
    authority: Path
    """Who signed the director's certificate."""

    def context(self) -> ssl.SSLContext:
        """TLS 1.3 with both. Raises BadAddress that names the file."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        try:
            context.load_verify_locations(cafile=self.authority)
        except (OSError, ValueError) as error:
            raise BadAddress(_wrong(self.authority, "an authority's certificate", error)) from None
        try:
            # A key with a passphrase must not ask on a terminal.
            context.load_cert_chain(self.certificate, self.key, password=b"")
        except (OSError, ValueError) as error:
            pair = f"{self.certificate}" + ("" if self.key is None else f" and {self.key}")
            raise BadAddress(_wrong(pair, "a certificate and its key", error)) from None
        return context


@dataclass(frozen=True, slots=True)
class Remote:
    """A director over HTTPS."""

    host: str
    port: int
    identity: Identity

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}"


Address = Path | Remote


def parse_address(text: str, identity: Identity | None = None) -> Address:
    """``/run/lvsguard/lvsguard.sock``, or ``https://director1:8851`` with an identity.

    Raises BadAddress.
    """
    if "://" not in text:
        if not text or "\0" in text:
            raise BadAddress(f"{text!r}: give a socket's path, or https://HOST:PORT")
        return Path(text)
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise BadAddress(f"{text!r}: give https://HOST or https://HOST:PORT") from None
    if url.scheme != "https" or not url.hostname or not _bare(url):
        raise BadAddress(f"{text!r}: give https://HOST or https://HOST:PORT, and nothing more")
    if identity is None:
        raise BadAddress(
            f"{text}: a director wants a certificate: give --cert, --key and --ca"
            " (LVSGUARD_CERT, LVSGUARD_KEY, LVSGUARD_CA)"
        )
    return Remote(url.hostname, PORT if port is None else port, identity)


def _bare(url: SplitResult) -> bool:
    return url.path in {"", "/"} and not (url.query or url.fragment or "@" in url.netloc)


def _wrong(what: object, wanted: str, error: Exception) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
    return f"{what}: not {wanted} in PEM ({reason}): name the right file, readable by you"
