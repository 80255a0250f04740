"""A platform's post is answered as any route answers, and no page may read it."""

from pathlib import Path
from typing import Any

import pytest
from webhook_bed import ANA, HOOK, WebhookBed, assert_problem, webhook_bed

from contracts.errors import StoreUnavailableError
from sandbox import whatsapp_webhooks as meta

PAGE = "https://loja.example.com"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_another_method_is_refused(bed: WebhookBed, method: str) -> None:
    assert_problem(await bed.http.request(method, HOOK), 405)


async def test_what_passes_is_503(bed: WebhookBed) -> None:
    async def away(*_: Any) -> None:
        raise StoreUnavailableError("away")

    bed.queue.wake = away  # type: ignore[method-assign]
    response = await bed.post(meta.inbound_text(ANA, "oi"))
    assert_problem(response, 503)
    assert response.headers["retry-after"] == "1"


async def test_a_defect_is_500(bed: WebhookBed) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("broken")

    bed.inbox.append = broken  # type: ignore[method-assign,assignment]
    bed.http._transport.raise_app_exceptions = False  # type: ignore[attr-defined]
    assert_problem(await bed.post(meta.inbound_text(ANA, "oi")), 500)


async def test_no_page_may_read_what_a_platform_is_answered(tmp_path: Path) -> None:
    """Platforms are servers: origins are allowed for the web chat, and a post of a platform passes them by."""
    async with webhook_bed("memory", tmp_path, allowed_origins=frozenset({PAGE})) as bed:
        answer = await bed.http.post(HOOK, content=b"{}", headers={"origin": PAGE})
        assert_problem(answer, 401)
        assert "access-control-allow-origin" not in answer.headers
