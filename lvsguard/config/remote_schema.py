"""The admin.remote table: the admin API over HTTPS, for callers with certificates."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from lvsguard.config.address import FILE, LISTEN
from lvsguard.config.leaf import Leaf, near, show
from lvsguard.config.table import PerDirector, Table
from lvsguard.core.remote import CallerRole

ROLES_MAX: Final = 1000
NAME_MAX: Final = 255
_HOW: Final = '{ "NAME" = "read", "OTHER NAME" = "operate" }'


def _role(name: str, value: object) -> tuple[str, CallerRole]:
    known = {str(role): role for role in CallerRole}
    if not 0 < len(name) <= NAME_MAX:
        raise ValueError(f"{show(name)} is no certificate's name; 1 to {NAME_MAX} characters")
    role = known.get(value) if isinstance(value, str) else None
    if role is None:
        guess = near(value, known) if isinstance(value, str) else None
        hint = f"; did you mean {show(guess)}?" if guess else ""
        raise ValueError(f"{show(name)} has {show(value)}; a role is read or operate{hint}")
    return name, role


def _roles(value: object) -> tuple[tuple[str, CallerRole], ...]:
    if not isinstance(value, dict) or not value:
        raise ValueError(f"names nobody; write {_HOW}")
    if len(value) > ROLES_MAX:
        raise ValueError(f"names {len(value)} callers; at most {ROLES_MAX}")
    return tuple(_role(name, role) for name, role in value.items())


ROLES: Final = Leaf(
    _roles,
    "a table of roles, read or operate, by certificates' names",
    {
        "type": "object",
        "minProperties": 1,
        "maxProperties": ROLES_MAX,
        "additionalProperties": {"type": "string", "enum": [str(role) for role in CallerRole]},
    },
)


class RemoteTable(Table):
    """The admin API over HTTPS (TLS 1.3), for callers with certificates; without it nobody asks
    from afar."""

    listen: PerDirector[Annotated[tuple[str, int] | None, LISTEN]] = Field(
        description="Where to listen: an own address of the director and a port. false turns it"
        " off.",
        examples=["10.0.0.41:8851"],
    )
    certificate: Annotated[str, FILE] = Field(
        description="File with the director's certificate in PEM, and those that lead to its"
        " authority. Read again with each reload.",
        examples=["/etc/lvsguard/admin.crt"],
    )
    key: Annotated[str, FILE] = Field(
        description="File with its private key in PEM. Nobody else may read it.",
        examples=["/etc/lvsguard/admin.key"],
    )
    client_ca: Annotated[str, FILE] = Field(
        description="File with the certificates of the authorities that sign callers, in PEM.",
        examples=["/etc/lvsguard/clients-ca.crt"],
    )
    roles: Annotated[tuple[tuple[str, CallerRole], ...], ROLES] = Field(
        description="Who may do what, by the names in callers' certificates: the CN of the"
        " subject, or a DNS, e-mail or URI name. read: ask. operate: drain, reload, fail over too."
        " Of several names of one certificate the most counts; a certificate without a role is"
        " refused.",
        examples=[{"deploy.example.org": "operate", "monitor": "read"}],
    )
