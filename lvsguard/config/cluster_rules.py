"""Rules of where directors meet, and the password that etcd wants."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from lvsguard.config.cluster_schema import ClusterTable
from lvsguard.config.problem import KeyPath
from lvsguard.config.review import Review
from lvsguard.config.schema import Document
from lvsguard.config.secret import read_file
from lvsguard.config.validate import Fault
from lvsguard.core.cluster import Backend, EtcdAccess

PASSWORD_OCTETS: Final = 1024
_HERE: Final[KeyPath] = ("cluster",)


def check_cluster(sheet: Review) -> None:
    """Every rule on the cluster table."""
    cluster = sheet.document.cluster
    if cluster is None:
        return
    if cluster.backend is Backend.PEER:
        _check_peer(sheet, cluster)
        return
    if sheet.document.peer is not None:
        sheet.say(
            ("peer",), 'is another way to the same; leave it out, or set backend = "peer"', _HERE
        )
    if not cluster.endpoints:
        sheet.say((*_HERE, "endpoints"), "are missing; name etcd's URLs", (*_HERE, "backend"))
    for index, url in enumerate(cluster.endpoints):
        if not url.startswith("https://") and not _is_here(url):
            sheet.say(
                (*_HERE, "endpoints", index),
                f"{url} is asked in the clear, and whoever can change what is said there may drain"
                " what they like; use https",
            )
    if (cluster.user is None) != (cluster.password_file is None):
        sheet.say((*_HERE, "user"), "and password_file go together; write both, or none")
    if cluster.key_file is not None and cluster.certificate_file is None:
        sheet.say((*_HERE, "key_file"), "is the key of no certificate_file; write that, too")


def _check_peer(sheet: Review, cluster: ClusterTable) -> None:
    beyond = cluster.model_fields_set - {"backend"}
    for key in sorted(beyond):
        sheet.say((*_HERE, key), 'is for etcd; set backend = "etcd", or leave it out')
    if sheet.document.peer is None:
        sheet.say((*_HERE, "backend"), "there is no channel; write a [peer] table", ("peer",))


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_password(document: Document) -> tuple[dict[Path, bytes], list[Fault]]:
    """What the password's file holds, and what is wrong with it."""
    cluster = document.cluster
    if cluster is None or cluster.password_file is None:
        return {}, []
    path = Path(cluster.password_file)
    try:
        return {path: read_file(path, PASSWORD_OCTETS)}, []
    except FileNotFoundError:
        wrong = f"{path} is not there; write etcd's password of the user into it (mode 600)"
    except ValueError as error:
        wrong = str(error)
    return {}, [Fault((*_HERE, "password_file"), wrong)]


def build_cluster(cluster: ClusterTable | None, files: Mapping[Path, bytes]) -> EtcdAccess | None:
    """How to reach etcd; None: directors do not meet there."""
    if cluster is None or cluster.backend is not Backend.ETCD:
        return None
    password = files.get(Path(cluster.password_file or ""), b"")
    return EtcdAccess(
        tuple(cluster.endpoints),
        cluster.prefix,
        cluster.user or "",
        password.decode("utf-8", "replace").rstrip("\r\n"),
        cluster.ca_file or "",
        cluster.certificate_file or "",
        cluster.key_file or "",
        cluster.lease,
    )
