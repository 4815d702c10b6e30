"""What it means that a VIP fails, beside what the realserver's own address says."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from lvsguard.core.config import Check, CheckKind, CheckSpec, VipPath
from lvsguard.core.health import CUT, DEFINITE, FailureClass, Result
from lvsguard.probes.engine import Engine
from lvsguard.probes.kinds import KINDS
from lvsguard.probes.outcome import Outcome
from lvsguard.probes.vip_path import VipCheck

WELL = Result(True, "L7OK", "200 OK")
REFUSED = Result(False, "L4CON", "connection refused", 0.0, FailureClass.REFUSED)
SICK = Result(False, "L7STS", "503, expected 200", 0.0, FailureClass.WRONG)
OURS = Result(False, "SOCKERR", "no file left", 0.0, FailureClass.LOCAL)
VIP_SILENT = Outcome(False, "L4TOUT", "no connection within 500 ms", FailureClass.TIMEOUT)
VIP_REFUSED = Outcome(False, "L4CON", "connection refused", FailureClass.REFUSED)
VIP_REJECTED = Outcome(False, "L4CON", "prohibited (ICMP)", FailureClass.WRONG)
VIP_SICK = Outcome(False, "L7STS", "404 Not Found, expected 200", FailureClass.WRONG)


def compared(on_vip: Outcome, plainly: Result) -> Outcome:
    engine = Engine()
    path = VipPath(IPv4Address("10.0.0.8"), 80)
    check = Check(IPv4Address("10.0.0.42"), 80, CheckSpec(CheckKind.HTTP, path=path))
    try:
        plain = KINDS[CheckKind.HTTP](check, engine)
        return VipCheck(check, path, engine, plain).compare(on_vip, plainly)
    finally:
        engine.close()


@pytest.mark.parametrize(
    ("on_vip", "words"),
    [
        (VIP_SILENT, "the VIP is not set up there, or a firewall drops it"),
        (VIP_REFUSED, "listens on its own address only, or a firewall rejects"),
        (VIP_REJECTED, "the VIP is not set up there, or a firewall rejects it"),
        (VIP_SICK, "404 Not Found, expected 200"),
    ],
)
def test_well_on_its_own_address_only_is_a_class_of_its_own(on_vip: Outcome, words: str) -> None:
    found = compared(on_vip, WELL)
    assert (found.ok, found.code, found.failure) == (False, on_vip.code, FailureClass.VIP_PATH)
    assert found.reason.startswith("10.0.0.42:80 answers")
    assert "the VIP 10.0.0.8:80" in found.reason
    assert words in found.reason


@pytest.mark.parametrize("on_vip", [VIP_SILENT, VIP_REJECTED, VIP_SICK])
@pytest.mark.parametrize("plainly", [REFUSED, SICK, OURS])
def test_what_fails_on_both_is_what_the_own_address_says(on_vip: Outcome, plainly: Result) -> None:
    found = compared(on_vip, plainly)
    assert (found.code, found.reason, found.failure) == (
        plainly.code,
        plainly.reason,
        plainly.failure,
    )


def test_a_refusal_by_the_vip_counts_where_the_own_address_is_not_well() -> None:
    assert compared(VIP_REFUSED, SICK) == VIP_REFUSED
    assert compared(VIP_REFUSED, OURS).failure is FailureClass.LOCAL


def test_what_the_vip_said_is_kept_as_evidence() -> None:
    assert compared(VIP_SICK._replace(seen="HTTP/1.1 404 Not Found"), WELL).seen is not None


def test_established_connections_are_left_alone_and_one_probe_is_not_enough() -> None:
    assert FailureClass.VIP_PATH not in CUT | DEFINITE
