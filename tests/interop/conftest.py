"""The lab's fixtures, for the tests with other people's programs."""

from tests.lab.conftest import (
    artifacts,
    network,
    pytest_runtest_makereport,
    shared_network,
    still,
)

__all__ = ["artifacts", "network", "pytest_runtest_makereport", "shared_network", "still"]
