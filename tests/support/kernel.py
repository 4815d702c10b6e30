"""What kernel the tests run on, and why some of them cannot run there."""

from __future__ import annotations

import os
from pathlib import Path

IN_LAB = os.environ.get("LVSGUARD_LAB") == "1"
REQUIRED = os.environ.get("LVSGUARD_REQUIRE_KERNEL") == "1"


def missing_for_kernel_tests() -> str:
    """Return why a test that writes to a real IPVS cannot run here, or "" when it can.

    Inside the lab only: elsewhere it would write to the IPVS table and addresses of this host.
    """
    if not IN_LAB:
        return "writes to a real IPVS: run it by `make test-lab` or `tests/lab/run pytest ...`"
    if os.geteuid() != 0:
        return "needs root"
    if not Path("/proc/net/ip_vs").exists():
        return "this kernel has no ip_vs loaded"
    return ""


def missing_for_tests_without_ipvs() -> str:
    """Return why a test of a kernel whose ip_vs is not loaded cannot run here, or ""."""
    if not IN_LAB or os.geteuid() != 0 or Path("/proc/net/ip_vs").exists():
        return "needs ip_vs not loaded: run it by `tests/lab/run --without-ipvs pytest ...`"
    return ""
