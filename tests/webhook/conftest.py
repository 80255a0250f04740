"""The bed of the webhook's tests: the real app, on each backend or on memory alone."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
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
