"""Certificates of a director, and of those who may and may not ask it from afar."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path

import trustme

from lvsguard.admin.address import Identity
from lvsguard.core.remote import CallerRole, RemoteConfig

ROLES = (("deploy", CallerRole.OPERATE), ("monitor@example.org", CallerRole.READ))


@dataclass
class Papers:
    """Everybody's certificates, in files of a folder."""

    folder: Path
    authority: trustme.CA = field(default_factory=trustme.CA)
    clients: trustme.CA = field(default_factory=trustme.CA)
    strangers: trustme.CA = field(default_factory=trustme.CA)

    def config(self, port: int = 0) -> RemoteConfig:
        """A director on loopback that knows ``ROLES``."""
        own = self.authority.issue_cert("127.0.0.1", "localhost")
        pem = own.private_key_and_cert_chain_pem.bytes()
        ca = self.clients.cert_pem.bytes()
        return RemoteConfig(("127.0.0.1", port or free_port()), ROLES, pem, ca)

    def identity(self, *names: str, cn: str | None = None, strange: bool = False) -> Identity:
        """A caller's."""
        signer = self.strangers if strange else self.clients
        issued = signer.issue_cert(*names, common_name=cn)
        certificate = self.folder / f"{cn or names[0]}-{strange}.pem"
        certificate.write_bytes(issued.private_key_and_cert_chain_pem.bytes())
        authority = self.folder / "authority.pem"
        authority.write_bytes(self.authority.cert_pem.bytes())
        return Identity(certificate, None, authority)

    def context(self, identity: Identity | None) -> ssl.SSLContext:
        """For a raw connection; None: without a certificate."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        if identity is not None:
            context.load_cert_chain(identity.certificate)
        return context


def free_port() -> int:
    """A TCP port of loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
