from __future__ import annotations

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest

from lvsguard.config.document import REFERENCE_FILE, SCHEMA_FILE, reference, sections
from lvsguard.config.json_schema import json_schema
from tests.support.golden import Golden
from tests.unit.config.samples import EXAMPLE, INVALID, PLAIN, ROOT
from tests.unit.config.test_build import SHARED

DOCS = ROOT / "docs" / "reference"
BEYOND_SHAPES = {
    # Relations between keys, addresses and the host: only the rules know them.
    "agent",
    "passive",
    "check-ca-file",
    "check-canary-kind",
    "check-head-body",
    "check-keys-of-another-kind",
    "check-list",
    "check-source",
    "check-times",
    "cluster",
    "cluster-peer",
    "director-table-lacks-this-one",
    "director-table-typo",
    "forwarding-family",
    "forwarding-fwmark-port",
    "forwarding-nat-port-zero",
    "forwarding-port",
    "one-packet",
    "peer",
    "peer-one",
    "persistence-mask",
    "quorum",
    "quorum-hysteresis",
    "realserver-duplicate",
    "realserver-is-a-vip",
    "service-address-and-fwmark",
    "service-duplicate",
    "service-missing",
    "service-not-a-vip",
    "service-port-zero",
    "service-without-address",
    "service-without-realserver",
    "slow-start",
    "sorry-server",
    "sorry-server-ports",
    "sync",
    "sync-alone",
    "telemetry",
    "tunnel-options",
    "vip-duplicate",
    "vip-interface-missing",
    "vip-outside-the-networks",
    "vrrp-announce",
    "vrrp-auth-and-password",
    "vrrp-auth-key-file",
    "vrrp-auth-send-key",
    "vrrp-grace",
    "vrrp-heartbeat",
    "vrrp-interval",
    "vrrp-outside-the-networks",
    "vrrp-owner",
    "vrrp-peers",
    "vrrp-peers-shapes",
    "vrrp-peers-table",
    "vrrp-peers-table-lacks-this-one",
    "vrrp-peers-table-of-one",
    "vrrp-priority-table",
    "vrrp-source",
    "vrrp-sync-group",
    "vrrp-too-many-addresses",
    "vrrp-track",
    "vrrp-track-peer",
    "vrrp-track-peer-alone",
    "vrrp-version",
    "vrrp-virtual-mac-refresh",
    "vrrp-vrid",
}


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (REFERENCE_FILE, reference()),
        (SCHEMA_FILE, json.dumps(json_schema(), indent=2) + "\n"),
    ],
)
def test_the_committed_documents_are_current(file: str, text: str, golden: Golden) -> None:
    """Make them anew with ``pytest --update-golden`` when a model changed."""
    Golden(golden.update, DOCS).check(file, text)


def test_every_key_is_described_and_says_what_it_takes() -> None:
    keys = [(section.header, key) for section in sections() for key in section.keys]
    assert len(keys) > 80
    for header, key in keys:
        assert key.description.endswith("."), f"{header} {key.name} has no description"
        assert key.allowed, f"{header} {key.name} does not say what it takes"


def test_every_table_has_a_section() -> None:
    assert [section.header for section in sections()] == [
        "[director]",
        "[[vip]]",
        "[vip.vrrp]",
        "[[vip.vrrp.track]]",
        "[vip.vrrp.announce]",
        "[vip.vrrp.auth]",
        "[[service]]",
        "check = { ... }",
        "canary = { ... }",
        "agent = { ... }",
        "tunnel = { ... }",
        "persistence = { ... }",
        "sorry_server = { ... }",
        "[[service.realserver]]",
        "[sync]",
        "[peer]",
        "[cluster]",
        "[ipvs]",
        "[telemetry]",
        "[admin]",
        "[admin.remote]",
        "[[hook]]",
        "[state]",
    ]


VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def schema_errors(text: str) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(tomllib.loads(text))]


def test_the_json_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("text", [PLAIN, SHARED, EXAMPLE.read_text()])
def test_the_json_schema_takes_good_files(text: str) -> None:
    assert schema_errors(text) == []


SHAPES = [
    file
    for file in sorted(INVALID.glob("invalid-*.toml"))
    if not file.stem.startswith(("invalid-toml-", "invalid-not-utf8"))
]


@pytest.mark.parametrize("file", SHAPES, ids=lambda file: file.stem.removeprefix("invalid-"))
def test_the_json_schema_finds_what_is_a_matter_of_shape(file: Path) -> None:
    beyond = file.stem.removeprefix("invalid-") in BEYOND_SHAPES
    assert bool(schema_errors(file.read_text())) is not beyond


def test_the_example_names_the_schema_to_editors() -> None:
    first = EXAMPLE.read_text().splitlines()[0]
    assert (ROOT / first.removeprefix("#:schema ")).samefile(DOCS / SCHEMA_FILE)
