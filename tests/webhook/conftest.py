"""The bed of the webhook's tests: the real app, on each backend or on memory alone."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from webhook_bed import WebhookBed, webhook_bed

from tests.builders import BACKENDS


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[WebhookBed]:
    """On memory: for what does not depend on where messages are kept."""
    async with webhook_bed("memory", tmp_path) as bed:
        yield bed


@pytest.fixture(params=BACKENDS)
async def durable_bed(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[WebhookBed]:
    """On each backend: for what must survive in it."""
    async with webhook_bed(request.param, tmp_path) as bed:
        yield bed


@pytest.fixture
def raw_lines() -> Iterator[list[dict[str, Any]]]:
    """What the code gives to the log, before anything is redacted: the redaction must not be what saves us."""
    before = structlog.get_config()
    lines: list[dict[str, Any]] = []

    def keep(_: Any, __: str, event: Any) -> Any:
        lines.append(dict(event))
        raise structlog.DropEvent

    everything = structlog.make_filtering_bound_logger(0)
    structlog.configure(processors=[keep], wrapper_class=everything, cache_logger_on_first_use=False)
    yield lines
    structlog.configure(**before)
