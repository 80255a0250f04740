"""What every test has: logs that stay out of the way."""

import io

import pytest
from hypothesis import settings

from observability.logs import configure_logs

# How long an example takes says more of the machine than of the code: limits of time live in the benchmarks.
settings.register_profile("prosa", deadline=None)
settings.load_profile("prosa")


@pytest.fixture(autouse=True)
def _quiet_logs() -> None:
    configure_logs(level="ERROR", stream=io.StringIO())
