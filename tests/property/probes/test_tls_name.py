"""Whatever host or server name the config lets through, a TLS probe can be made of it."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from lvsguard.config.address import HOST, SERVER_NAME
from lvsguard.core.config import CheckKind, HttpSpec, TlsSpec
from lvsguard.probes.greeting import HeadTalk
from lvsguard.probes.https import tls_name
from lvsguard.probes.tls_talk import TlsTalk
from tests.unit.probes.realserver import http_check

CONTEXT = ssl.create_default_context()


def talk(name: str) -> TlsTalk:
    """Begin a handshake."""
    return TlsTalk(CONTEXT, name, HeadTalk(b""))


def hosts(schema: Mapping[str, object]) -> st.SearchStrategy[str]:
    longest = schema["maxLength"]
    assert isinstance(longest, int)
    found = st.from_regex(str(schema["pattern"]), fullmatch=True)
    return found.filter(lambda text: len(text) <= longest)


@given(hosts(HOST.schema))
def test_of_a_host(host: str) -> None:
    check = http_check(443, HttpSpec(host=str(HOST.parse(host))))
    spec = replace(check.spec, kind=CheckKind.HTTPS, tls=TlsSpec())
    assert talk(tls_name(replace(check, spec=spec))).request


@given(hosts(SERVER_NAME.schema))
def test_of_a_server_name(name: str) -> None:
    assert talk(str(SERVER_NAME.parse(name))).request
