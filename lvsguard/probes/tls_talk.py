"""TLS around an HTTP conversation, where the connection is not the kernel's. No socket here."""

from __future__ import annotations

import ssl
from typing import Final

from lvsguard.core.health import FailureClass
from lvsguard.probes import certificate, tls
from lvsguard.probes.outcome import Conversation, Outcome, seconds

READ_SIZE: Final = 16384
HANDSHAKE_MAX: Final = 262144
"""Bytes of a handshake; the longest chains of certificates have a tenth of it."""


class TlsTalk:
    """One conversation (see ``outcome.Conversation``); ``replies`` has what TLS wants to send."""

    def __init__(self, context: ssl.SSLContext, name: str, inner: Conversation) -> None:
        self._inner = inner
        self._name = name
        self._came = ssl.MemoryBIO()
        self._goes = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._came, self._goes, server_hostname=name)
        self._secured = False
        self._expires = 0.0
        self._read = 0
        self._found = self._shake()
        self.request = self._goes.read()

    def replies(self) -> bytes:
        """What is to be sent now."""
        return self._goes.read()

    def sent(self) -> Outcome | None:
        """See ``Conversation``."""
        return None

    def feed(self, data: bytes) -> Outcome | None:
        """See ``Conversation``."""
        self._came.write(data)
        if not self._secured:
            self._read += len(data)
            found = self._shake()
            if found is not None or not self._secured:
                return self._with_expiry(found)
        return self._with_expiry(self._hear())

    def closed(self) -> Outcome:
        """See ``Conversation``."""
        if not self._secured:
            return tls.broken("closed during the TLS handshake")
        return self._inner.closed()

    def reset(self, error: OSError) -> Outcome:
        """See ``Conversation``."""
        if not self._secured:
            return tls.broken(f"{tls.words(error)} during the TLS handshake")
        return self._inner.reset(error)

    def expired(self, timeout: float) -> Outcome:
        """See ``Conversation``."""
        if self._secured:
            return self._inner.expired(timeout)
        reason = f"connected, but no end of the TLS handshake within {seconds(timeout)}"
        return Outcome(False, "L6TOUT", reason, FailureClass.TIMEOUT)

    # -- inside ----------------------------------------------------------------------------------

    def _with_expiry(self, found: Outcome | None) -> Outcome | None:
        return found and found._replace(expires=self._expires)

    def _shake(self) -> Outcome | None:
        if self._read > HANDSHAKE_MAX:
            return tls.broken(f"more than {HANDSHAKE_MAX} bytes of TLS handshake")
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLCertVerificationError as error:
            return tls.broken(tls.certificate(error, self._name))
        except (ssl.SSLError, OSError, ValueError) as error:
            return tls.broken(
                tls.handshake(error) if isinstance(error, OSError) else tls.words(error)
            )
        self._secured = True
        self._expires = certificate.shown(self._tls)
        if self._inner.request:
            self._tls.write(self._inner.request)
        return self._inner.sent()

    def _hear(self) -> Outcome | None:
        while True:
            try:
                data = self._tls.read(READ_SIZE)
            except ssl.SSLWantReadError:
                return None
            except ssl.SSLZeroReturnError:
                return self._inner.closed()
            except (ssl.SSLError, OSError) as error:
                return tls.broken(f"TLS broke after the handshake: {tls.words(error)}")
            if not data:
                return self._inner.closed()
            found = self._inner.feed(data)
            if found is not None:
                return found
