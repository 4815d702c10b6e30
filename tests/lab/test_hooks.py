"""A director under a real kernel tells a hook, and is drained from another host."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.director_config import Setup
from tests.support.director_seed import seed_under_lvsguard
from tests.support.processes import wait_until
from tests.support.remote_admin import Papers

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.topology import Network

pytestmark = [pytest.mark.kernel, pytest.mark.lab]


def test_a_hook_is_told_of_a_death_and_of_a_drain_from_afar(
    network: Network, tmp_path: Path
) -> None:
    papers, heard = Papers(tmp_path), tmp_path / "heard"
    script = tmp_path / "hook"
    script.write_text(f"#!/bin/sh\ncat >> {heard}; echo >> {heard}\n")
    script.chmod(0o755)
    own = papers.authority.issue_cert("10.0.0.41")
    for name, pem in (
        ("admin.crt", own.cert_chain_pems[0]),
        ("admin.key", own.private_key_pem),
        ("ca.crt", papers.clients.cert_pem),
    ):
        (tmp_path / name).write_bytes(pem.bytes())
        (tmp_path / name).chmod(0o600)
    more = f"""
[admin.remote]
listen = "10.0.0.41:8851"
certificate = "{tmp_path}/admin.crt"
key = "{tmp_path}/admin.key"
client_ca = "{tmp_path}/ca.crt"
roles = {{ deploy = "operate" }}
[[hook]]
name = "all"
command = ["{script}"]
events = ["health", "override-set"]
services = ["web"]
"""
    deploy = papers.identity("deploy", cn="deploy")

    def told() -> dict[str, dict[str, object]]:
        lines = heard.read_text().splitlines() if heard.exists() else []
        return {event["text"]: event for event in map(json.loads, filter(None, lines))}

    with seed_under_lvsguard(network, Setup(more=more)) as seed:
        seed.webs[1].kill()
        seed.director.wait_for_weights(rs1=1, rs2=None)
        wait_until(lambda: any("10.0.0.43" in text for text in told()), 10, "the hook is told")
        seed.client.run(
            *("lvsguard", "drain", "10.0.0.42", "--director", "https://10.0.0.41"),
            *("--cert", str(deploy.certificate), "--ca", str(deploy.authority)),
        )
        seed.director.wait_for_weights(rs1=0, rs2=None)
        wait_until(
            lambda: any("by deploy (from 10.0.0." in text for text in told()), 10, "of the drain"
        )
    assert {event["kind"] for event in told().values()} == {"health", "override-set"}
