"""Rules for every test: which kernel a marked test needs, and golden files."""

from __future__ import annotations

import signal

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("tests.support")

from tests.support import kernel  # noqa: E402 (after its registration)
from tests.support.examples import examples  # noqa: E402
from tests.support.golden import Golden  # noqa: E402

EXAMPLES = 100
"""Of a property that asks for no other number."""
GUEST_TIMEOUT_S = 400


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write tests/golden instead of comparing"
    )


def pytest_configure() -> None:
    """Interrupts work whoever started pytest: a shell gives its background jobs an ignored SIGINT,
    and every program that a test starts and interrupts would inherit that."""
    # How long an example takes is the machine's doing: what loops for ever ends by pytest-timeout.
    settings.register_profile(
        "any",
        deadline=None,
        max_examples=examples(EXAMPLES),
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("any")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A guest may be five times slower than the machine that the common limit is for."""
    for item in items:
        in_guest = item.get_closest_marker("kernel") or item.get_closest_marker("lab")
        if in_guest and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(GUEST_TIMEOUT_S))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this kernel cannot run, with the reason; where it is required, fail."""
    missing = ""
    if item.get_closest_marker("without_ipvs"):
        missing = kernel.missing_for_tests_without_ipvs()
    elif item.get_closest_marker("kernel") or item.get_closest_marker("lab"):
        missing = kernel.missing_for_kernel_tests()
    if missing and kernel.REQUIRED:
        pytest.fail(f"LVSGUARD_REQUIRE_KERNEL is set, but: {missing}", pytrace=False)
    if missing:
        pytest.skip(missing)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Return the comparer of outputs with tests/golden."""
    return Golden(update=bool(request.config.getoption("--update-golden")))
