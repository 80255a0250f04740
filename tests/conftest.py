"""What every test has: logs that stay out of the way."""

import io

import pytest

from observability.logs import configure_logs


@pytest.fixture(autouse=True)
def _quiet_logs() -> None:
    configure_logs(level="ERROR", stream=io.StringIO())
