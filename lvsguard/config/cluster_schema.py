"""The cluster table: where directors meet that are more than two."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from lvsguard.config.address import FILE
from lvsguard.config.leaf import choice, seconds, text
from lvsguard.config.table import Table
from lvsguard.core.cluster import Backend

URL: Final = text(
    "a URL of etcd",
    253,
    pattern=r"https?://[A-Za-z0-9.\[\]:-]+:[0-9]{1,5}",
    how='such as "https://10.0.0.50:2379"',
)
PREFIX: Final = text("a prefix of keys", 200, pattern=r"/([!-~]*/)?", how='such as "/lvsguard/"')


class ClusterTable(Table):
    """How directors reach each other: by the channel of [peer], or, any number of them, by etcd."""

    backend: Annotated[Backend, choice("a backend", Backend)] = Field(
        Backend.PEER,
        description="peer: each connects to each, and there is nothing else to run. etcd: all of"
        " them meet in an etcd (3.4 or later), and there is no [peer] table.",
    )
    endpoints: list[Annotated[str, URL]] = Field(
        [],
        description="etcd: where it is; they are asked in turn until one answers. Plain http only"
        " on this host itself.",
        examples=[["https://10.0.0.50:2379", "https://10.0.0.51:2379"]],
    )
    prefix: Annotated[str, PREFIX] = Field(
        "/lvsguard/",
        description="etcd: what all keys begin with; the same on directors that belong together.",
    )
    user: Annotated[str | None, text("a user of etcd", 63)] = Field(
        None, description="etcd: who to be there. Default: nobody."
    )
    password_file: Annotated[str | None, FILE] = Field(
        None, description="etcd: file with that user's password. Nobody else may read it."
    )
    ca_file: Annotated[str | None, FILE] = Field(
        None,
        description="etcd: certificates of who may sign its certificate. Default: whom the host"
        " trusts.",
    )
    certificate_file: Annotated[str | None, FILE] = Field(
        None, description="etcd: certificate to show it, with its key or with key_file."
    )
    key_file: Annotated[str | None, FILE] = Field(
        None, description="etcd: the key of certificate_file."
    )
    lease: Annotated[int, seconds(3, 60, integral=True)] = Field(
        10, description="etcd: time after which the others know that a director is gone."
    )
